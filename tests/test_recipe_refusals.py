"""Recipes that are refused: what is said, of which place in the file, and what was meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.conftest import Tiny
from tests.recipes import FLAGSHIP, HEAD, recipe
from weightarith.errors import DegreeError, InvalidFileError, RecipeError, UnsupportedError, WeightArithError
from weightarith.recipe import Recipe, load_recipe, parse_recipe


def test_an_error_in_an_expression_names_the_place_in_the_file(tiny: Tiny) -> None:
    path = tiny.base.parent / "r.yaml"
    path.write_text(FLAGSHIP.replace("expression: base + task_ft", "expression: |\n  base +\n   task_tf"))
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    shown = " task_tf + 1.5·(refusal+ − refusal−)\n   ^\n  try: 'task_ft' instead of 'task_tf'"
    known = "base, task_ft, refusal+, refusal-"
    assert str(caught.value) == f"{path}:9:4: unknown name 'task_tf'; this recipe has {known}\n  {shown}"


def test_a_sum_without_meaning_shows_the_expression_and_what_was_meant(tiny: Tiny) -> None:
    with pytest.raises(DegreeError) as caught:
        recipe("base + ft - 0*v", folder=tiny.base.parent)
    assert str(caught.value) == (
        "recipe:6:13: this adds two models: coefficients on checkpoints sum to 2, "
        "and only 1 (a checkpoint) or 0 (a vector) has a meaning\n"
        "  base + ft - 0*v\n  ^\n  try: 0.5*(base + ft), or base + k*(ft - base)"
    )


def v(entry: str) -> str:
    """Return the recipe with another entry for the input v."""
    return HEAD.replace("./positive", entry)


def inputs(entries: str) -> str:
    """Return the recipe with other inputs."""
    return HEAD.replace("{base: ./base, v: ./positive}", entries)


BAD: list[tuple[str, str, str]] = [
    ("[]", "r.yaml:1:1: expected a recipe, a mapping (key: value), found a list of 0", ""),
    ("", "r.yaml:1:1: nothing in it", ""),
    ("just text", "r.yaml:1:1: expected a recipe, a mapping (key: value), found 'just text'", ""),
    (HEAD.replace("weightarith: 1\n", ""), "r.yaml:1:1: a recipe needs the key weightarith", ""),
    ("weightarith: 1\nexpression: x", "r.yaml:1:1: a recipe needs the key inputs", ""),
    ("weightarith: 1\ninputs: {base: x}", "r.yaml:1:1: a recipe needs the key expression", ""),
    (
        HEAD.replace(": 1", ": one"),
        "r.yaml:1:14: expected the version of the recipe format, 1, found 'one'",
        "",
    ),
    (
        HEAD.replace(": 1", ": "),
        "r.yaml:1:13: expected the version of the recipe format, 1, found nothing",
        "",
    ),
    (
        HEAD.replace("inputs", "imputs"),
        "r.yaml:2:1: unknown key 'imputs'; keys of a recipe are weightarith, ",
        "inputs",
    ),
    (inputs("[base]"), "r.yaml:2:9: expected inputs, a mapping", ""),
    (inputs("{}"), "r.yaml:2:9: no inputs", ""),
    (HEAD.replace("v: ", "my-v: "), "r.yaml:2:24: 'my-v' can be no name in an expression", "my_v"),
    (HEAD.replace("v: ", "v+: a, v+: "), "r.yaml:2:31: key 'v+' occurs twice, first in line 2", ""),
    (HEAD.replace("v: ", "v-: a, v−: "), "r.yaml:2:31: 'v−' is bound already, in line 2", ""),
    (v("[a]"), "r.yaml:2:27: expected input v, a mapping (key: value), found a list of 1", ""),
    (v("~"), "r.yaml:2:27: expected a path for v, found nothing", ""),
    (v('"a\\0b"'), "r.yaml:2:27: a path for v holds the control character U+0000", ""),
    (v("{modle: x}"), "r.yaml:2:28: unknown key 'modle'; keys of input v are", "'model'"),
    (
        v("{minus: base}"),
        "r.yaml:2:27: input v needs one of model, vector, adapter, direction; this has none",
        "",
    ),
    (v("{model: a, vector: b}"), "; this has model and vector", ""),
    (v("{model: a, minus: bse}"), "minus of v is 'bse', which is no input; other", "'base'"),
    (v("{model: a, minus: v}"), "minus of v is itself", ""),
    (v("{model: a, base: base}"), "r.yaml:2:38: base belongs to an adapter, and v is a model", ""),
    (
        v("{adapter: positive, base: base}, w: {adapter: positive, base: v}"),
        "base of w is v, which is no model",
        "",
    ),
    (
        HEAD.replace("v: ", "w: {model: a, minus: base}, v: {model: a, minus: w}, x: "),
        "minus of v is w, which is a difference itself",
        "let:",
    ),
    (HEAD + "params: {k: one}", "r.yaml:4:13: unknown name 'one'; the params are none", ""),
    (HEAD + "params: {k: .nan}", "r.yaml:4:13: unexpected character '.' (FULL STOP)", ""),
    (HEAD + "params: {k: [1]}", "r.yaml:4:13: expected a number for param k, found a list of 1", ""),
    (HEAD + "params: {k: 1e999}", "r.yaml:4:13: a number out of range: 1e999", ""),
    (HEAD + "params: {k: 1, m: 2*kk}", "r.yaml:4:21: unknown name 'kk'; the params are k", "'k'"),
    (HEAD + "params: {v: 1}", "r.yaml:2:27: 'v' is bound already, in line 4", ""),
    (HEAD + "let: {v: 1}", "r.yaml:4:7: 'v' is bound already, in line 2", ""),
    (HEAD + "let: {x: y, y: v}", "r.yaml:4:10: unknown name 'y'; this recipe has base, v", ""),
    (HEAD + "let: {x: '[v]'}", "r.yaml:4:11: x is a list, expected a sum or a number", ""),
    (HEAD + "let: {x: }", "expected an expression for x, found nothing", ""),
    (
        HEAD.replace("base + v", "[a]"),
        "r.yaml:3:13: expected an expression such as base + 0.5*v, found a list of 1",
        "",
    ),
    (HEAD.replace("base + v", "base * v"), "r.yaml:3:18: cannot multiply a model by a vector", ""),
    (HEAD.replace("base + v", "'1 + 1'"), "r.yaml:3:14: this is a number, expected a model or a vector", ""),
    (HEAD + "select: {on: v}", "r.yaml:4:9: expected select, a list, found a mapping", ""),
    (HEAD + "select: []", "r.yaml:4:9: expected select, found an empty list", ""),
    (HEAD + "select: [{scale: 1}]", "r.yaml:4:10: an entry of select needs the key on", ""),
    (HEAD + "select: [{on: v}]", "r.yaml:4:10: an entry of select needs the key scale", ""),
    (HEAD + "select: [{on: vv, scale: 1}]", "r.yaml:4:15: unknown name 'vv'; this recipe has base, v", "'v'"),
    (HEAD + "select: [{on: v, scale: v}]", "r.yaml:4:25: unknown name 'v'; the params are none", ""),
    (
        HEAD + "select: [{on: v, scale: 1, role: mpl}]",
        "r.yaml:4:34: unknown role 'mpl'; roles are embed, head",
        "'mlp'",
    ),
    (
        HEAD + "select: [{on: v, scale: 1, layers: [1, x]}]",
        "r.yaml:4:40: expected a layer or a range of layers, found 'x'",
        "5",
    ),
    (HEAD + "select: [{on: v, scale: 1, layers: 7-3}]", "r.yaml:4:36: layers 7-3 count backwards", "3-7"),
    (HEAD + "select: [{on: base, scale: 1}]", "r.yaml:4:15: base is a model, and only a vector", "minus"),
    (HEAD + "let: {x: 2}\nselect: [{on: x, scale: 1}]", "r.yaml:5:15: x is a number, and only a vector", ""),
    (HEAD + "schedule: [{on: v, values: []}]", "r.yaml:4:28: expected values, found an empty list", ""),
    (HEAD + "schedule: [{on: v, values: 1}]", "r.yaml:4:28: expected values, a list, found '1'", ""),
    (
        HEAD + "schedule: [{on: v, values: [1]}, {on: v, values: [1]}]",
        "r.yaml:4:39: v has a schedule already",
        "",
    ),
    (HEAD + "policy: {names: skip}", "r.yaml:4:17: expected names to be refuse or base, found 'skip'", ""),
    (HEAD + "policy: {name: base}", "r.yaml:4:10: unknown key 'name'; keys of policy are names", "'names'"),
    (
        HEAD + "policy: {nonfinite: base}",
        "r.yaml:4:21: expected nonfinite to be refuse or allow, found 'base'",
        "",
    ),
    (HEAD + "output: steered/", "r.yaml:4:9: expected output, a mapping (key: value), found 'steered/'", ""),
    (HEAD + "output: {path: o, dtype: bf16}", "r.yaml:4:26: expected dtype to be base or ", "'bfloat16'"),
    (HEAD + "output: {path: o, shard_size: big}", "r.yaml:4:31: expected a size, found 'big'", "5GB"),
    (HEAD + "output: {path: o, shard_size: 0.1B}", "a shard of 0.1B holds nothing", ""),
    (
        HEAD + "output: {path: o, like: bse}",
        "r.yaml:4:25: like: 'bse' is no input; inputs are base, v",
        "'base'",
    ),
    (HEAD + "output: {path: o, like: v}", "like: v, and v is no model", ""),
    (HEAD + "output: {tokenizer: bse}", "r.yaml:4:21: tokenizer: 'bse' is no input; inputs are", "'base'"),
    (HEAD + "output: {tokenizer: v}", "tokenizer: v, and v is no model", ""),
    (
        HEAD + "output: {chat_template: chatml}",
        "r.yaml:4:25: expected chat_template to be auto or",
        "{{ … }}",
    ),
    (HEAD + "output: {chat_template: ~}", "r.yaml:4:25: expected a chat template, found nothing", ""),
]


@pytest.mark.parametrize(("text", "message", "hint"), BAD)
def test_a_wrong_recipe_is_refused_with_its_place(text: str, message: str, hint: str, tiny: Tiny) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, folder=tiny.base.parent, source="r.yaml")
    assert message in str(caught.value)
    assert hint in caught.value.hint
    assert str(caught.value).startswith("r.yaml:")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "sweep: {k: [1, 2]}", "r.yaml:4:1: sweep: is not supported yet"),
        (HEAD + "include: [a]", "r.yaml:4:1: include: is not supported yet"),
        (
            "merge_method: ties\nmodels: []",
            "r.yaml:1:1: a mergekit document (merge_method: at its top) is not",
        ),
        (
            "slices: []\ndtype: bfloat16",
            "r.yaml:1:1: a mergekit document (slices: at its top) is not supported",
        ),
        (HEAD.replace(": 1", ": 2"), "r.yaml:1:14: recipe format 2 is not supported yet, only 1 is"),
        (HEAD.replace("./positive", "{model: ./positive}"), "r.yaml:2:35: input v: "),
    ],
)
def test_what_is_understood_but_not_supported_says_so(text: str, message: str, tiny: Tiny) -> None:
    with pytest.raises(UnsupportedError) as caught:
        parse_recipe(text, folder=tiny.base.parent, source="r.yaml")
    assert message in str(caught.value)
    assert caught.value.exit_code == 10


@pytest.mark.parametrize("path", ["./nowhere", "/no/where", "../x", "x" * 5000, "not a path"])
def test_an_input_that_is_not_there_is_named_with_its_line(path: str, tiny: Tiny) -> None:
    with pytest.raises(InvalidFileError) as caught:
        parse_recipe(HEAD.replace("./positive", path), folder=tiny.base.parent, source="r.yaml")
    assert str(caught.value).startswith("r.yaml:2:27: input v: ")
    assert caught.value.exit_code == 3


def test_a_text_that_means_nothing_is_told_before_any_input_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="unknown name 'w'"):
        parse_recipe(HEAD.replace("base + v", "base + w"), folder=tmp_path)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"kk": "1"}, "-p 'kk': no such param; params are k\n  try: 'k' instead of 'kk'"),
        ({"k": "x"}, "-p k: unknown name 'x'; the params are none\n  x\n  ^"),
        ({"k": "nan"}, "-p k: unknown name 'nan'"),
        ({"k": ""}, "-p k: an empty expression"),
        ({"k": "1e999"}, "-p k: a number out of range"),
    ],
)
def test_a_param_from_outside_is_a_number_and_declared(
    params: dict[str, str], message: str, tiny: Tiny
) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe("base + k*v", "params: {k: 1}\n", folder=tiny.base.parent, **params)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path, "no such file"),
        (lambda path: path.mkdir(), "it is a folder"),
        (lambda path: path.write_bytes(b"weightarith: \xff"), "r.yaml:1:14: byte 0xff is not UTF-8"),
        (lambda path: path.write_bytes(b"#" * 1_000_001), "r.yaml:1:1: 1000001 characters"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(
    make: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "r.yaml"
    make(path)
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(path)
    assert str(path) in str(caught.value)


lines = st.sampled_from([
    *HEAD.splitlines(), "expression: base + 2*v", "params: {k: 1}", "let: {x: v}", "let:", "  y: 2*v",
    "select: [{on: v, role: mlp, scale: 2}]", "schedule: [{on: v, values: [0, k]}]", "output: {path: o}",
    "policy: {names: base}", "select:", "  - {on: x, scale: 0}", "inputs:", "  base: ./base",
    "  v: {adapter: ./positive}", "  x: k*base",
    "  w: {model: ./base, minus: base}", "sweep: 1", "# remark", "  -", "a: &a", "[", "{", "'", "\t",
])  # fmt: skip


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.lists(lines, max_size=12, unique=True).map("\n".join), st.text(max_size=50)))
@example(HEAD)
def test_any_text_is_a_recipe_or_an_error_for_people(tiny: Tiny, text: str) -> None:
    try:
        found: object = parse_recipe(text, folder=tiny.base.parent)
    except WeightArithError as error:
        found = error
    assert isinstance(found, Recipe) or str(found).startswith("recipe:")
