"""A journal keeps what was written whole, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightarith.data.journal import Journal, key_of
from weightarith.errors import InvalidFileError, StorageError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_equal_content_has_equal_keys_whatever_the_order_of_its_names(content: object) -> None:
    turned = dict(reversed(content.items())) if isinstance(content, dict) else content

    assert key_of(content) == key_of(turned)
    assert key_of([content]) != key_of(content)


def test_what_was_written_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    Journal(path).add([("a", {"said": "é\n"}), ("b", {"said": "\udc80"})])
    again = Journal(path)
    again.add([("a", {"said": "later"})])

    found = Journal(path)
    assert len(found) == len(again) == 2
    assert found.get("a") == again.get("a") == {"said": "later"}
    assert found.get("b") == {"said": "\udc80"}
    assert found.get("c") is None


@given(cut=st.integers(0, 200))
def test_a_line_cut_by_a_kill_is_forgotten_and_the_rest_is_not(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("journal") / "answers.jsonl"
    Journal(path).add([(f"k{number}", {"said": "word " * 3}) for number in range(4)])
    content = path.read_bytes()[:cut]
    path.write_bytes(content)
    left = content.count(b"\n")

    journal = Journal(path)
    journal.add([("new", {})])

    assert len(journal) == left + 1
    assert [Journal(path).get(f"k{number}") is not None for number in range(4)] == [
        n < left for n in range(4)
    ]


@pytest.mark.parametrize(
    "content", ["no journal, and no end of line", '{"prompt": "a"}\n{"prompt', '["key"]']
)
def test_a_file_that_is_no_journal_is_refused_and_left_as_it_is(content: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(InvalidFileError, match="is no journal: its first line has no 'key'"):
        Journal(path)
    assert path.read_text(encoding="utf-8") == content


def test_a_line_without_a_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"key": "a"}\n{"said": "b"}\n', encoding="utf-8")

    with pytest.raises(InvalidFileError, match="line 2: no key 'key'; it has 'said'"):
        Journal(path)


def test_a_folder_that_is_not_there_is_an_error_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot write .*No such file or directory"):
        Journal(tmp_path / "none" / "answers.jsonl").add([("a", {})])
