"""JSON Lines: every line an object, and what is not is named by file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightarith.data import lines
from weightarith.data.lines import Line, read_lines
from weightarith.errors import InvalidFileError

TEXT = st.text(st.characters(codec="utf-8"))
OBJECTS = st.dictionaries(TEXT, st.one_of(TEXT, st.integers(), st.none(), st.booleans(), st.lists(TEXT)))


def whole(line: Line) -> tuple[int, dict[str, Any]]:
    return line.number, dict(line.content)


def refused(path: Path) -> InvalidFileError:
    with pytest.raises(InvalidFileError) as caught:
        read_lines(path, whole)
    return caught.value


@given(rows=st.lists(OBJECTS, min_size=1), ended=st.booleans())
def test_what_json_writes_a_line_each_is_read_back(
    rows: list[dict[str, Any]], ended: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("lines") / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n" * ended, encoding="utf-8")

    assert read_lines(path, whole) == list(enumerate(rows, 1))


def test_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\r\n{"a": 2}\r\n')

    assert [content for _, content in read_lines(path, whole)] == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("", "line 2: the line is empty"),
        ("  ", "line 2: the line is empty"),
        ('{"a": }', "line 2: no JSON: Expecting value at column 7"),
        ('{"a": 1} {"a": 2}', "line 2: no JSON: Extra data at column 10"),
        ("{'a': 1}", "line 2: no JSON"),
        ('{"a": NaN}', "line 2: NaN is no number of JSON"),
        ('{"a": -Infinity}', "line 2: -Infinity is no number of JSON"),
        ('{"a": ' + "1" * 5000 + "}", "line 2: a number is too long"),
        ('{"a": 1, "a": 2}', "line 2: the key 'a' stands there twice"),
        ('{"b": {"a": 1, "a": 2}}', "line 2: the key 'a' stands there twice"),
        ("[1]", "line 2: a list, expected an object"),
        ('"a"', "line 2: text, expected an object"),
        ("1.5", "line 2: a number, expected an object"),
        ("true", "line 2: a truth value, expected an object"),
        ("null", "line 2: null or absent, expected an object"),
        ("[" * 100_000, "line 2: nested too deeply"),
    ],
)
def test_a_line_that_is_no_object_is_named(second: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"a": 1}}\n{second}\n{{"a": 3}}\n', encoding="utf-8")

    error = refused(path)

    assert error.message.startswith(f"'{path}', {said}")


def test_a_file_without_lines_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("", encoding="utf-8")

    error = refused(path)

    assert error.message == f"'{path}' holds no lines"
    assert error.hint == "one JSON object a line is expected"


def test_a_file_that_is_not_utf_8_is_refused_by_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes('{"a": "é"}'.encode("latin-1"))

    assert refused(path).message == f"'{path}' is not UTF-8: byte 7"


def test_a_file_that_is_not_there_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "No such file or directory" in refused(tmp_path / "none.jsonl").message
    assert "Is a directory" in refused(tmp_path).message


def test_a_file_larger_than_data_for_steering_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LARGEST", 1 << 20)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b" " * ((1 << 20) + 1))

    assert refused(path).message == f"'{path}' is larger than 1 MiB"


def line(**content: object) -> Line:
    return Line(Path("rows.jsonl"), 4, content)


def test_an_unknown_key_is_named_with_those_that_are_known_and_the_nearest() -> None:
    with pytest.raises(InvalidFileError) as caught:
        line(promt="a").only("prompt", "id")

    assert caught.value.message == "'rows.jsonl', line 4: unknown key 'promt', expected prompt, id"
    assert caught.value.hint == "did you mean 'prompt'?"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (line(other=1), "no key 'a'; it has 'other'"),
        (line(), "no key 'a'; it has none"),
        (line(a=3), "'a' is a number, expected text"),
        (line(a=None), "'a' is null or absent, expected text"),
        (line(a=" \n"), "'a' is empty"),
    ],
)
def test_what_is_no_text_is_told_as_what_it_is(found: Line, said: str) -> None:
    with pytest.raises(InvalidFileError, match=f"^'rows.jsonl', line 4: {said}$"):
        found.text("a")


def test_a_default_stands_in_for_an_absent_key_only() -> None:
    assert line().text("a", "") == ""
    with pytest.raises(InvalidFileError, match="'a' is empty"):
        line(a="").text("a", "x")


@pytest.mark.parametrize("value", [[], "a", None, ["a", ""], ["a", 3]])
def test_texts_are_a_list_of_at_least_one_text_that_is_not_blank(value: object) -> None:
    assert line(a=["x", " y"]).texts("a") == ("x", " y")
    with pytest.raises(InvalidFileError, match=r"expected (a list of texts|texts that are not empty)"):
        line(a=value).texts("a")
