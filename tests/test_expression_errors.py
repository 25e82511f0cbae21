"""Expression text that is refused: what is said of it, and where the error points."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.expressions import BASE, NAMES, V
from weightarith.algebra import Linear, Number, Sum
from weightarith.errors import RecipeError
from weightarith.recipe import parse_expression
from weightarith.recipe.caret import Passage


def refusal(text: str, names: Mapping[str, Linear | Number] = NAMES) -> str:
    with pytest.raises(RecipeError) as caught:
        parse_expression(text, names)
    assert caught.value.exit_code == 2
    return str(caught.value)


UNKNOWN = "this expression has base, honest"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "base + 0.8 * honst",
            f"unknown name 'honst'; {UNKNOWN}\n  base + 0.8 * honst\n               ^\n  try: 'honest' inst",
        ),
        ("honst- - base", f"unknown name 'honst-'; {UNKNOWN}\n  honst- - base\n  ^\n  try: 'honest'"),
        ("base +\n\n  2*xyz", f"unknown name 'xyz'; {UNKNOWN}\n    2*xyz\n      ^"),
        ("base + (日本 + 1)", f"unknown name '日本'; {UNKNOWN}\n  base + (日本 + 1)\n          ^"),
    ],
)
def test_an_unknown_name_is_shown_with_those_that_are_known(text: str, shown: str) -> None:
    assert refusal(text, {"base": BASE, "honest": V}).startswith(shown)


@pytest.mark.parametrize(
    ("text", "marked", "message"),
    [
        ("", "", "an empty expression"),
        (" \n ", "", "an empty expression"),
        ("v +", "", "expected a value after '+', but the expression ends"),
        ("v + \n ", "", "expected a value after '+', but the expression ends"),
        ("v ** 2", "* 2", "there are no powers"),
        ("* v", "* v", "expected a value, but '*' stands there"),
        ("(v", "(v", "'(' is never closed"),
        ("2*(v + [w)", ")", "')' closes nothing"),
        ("v)", ")", "')' closes nothing"),
        ("v, w", ", w", "',' does not belong here"),
        ("v = w", "= w", "'=' does not belong here"),
        ("2 v", "v", "write * to multiply: 2 * v"),
        ("2v", "v", "write * to multiply: 2*v"),
        ("2 (v)", "(v)", "two values with nothing between them"),
        ("v w", "w", "write * to multiply: v * w"),
        ("(v)(w)", "(w)", "two values with nothing between them"),
        ("v(2)", "v(2)", "'v' is a name, not a function"),
        ("1_000*v", "1_000*v", "write 1000; digits are not grouped"),
        ("v*1.2.3", "1.2.3", "'1.2.3' is not a number"),
        ("v*2e", "2e", "'2e' is not a number"),
        ("v*1e400", "1e400", "a number out of range: 1e400"),
        ("v*1e-999999999", "1e-999999999", "a number out of range"),
        ("v*" + "9" * 101, "9" * 101, "a number out of range"),
        ("1e200*1e200*v", "*1e200*v", "a coefficient out of range"),
        ("1e200*(1e200*v)", "1e200*(1e200*v)", "a coefficient out of range"),
        ("v*w", "*w", "cannot multiply a vector by a vector"),
        ("base*ft", "*ft", "cannot multiply a model by a model"),
        ("1/v", "/v", "cannot divide by a vector"),
        ("v/(1 - 1)", "1 - 1)", "division by zero"),
        ("2 + v", "+ v", "cannot add a number and a vector"),
        ("v - 2", "- 2", "cannot subtract a vector and a number"),
        ("base + ft + t", "+ t", "cannot add a model and a number"),
        ("2*t", "2*t", "this is a number, expected a model or a vector"),
        ("[v]", "[v]", "this is a list, expected a model or a vector"),
        ("'v'", "'v'", "this is a text, expected a model or a vector"),
        ("v + 'w'", "+ 'w'", "cannot add a vector and a text"),
        ("2*'w'", "'w'", "cannot multiply a text"),
        ("-'w'", "-'w'", "cannot turn the sign of a text"),
        ("'v", "'v", "the text that starts here has no closing '"),
        ("v @ w", "@ w", "unexpected character '@' (COMMERCIAL AT)"),
        ("v + \u200bw", "\u200bw", "unexpected character U+200B (ZERO WIDTH SPACE)"),
        ("٣*v", "٣*v", "unexpected character '٣' (ARABIC-INDIC DIGIT THREE)"),
        ("projct(v, onto=w)", "projct(v, onto=w)", "'project' instead of 'projct'"),
        ("maen(v)", "maen(v)", "'mean' instead of 'maen'"),
        ("2*mean", "mean", "mean is a function, not a name"),
        ("mean()", "mean()", "mean() of nothing"),
        ("mean(v, 2)", "2)", "mean() takes models and vectors, or numbers alone; this is a number"),
        ("mean(v, k=2)", "k=2)", "unknown option k; this function takes none"),
        ("restrict(v, k=2, v)", "v)", "a value after an option"),
        ("restrict(v, role='q', role='k')", "role='k')", "option role is given twice"),
        ("restrict(v)", "restrict(v)", "restrict() takes a condition"),
        ("restrict(v, w, role='q')", "restrict(v, w, role='q')", "takes one vector, not 2 values"),
        ("restrict(ft, role='q')", "ft, role='q')", "restrict() takes a vector, and this is a model"),
        ("restrict(v, rol='q')", "rol='q')", "'role' instead of 'rol'"),
        ("restrict(v, role='mpl')", "'mpl')", "unknown role 'mpl'"),
        ("restrict(v, role=2)", "2)", 'role takes a text in quotes such as "mlp", and this is a number'),
        ("restrict(v, role='')", "'')", "and this is empty"),
        ("restrict(v, role=[])", "[])", "role is given an empty list"),
        ("restrict(v, layers='x')", "'x')", "expected a layer or a range of layers, found 'x'"),
        ("restrict(v, layers='8-2')", "'8-2')", "layers 8-2 count backwards"),
        ("restrict(v, layers=1/2)", "1/2)", "layers takes a text in quotes"),
        ("restrict(v, name=['a', 'b'])", "'b'])", "name is one pattern"),
        ("(" * 101 + "v" + ")" * 101, "(v" + ")" * 101, "nested more than 100 deep"),
    ],
)
def test_an_error_points_at_the_character_it_is_about(text: str, marked: str, message: str) -> None:
    at = len(text.rstrip()) - len(marked)
    shown = refusal(text).split("\n")
    assert message in "\n".join(shown)
    caret = next(index for index, line in enumerate(shown) if line.strip() == "^")
    line = text.split("\n")[text[:at].count("\n")]
    if len(line) < 90:
        assert shown[caret - 1] == f"  {line.replace(chr(0x200B), '�')}"
        assert shown[caret].index("^") - 2 == at - (text.rfind("\n", 0, at) + 1)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("日本 + x", 7),  # two wide characters take four columns
        ("e\u0301 + x", 4),  # a combining mark takes none
        ("\u1112\u1161\u11ab x", 3),  # jamo make one wide syllable
        ("\tv + x", 5),
        ("v + 🦙 x", 7),
    ],
)
def test_the_caret_stands_under_its_character_on_a_terminal(text: str, columns: int) -> None:
    error = Passage(text).error(text.index("x"), "here")
    assert error.message.split("\n")[-1] == "  " + " " * columns + "^"


def test_a_caret_for_a_combining_mark_stands_under_its_letter() -> None:
    text = unicodedata.normalize("NFD", "2*é")
    assert Passage(text).error(3, "here").message.split("\n")[-1] == "    ^"


def test_a_long_line_is_cut_around_the_caret() -> None:
    shown = refusal("v + " * 5000 + "x + " + "v + " * 5000 + "v").split("\n")
    assert len(shown[1]) < 110
    assert shown[1][shown[2].index("^")] == "x"


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    shown = refusal("v + \x1b[2Jx")
    assert "\x1b" not in shown
    assert "U+001B" in shown


def test_a_million_characters_are_refused_at_once() -> None:
    assert "at most 65536 are read" in refusal("v+" * 500_000 + "v")


def test_a_name_that_no_expression_could_hold_is_refused() -> None:
    for name in ("my-model", "1st", "", "a b", "+"):
        with pytest.raises(RecipeError, match="can be no name in an expression"):
            parse_expression("v", {name: V})


pieces = st.sampled_from(
    [*"+-*/()[],=.'\"·×−÷ \n_eE019", *NAMES, "mean(", "restrict(", "layers=", "1e-3", "日", "é"]
)


@settings(max_examples=2000, deadline=None)
@given(st.one_of(st.text(max_size=40), st.lists(pieces, max_size=25).map("".join)))
@example("a" + "+" * 5000)
@example("(" * 60_000)
@example("-(" * 100 + "v" + ")" * 100)
@example("[" * 100)
@example("mean(" * 100 + "v")
@example("\ud800")
@example("\x00")
def test_any_text_is_a_sum_or_a_recipe_error(text: str) -> None:
    try:
        total: object = parse_expression(text, NAMES)
    except RecipeError as error:
        total = error
    assert isinstance(total, Sum) or "^" in str(total)
