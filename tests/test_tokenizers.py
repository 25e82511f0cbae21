"""Whose tokenizer a result has, and that rows of embeddings are combined only where they are of one token."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tests.speaking import LETTERS, MERGES, edit_json, give_tokenizer, planned, three
from weightarith.algebra import Checkpoint
from weightarith.errors import RecipeError, UnsupportedError, WeightArithError
from weightarith.saving import carry_out, save

MEAN = "0.5*a + 0.5*b"
SWAPPED = LETTERS.replace("no", "on")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return three(tmp_path)


def refused(
    folder: Path, expression: str, output: str, kind: type[WeightArithError] = UnsupportedError
) -> str:
    with pytest.raises(kind) as caught:
        planned(folder, expression, output)
    return caught.value.message


def test_the_tokenizer_of_another_model_is_copied_and_the_config_is_not(folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    edit_json(folder / "a" / "config.json", rope_theta=5e5)
    give_tokenizer(folder / "c", template="{{ messages }}")
    plan = planned(folder, MEAN, "like: a, tokenizer: c")
    carry_out(plan)

    assert plan.warnings == ()
    assert {path.name: path.parent.name for path in plan.copies} == {
        "config.json": "a", "generation_config.json": "a", "tokenizer.json": "c",
        "tokenizer_config.json": "c", "chat_template.jinja": "c",
    }  # fmt: skip
    assert json.loads((folder / "out" / "config.json").read_text())["rope_theta"] == 5e5
    found = AutoTokenizer.from_pretrained(folder / "out")
    expected = AutoTokenizer.from_pretrained(folder / "c")
    assert found("abcd ba")["input_ids"] == expected("abcd ba")["input_ids"]
    assert found.get_vocab() == expected.get_vocab()
    assert found.chat_template == "{{ messages }}"
    assert AutoModelForCausalLM.from_pretrained(folder / "out").config.vocab_size == tiny.VOCABULARY


def test_a_token_with_another_id_is_refused_with_both_ids(folder: Path) -> None:
    give_tokenizer(folder / "b", letters=SWAPPED)

    with pytest.raises(UnsupportedError) as caught:
        planned(folder, MEAN, "tokenizer: a")

    assert str(caught.value) == (
        "the tokens of b are not those of a: token 'n' is 17 in a and 18 in b\n"
        "  try: embeddings are combined row by row: merge models of one tokenizer"
    )


def test_a_token_that_one_model_lacks_is_refused(folder: Path) -> None:
    give_tokenizer(folder / "b", added=["<pad>"])

    assert refused(folder, MEAN, "tokenizer: a").endswith("token '<pad>' is none in a and 22 in b")
    assert refused(folder, MEAN, "tokenizer: b").endswith("token '<pad>' is 22 in b and none in a")


def test_a_merge_at_another_place_is_refused(folder: Path) -> None:
    give_tokenizer(folder / "b", merges=[MERGES[0], MERGES[1], ("cd", "ab")])
    tokens = json.loads((folder / "b" / "tokenizer.json").read_text())
    vocabulary = tokens["model"]["vocab"]
    vocabulary["abcd"] = vocabulary.pop("cdab")
    (folder / "b" / "tokenizer.json").write_text(json.dumps(tokens))

    assert refused(folder, MEAN, "tokenizer: a").endswith("merge 2 is 'ab cd' in a and 'cd ab' in b")


def test_the_tokenizer_is_held_against_models_that_are_no_part_of_the_sum(folder: Path) -> None:
    give_tokenizer(folder / "c", letters=SWAPPED)

    assert refused(folder, "a", "tokenizer: c").startswith("the tokens of a are not those of c: token 'n'")


def test_files_that_say_the_same_tokens_otherwise_are_the_same(folder: Path) -> None:
    path = folder / "b" / "tokenizer.json"
    tokens = json.loads(path.read_text())
    tokens["model"]["merges"] = [" ".join(pair) for pair in tokens["model"]["merges"]]
    tokens["truncation"] = {"direction": "Right", "max_length": 64, "strategy": "LongestFirst", "stride": 0}
    path.write_text(json.dumps(tokens, indent=7))
    listed = {"added_tokens_decoder": {"0": {"content": "<unk>"}, "1": {"content": "<s>"}}}
    edit_json(folder / "c" / "tokenizer_config.json", **listed)

    assert planned(folder, "mean(a, b, c)", "tokenizer: a").warnings == ()


@pytest.mark.parametrize(
    ("expression", "warned"),
    [
        (MEAN, True),
        ("a + (b - c)", True),
        ('a + restrict(b - c, role="head")', True),
        ('a + restrict(b - c, layers="0-1")', False),
        ("a + (b - b)", False),
        ("slerp([a, b], t=0.5)", True),
        ("stack(a, b)", True),
        ('stack(a, take(b, "0"), a)', False),
    ],
)
def test_models_of_other_tokens_are_warned_of_where_their_rows_are_combined(
    folder: Path, expression: str, warned: bool
) -> None:
    for name in "bc":
        give_tokenizer(folder / name, letters=SWAPPED)

    found = planned(folder, expression).warnings

    assert bool(found) == warned
    if warned:
        assert found[0] == (
            "the tokens of b are not those of a: token 'n' is 17 in a and 18 in b; "
            "rows are combined by their number"
        )


def test_rows_that_are_left_out_may_be_of_any_token(folder: Path) -> None:
    weights = tiny.weights()
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        weights[name] = np.concatenate([weights[name], weights[name][:2]])
    tiny.save(folder / "b" / "model.safetensors", weights)
    for letters, count in (("", 18), ("p", 17)):
        added = [f"<{number}>" for number in range(count)]
        give_tokenizer(folder / "a", letters=LETTERS + letters, added=added)
        give_tokenizer(folder / "b", letters=LETTERS + letters, added=[*added, "<x>", "<y>"])
    patient = "vocabulary: base"

    assert planned(folder, MEAN, "tokenizer: a", patient).warnings == ()
    (warning,) = planned(folder, MEAN, "tokenizer: b", patient).warnings
    assert warning == (
        "the tokenizer of b has tokens without a row: '<x>' is 40, and the result has rows 0-39"
    )


def test_a_model_without_a_tokenizer_is_spoken_of_where_one_was_asked_for(folder: Path) -> None:
    (folder / "b" / "tokenizer.json").unlink()

    assert planned(folder, MEAN).warnings == ()
    told = "b has no tokenizer: nothing shows that the tokens of b are those of a"
    assert planned(folder, MEAN, "tokenizer: a, path: out").warnings == (told,)
    told = "b has no tokenizer: nothing shows that the tokens of a are those of b"
    assert planned(folder, MEAN, "tokenizer: b, path: out").warnings == (told,)


def test_a_single_file_has_no_tokenizer_and_gets_none(folder: Path) -> None:
    plan = planned(folder, MEAN, "path: out.safetensors, tokenizer: a, chat_template: auto")
    assert plan.warnings == (
        "tokenizer and chat_template left out: a single file has no other files beside it",
    )

    (folder / "file.safetensors").write_bytes((folder / "a" / "model.safetensors").read_bytes())
    with pytest.raises(RecipeError, match="'file' is a single file, and has no tokenizer beside it"):
        planned(folder, "c", "tokenizer: file", file="file.safetensors")


def test_a_vector_has_no_tokenizer(folder: Path) -> None:
    assert planned(folder, "a - b", "path: v, tokenizer: a").warnings == (
        "tokenizer left out: a vector has no other files beside it",
    )


def test_python_asks_for_a_tokenizer_by_label_or_by_its_model(folder: Path) -> None:
    a, b, c = (Checkpoint.open(folder / name, label=name) for name in "abc")
    give_tokenizer(folder / "c", template="{{ messages }}")

    save(0.5 * a + 0.5 * b, folder / "out", tokenizer="b")
    save(0.5 * a + 0.5 * b, folder / "other", tokenizer=c)

    assert not (folder / "out" / "chat_template.jinja").exists()
    assert (folder / "other" / "chat_template.jinja").read_text() == "{{ messages }}"
    with pytest.raises(RecipeError, match="output: tokenizer: 'd' is no model of this sum; it has a, b"):
        save(0.5 * a + 0.5 * b, folder / "more", tokenizer="d")
