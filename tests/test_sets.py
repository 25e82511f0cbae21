"""The sets of prompts that ship with the package: every one is what its list says it is."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from weightarith.data import read_rows
from weightarith.data.holdings import holding
from weightarith.data.sets import ShippedSet, open_set, read_set, shipped
from weightarith.errors import RecipeError
from weightarith.generate.trait import read_trait
from weightarith.recipe.strictyaml import Scalar, Table, read_yaml

PROSE = re.compile("[ -~é]+")  # plain text: no control characters, nothing invisible

GOOD = """
weightarith_set: 1
name: mine
version: 1.0.0
licence: CC0-1.0
description: a test
training: {first: a.jsonl}
evaluation: [b.jsonl]
files:
  a.jsonl: {rows: 2, sha256: "ZEROS", what: pairs}
  b.jsonl: {rows: 3, sha256: "EFFS", what: prompts}
""".replace("ZEROS", "0" * 64).replace("EFFS", "f" * 64)


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(params=shipped())
def one(request: pytest.FixtureRequest) -> ShippedSet:
    return open_set(request.param)


def mine(folder: Path, text: str = GOOD) -> Path:
    made = folder / "mine"
    made.mkdir()
    (made / "set.yaml").write_text(text, encoding="utf-8")
    return made


def test_there_is_a_set_for_sycophancy_and_one_for_every_suite() -> None:
    assert {"shared", "sycophancy"} <= set(shipped())


def test_every_file_has_the_rows_and_the_hash_that_the_list_says(one: ShippedSet) -> None:
    for name, told in one.files.items():
        data = one.path(name).read_bytes()
        assert (data.count(b"\n"), hashlib.sha256(data).hexdigest()) == (told.rows, told.sha256), name


def test_every_file_in_the_folder_is_listed_and_used(one: ShippedSet) -> None:
    there = {path.name for path in one.folder.iterdir()}
    beside = {*(path.name for path in one.suites.values()), "set.yaml", "trait.yaml"}
    assert there - beside == set(one.files)
    used = [path.name for path in (*one.training.values(), *one.evaluation)]
    assert sorted(used) == sorted(one.files)  # so that no file is both trained on and measured with


def test_the_licence_is_one_that_lets_anybody_use_the_text(one: ShippedSet) -> None:
    assert one.licence in ("CC0-1.0", "Apache-2.0")


def test_rows_are_plain_text_with_identifiers_of_their_own(one: ShippedSet) -> None:
    for name in one.files:
        found = rows(one.path(name))
        identifiers = [row["id"] for row in found]
        assert len(set(identifiers)) == len(identifiers), name
        said = [
            json.dumps({key: row[key] for key in row if key != "id"}, ensure_ascii=False) for row in found
        ]
        assert len(set(said)) == len(said), name
        for text in said:
            assert PROSE.fullmatch(text), text


def test_training_files_are_pairs_or_chats_as_the_reader_takes_them(one: ShippedSet) -> None:
    for name, path in one.training.items():
        assert len(read_rows(path)) == one.files[path.name].rows, name
        assert one.trained_on(name) == path


def test_suites_measure_with_evaluation_files_of_shipped_sets_only(one: ShippedSet) -> None:
    allowed = {path.resolve() for name in shipped() for path in open_set(name).evaluation}
    for path in one.suites.values():
        node = read_yaml(path.read_text(encoding="utf-8"), path.name)
        assert isinstance(node, Table)
        metrics = node.entries["metrics"].value
        assert isinstance(metrics, Table)
        for metric in metrics.entries.values():
            assert isinstance(metric.value, Table)
            data = metric.value.entries["data"].value
            assert isinstance(data, Scalar)
            assert (path.parent / data.text).resolve() in allowed, data.text


def test_a_list_is_read_as_it_stands(tmp_path: Path) -> None:
    folder = mine(tmp_path)
    found = read_set(folder)
    assert (found.name, found.version, found.licence) == ("mine", "1.0.0", "CC0-1.0")
    assert found.training == {"first": folder / "a.jsonl"}
    assert found.evaluation == (folder / "b.jsonl",)
    assert (found.files["b.jsonl"].rows, found.files["b.jsonl"].sha256) == (3, "f" * 64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("weightarith_set: 1", "weightarith_set: 2"), "format 1 of sets"),
        (lambda text: text.replace("name: mine", "name: other"), "expected the folder's name, mine"),
        (lambda text: text.replace("version:", "versoin:"), "unknown key 'versoin'"),
        (lambda text: text.replace("licence: CC0-1.0\n", ""), "a set needs the key licence"),
        (lambda text: text.replace("rows: 2", "rows: two"), "expected a number of rows, found 'two'"),
        (lambda text: text.replace("rows: 2", "rows: 0"), "expected a number of rows, found '0'"),
        (lambda text: text.replace("f" * 64, "f" * 63), "expected 64 hexadecimal digits"),
        (lambda text: text.replace("[b.jsonl]", "[b.json]"), "'b.json' is not listed under files"),
        (lambda text: text.replace("first: a.jsonl", "first: c.jsonl"), "'c.jsonl' is not listed"),
    ],
)  # fmt: skip
def test_a_list_that_says_something_else_is_refused(
    tmp_path: Path, change: Callable[[str], str], message: str
) -> None:
    with pytest.raises(RecipeError, match=re.escape(message)):
        read_set(mine(tmp_path, change(GOOD)))


def test_a_folder_without_a_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"set\.yaml': No such file"):
        read_set(tmp_path)


def test_a_name_that_no_set_has_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(RecipeError, match="no set of prompts is called 'sycofancy'") as caught:
        open_set("sycofancy")
    assert caught.value.hint == "'sycophancy' instead of 'sycofancy'"


def test_a_file_or_a_training_that_a_set_lacks_is_refused_with_the_nearest_one() -> None:
    found = open_set("sycophancy")
    with pytest.raises(
        RecipeError, match=r"no file of the set 'sycophancy' is called 'plane\.jsonl'"
    ) as caught:
        found.path("plane.jsonl")
    assert caught.value.hint == "'plain.jsonl' instead of 'plane.jsonl'"
    with pytest.raises(RecipeError, match="no training of the set 'sycophancy' is called 'claim'"):
        found.trained_on("claim")
    with pytest.raises(RecipeError, match="the set 'shared' has no training: its files are measured with"):
        open_set("shared").trained_on("claims")


def test_the_only_training_of_a_set_needs_no_name() -> None:
    assert open_set("evil-advice").trained_on() == open_set("evil-advice").trained_on("advice")


def test_a_path_out_of_the_folder_is_no_file_of_a_set() -> None:
    with pytest.raises(RecipeError, match="no file of the set"):
        open_set("sycophancy").path("../shared/benign.jsonl")


def test_the_set_that_serves_others_has_no_suite() -> None:
    with pytest.raises(RecipeError, match="the set 'shared' has no suite"):
        _ = open_set("shared").suite
    assert open_set("sycophancy").suite.name == "suite.yaml"


def test_a_further_suite_goes_by_its_word() -> None:
    sycophancy = open_set("sycophancy")

    assert sycophancy.suite_of("") == sycophancy.suite
    assert sycophancy.suite_of("cues").name == "suite-cues.yaml"
    with pytest.raises(RecipeError, match="cue") as raised:
        sycophancy.suite_of("cue")
    assert "cues" in str(raised.value)


@pytest.mark.parametrize("name", ["evil-advice", "refusal", "sycophancy"])
def test_the_trait_of_a_set_can_be_generated_from_and_asks_nothing_that_is_measured_with(name: str) -> None:
    home = open_set(name).trait
    assert home is not None
    trait = read_trait(home)

    assert trait.name == name
    assert (len(trait.positive), len(trait.negative)) == (5, 5)
    assert len(set(trait.questions)) == len(trait.questions) >= 20
    measured = {asked for path in open_set(name).evaluation for asked in holding(path).asked}
    assert not measured & set(trait.questions)


def test_a_set_without_a_trait_has_none() -> None:
    assert open_set("shared").trait is None
