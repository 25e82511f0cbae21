"""Files of tokenizers, of every form: what is compared, and what is no tokenizer."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.speaking import edit_json, planned, three
from weightarith.errors import InvalidFileError, StorageError, UnsupportedError, WeightArithError

MEAN = "0.5*a + 0.5*b"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return three(tmp_path)


def refused(folder: Path, kind: type[WeightArithError] = UnsupportedError) -> str:
    with pytest.raises(kind) as caught:
        planned(folder, MEAN, "tokenizer: a")
    return caught.value.message


def old_files(folder: Path, **beside: bytes) -> None:
    """Take the tokenizer of today's form away and put files of older forms there."""
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    for name, content in beside.items():
        (folder / name.replace("__", ".")).write_bytes(content)


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ({"tokenizer__model": b"1"}, {"tokenizer__model": b"1"}, ""),
        (
            {"tokenizer__model": b"1"},
            {"tokenizer__model": b"2"},
            "the tokenizer.model of a and that of b are different files",
        ),
        (
            {"tokenizer__model": b"1", "added_tokens__json": b'{"<x>": 39}'},
            {"tokenizer__model": b"1", "added_tokens__json": b'{"<x>": 38}'},
            "token '<x>' is 39 in a and 38 in b",
        ),
        ({"vocab__txt": b"a\nb\n"}, {"vocab__txt": b"a\nb"}, ""),
        ({"vocab__txt": b"a\nb\n"}, {"vocab__txt": b"b\na\n"}, "token 'a' is 0 in a and 1 in b"),
        (
            {"vocab__json": b'{"a": 0}', "merges__txt": b"#version: 0.2\na b\n"},
            {"vocab__json": b'{"a": 0}', "merges__txt": b"a b"},
            "",
        ),
        (
            {"vocab__json": b'{"a": 0}', "merges__txt": b"a b\nc d\n"},
            {"vocab__json": b'{"a": 0}', "merges__txt": b"a b"},
            "merge 1 is 'c d' in a and none in b",
        ),
        (
            {"x__tiktoken": b"1"},
            {"x__tiktoken": b"2"},
            "the x.tiktoken of a and that of b are different files",
        ),
        (
            {"vocab__txt": b"a"},
            {"tokenizer__model": b"1"},
            "a has vocab.txt and b tokenizer.model, and these are not compared",
        ),
        (
            {"tokenizer__model": b"1", "vocab__txt": b"a"},
            {"vocab__txt": b"a"},
            "",
        ),
    ],
)
def test_files_of_older_forms_are_compared_as_they_can_be(
    folder: Path, first: dict[str, bytes], second: dict[str, bytes], text: str
) -> None:
    old_files(folder / "a", **first)
    old_files(folder / "b", **second)

    if text:
        assert refused(folder) == f"the tokens of b are not those of a: {text}"
    else:
        assert planned(folder, MEAN, "tokenizer: a").warnings == ()


def test_pieces_with_scores_are_counted_from_0(folder: Path) -> None:
    for name, pieces in (("a", ["x", "y"]), ("b", ["y", "x"])):
        vocabulary = {"type": "Unigram", "vocab": [[piece, -1.5] for piece in pieces]}
        edit_json(folder / name / "tokenizer.json", model=vocabulary, added_tokens=None)

    assert refused(folder).endswith("token 'x' is 0 in a and 1 in b")


def _model(content: dict[str, Any]) -> None:
    content["model"] = 3


def _vocabulary(content: dict[str, Any]) -> None:
    content["model"]["vocab"] = [["x", 1], 7]


def _id(content: dict[str, Any]) -> None:
    content["model"]["vocab"]["a"] = "3"


def _merge(content: dict[str, Any]) -> None:
    content["model"]["merges"] = [["a", 3]]


def _merge_list(content: dict[str, Any]) -> None:
    content["model"]["merges"] = 5


def _added(content: dict[str, Any]) -> None:
    content["added_tokens"] = [{"content": ["x"], "id": 3}]


def _added_list(content: dict[str, Any]) -> None:
    content["added_tokens"] = 5


@pytest.mark.parametrize("spoil", [_model, _vocabulary, _id, _merge, _merge_list, _added, _added_list])
def test_a_tokenizer_that_is_none_is_an_error_if_asked_for_and_else_a_warning(
    folder: Path, spoil: Callable[[dict[str, Any]], None]
) -> None:
    path = folder / "b" / "tokenizer.json"
    content = json.loads(path.read_text())
    spoil(content)
    path.write_text(json.dumps(content))

    assert str(path) in refused(folder, InvalidFileError)
    (warning,) = planned(folder, MEAN).warnings
    assert warning.startswith("nothing shows that the tokens of b are those of a: ")


def test_tokens_added_under_no_number_are_refused(folder: Path) -> None:
    edit_json(folder / "b" / "tokenizer_config.json", added_tokens_decoder={"x": {"content": "<x>"}})

    text = refused(folder, InvalidFileError)

    assert text.endswith("added_tokens_decoder has 'x', expected an id")


def test_text_of_another_encoding_is_no_tokenizer(folder: Path) -> None:
    for name, content in (("a", b"a"), ("b", b"\xff")):
        old_files(folder / name, vocab__txt=content)

    assert refused(folder, InvalidFileError).endswith("b/vocab.txt is not UTF-8: invalid start byte")


def test_a_tokenizer_the_disk_does_not_give_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "open", fail)

    with pytest.raises(StorageError, match=r"cannot compare .*: Input/output error"):
        planned(folder, MEAN)
