"""Strict YAML: what is read, where it stands, and everything that is refused with its place."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from weightarith.errors import RecipeError
from weightarith.recipe.strictyaml import Listing, Node, Scalar, Table, decoded, read_yaml


def plain(node: Node) -> object:
    """Return the node as Python values."""
    match node:
        case Scalar(text):
            return text
        case Listing(items):
            return [plain(item) for item in items]
        case Table(entries):
            return {key: plain(entry.value) for key, entry in entries.items()}


def read(text: str) -> object:
    return plain(read_yaml(text, "r.yaml"))


def test_a_document_is_its_texts_lists_and_tables() -> None:
    text = "a: 1\nb: [x, 'y z', {c: d}]\n# a remark\ne:\n  - f\n  - |\n    g\n    h\n"
    assert read(text) == {"a": "1", "b": ["x", "y z", {"c": "d"}], "e": ["f", "g\nh\n"]}


@pytest.mark.parametrize("text", ["1e-3", "no", "off", "012", "0x1F", "1_000", ".nan", "2001-01-01", "1:30"])
def test_no_scalar_is_taken_for_anything_but_its_characters(text: str) -> None:
    assert read(f"- {text}") == [text]


def test_keys_are_words_even_where_others_read_a_truth_value() -> None:
    assert read("no: 1\non: 2\n1: 3\n<<: 4\n") == {"no": "1", "on": "2", "1": "3", "<<": "4"}


@pytest.mark.parametrize(
    ("text", "offset", "place"),
    [
        ("a: xyz", 2, "r.yaml:1:6"),
        ("a:\n  b: 'xyz'", 2, "r.yaml:2:9"),
        ("日本: 日x", 1, "r.yaml:1:6"),
        ("a: |\n  one\n\n  two\n", 5, "r.yaml:4:3"),
        ("a: |-\n    one\n    two\n", 6, "r.yaml:3:7"),
        ("a: one\n  two", 4, "r.yaml:1:4"),  # lines that are folded: the place of the whole
        ("a: >\n  one\n  two", 4, "r.yaml:1:4"),
        ('a: "\\x41bc"', 1, "r.yaml:1:4"),
        ("a: b\r\nc: xyz\r\n", 1, "r.yaml:2:5"),
    ],
)
def test_every_character_of_a_text_knows_its_place_in_the_file(text: str, offset: int, place: str) -> None:
    node = read_yaml(text, "r.yaml")
    while not isinstance(node, Scalar):
        assert isinstance(node, Table)
        node = list(node.entries.values())[-1].value
    assert str(node.where(offset)) == place


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "r.yaml:1:1: nothing in it"),
        ("# only a remark\n", "r.yaml:1:1: nothing in it"),
        ("a: 1\nb: 2\na: 3", "r.yaml:3:1: key 'a' occurs twice, first in line 1"),
        ("a: {b: 1, b: 2}", "r.yaml:1:11: key 'b' occurs twice"),
        (BOMB, "r.yaml:1:4: an anchor or alias"),
        ("a: *b", "r.yaml:1:4: an anchor or alias"),
        (
            "a: !!python/object/apply:os.system [ls]",
            "r.yaml:1:4: a tag ('tag:yaml.org,2002:python/object/apply",
        ),
        ("a: ! b", "r.yaml:1:4: a tag ('!')"),
        ("a: !!float 1", "r.yaml:1:4: a tag"),
        ("? [a]\n: b", "r.yaml:1:3: a key must be a word"),
        ("a: 1\n---\nb: 2", "r.yaml:2:1: a second document"),
        ("%YAML 1.2\n---\na: 1", "r.yaml:1:1: a YAML directive"),
        ("%TAG ! x\n---\na: 1", "r.yaml:1:1: a YAML directive"),
        ("a: 'b", "not YAML: found unexpected end of stream"),
        ("a: [b", "not YAML: "),
        ("a: b: c", "r.yaml:1:5: not YAML: mapping values are not allowed"),
        ("\ta: b", "r.yaml:1:1: not YAML: found character"),
        ("a: @b", "r.yaml:1:4: not YAML: found character"),
        ("\ufeffa: b", "r.yaml:1:1: a byte order mark"),
        ("a: 1\nb: \x1b[2J", "r.yaml:2:4: control character U+001B"),
        ("a: 1\r\nb: x\u2028y", "r.yaml:2:5: control character U+2028"),
        ("a: \ud800", "r.yaml:1:4: control character U+D800"),
        ("[" * 50_000, "r.yaml:1:22: nested more than 20 deep"),
        ("- " * 50_000, "r.yaml:1:43: nested more than 20 deep"),
        ("{a: " * 50_000, "r.yaml:1:82: nested more than 20 deep"),
        ("a: [" + "x," * 20_000 + "]", "r.yaml:1:19999: more than 10000 values"),
        ("x" * 1_000_001, "r.yaml:1:1: 1000001 characters; at most 1000000 are read"),
    ],
)
def test_what_is_not_accepted_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read_yaml(text, "r.yaml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("r.yaml:")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a: 1\nb: caf\xe9", "r.yaml:2:7: byte 0xe9 is not UTF-8"),
        ("a: 1".encode("utf-16"), "r.yaml:1:1: byte 0xff is not UTF-8"),
        (b"\x80", "r.yaml:1:1: byte 0x80 is not UTF-8"),
    ],
)
def test_a_byte_that_is_no_utf8_is_shown_with_its_place(data: bytes, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        decoded(data, "r.yaml")
    assert message in str(caught.value)


pieces = st.sampled_from([
    *"abc:,-?!&*|>'\"%@`{}[]#\n\t ~", "\n  ", "\n- ", ": ", "a: ", "\n---\n", "|\n  ", "\u0085",
    "é", "\ufeff", "\\x00",
])  # fmt: skip


@settings(max_examples=2000, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(pieces, max_size=40).map("".join)))
@example("- |\n\n x\n y")
@example('"\\ud800"')
@example("a: >+\n\n\n  x\n\n")
def test_any_text_is_a_node_with_places_in_the_text_or_a_recipe_error(text: str) -> None:
    try:
        node = read_yaml(text, "r.yaml")
    except RecipeError:
        return
    rows = text.count("\n") + text.count("\r") + 1
    waiting: list[Node] = [node]
    while waiting:
        match waiting.pop():
            case Scalar(content) as scalar:
                assert all(scalar.where(offset).line <= rows for offset in range(len(content) + 1))
            case Listing(items):
                waiting.extend(items)
            case Table(entries):
                waiting.extend(entry.value for entry in entries.values())
