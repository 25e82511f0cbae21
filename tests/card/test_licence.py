"""Licences: read off cards, shared by parents, or chosen."""

from __future__ import annotations

from typing import Any

import pytest

from weightarith.card.licence import decide, licence_of
from weightarith.card.parent import Licence, Parent
from weightarith.errors import IncompatibleError, RecipeError
from weightarith.hub.about import front_matter


@pytest.mark.parametrize(
    ("front", "found"),
    [
        ({"license": "mit"}, Licence("mit")),
        ({"license": ["apache-2.0"]}, Licence("apache-2.0")),
        ({"license": "MIT "}, Licence("mit")),
        ({"license": "unknown"}, None),
        ({"license": "other"}, None),
        ({}, None),
        ({"license": None}, None),
        (
            {"license": "other", "license_name": "own", "license_link": "LICENSE"},
            Licence("other", "own", "https://huggingface.co/org/x/blob/main/LICENSE"),
        ),
        ({"license": ["mit", "apache-2.0"]}, Licence("apache-2.0, mit")),
    ],
)
def test_a_licence_is_what_the_card_says(front: dict[str, Any], found: Licence | None) -> None:
    assert licence_of(front, "org/x") == found


def parent(repo: str, licence: str, **more: Any) -> Parent:
    return Parent("", "checkpoint", repo, licence=Licence(licence) if licence else None, **more)


def test_one_licence_of_all_parents_is_that_of_what_they_make() -> None:
    found = decide([parent("a/b", "mit"), parent("c/d", "mit"), parent("e/f", "", asked=False)])
    assert (found.licence.id, found.why, found.chosen) == ("mit", "that of a/b and c/d", False)


@pytest.mark.parametrize(
    ("licences", "message"),
    [
        (("mit", "llama3.1"), "its parents do not share a licence:\n  a/b: mit\n  a/c: llama3.1"),
        (("mit", ""), "its parents do not share a licence:\n  a/b: mit\n  a/c: says nothing"),
        (("", ""), "its parents say nothing of a licence:\n  a/b: says nothing\n  a/c: says nothing"),
        (("",), "its only parent says nothing of a licence:\n  a/b: says nothing"),
        (("apache-2.0, mit",), "its only parent names several licences:\n  a/b: apache-2.0, mit"),
        ((), "nothing says what this was made of, so no licence follows from it"),
    ],
)
def test_without_one_licence_a_person_chooses(licences: tuple[str, ...], message: str) -> None:
    parents = [parent(f"a/{name}", licence) for name, licence in zip("bc", licences, strict=False)]
    with pytest.raises(IncompatibleError) as caught:
        decide(parents)
    assert caught.value.message == message
    assert caught.value.exit_code == 4
    assert decide(parents, "cc-by-4.0").licence == Licence("cc-by-4.0")


def test_a_choice_that_is_no_identifier_is_refused() -> None:
    with pytest.raises(RecipeError, match="'My Licence' is no identifier of a licence"):
        decide([], "My Licence")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("---\nlicense: mit\n---\n# x\n", {"license": "mit"}),
        ("\ufeff---\nlicense: mit\n---", {"license": "mit"}),
        ("# x\n---\nlicense: mit\n---\n", {}),
        ("---\n[\n---\n", {}),
        ("---\n- a\n---\n", {}),
        ("", {}),
    ],
)
def test_front_matter_that_is_none_says_nothing(text: str, found: dict[str, Any]) -> None:
    assert front_matter(text) == found
