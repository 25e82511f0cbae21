"""Recipes: what a document means, that it means the same as Python, and how a wrong one is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests import tiny as models
from tests.conftest import Tiny
from weightarith.algebra import Checkpoint, Linear, Vector
from weightarith.engine.settings import UNNAMED, Output, Policy
from weightarith.errors import DegreeError, InvalidFileError, RecipeError, UnsupportedError, WeightArithError
from weightarith.recipe import Recipe, load_recipe, parse_recipe
from weightarith.tensorfile.dtypes import DTYPES
from weightarith.weighting import Rule, Schedule, Selection

RECIPES = sorted((Path(__file__).parent.parent / "recipes").glob("*.yaml"))
UP = "model.layers.0.mlp.up_proj.weight"

FLAGSHIP = """\
weightarith: 1
inputs:
  base: ./base
  task_ft: {model: ./finetuned, minus: base}             # the task vector of a fine-tune
  refusal+: ./positive                          # checkpoint or adapter folder
  refusal-: ./negative
expression: base + task_ft + 1.5·(refusal+ − refusal−)
output: {path: steered/, dtype: base, shard_size: 5GB}
"""


def coefficients(total: Linear) -> dict[str, Fraction]:
    return {term.leaf.label: term.coefficient for term in total.terms if term.coefficient}


def recipe(expression: str, more: str = "", *, inputs: str = "", folder: Path, **params: str) -> Recipe:
    text = f"weightarith: 1\ninputs:\n  base: ./base\n  ft: ./finetuned\n  v: ./positive\n{inputs}"
    return parse_recipe(f"{text}expression: {expression}\n{more}", folder=folder, params=params)


def test_the_flagship_recipe_builds_the_sum_that_python_builds(tiny: Tiny) -> None:
    found = parse_recipe(FLAGSHIP, folder=tiny.base.parent)
    base, ft = Checkpoint.open(tiny.base, label="base"), Checkpoint.open(tiny.finetuned, label="task_ft")
    positive = Vector.open(tiny.positive, label="refusal+")
    negative = Vector.open(tiny.negative, label="refusal-")
    expected = base + (ft - base) + 1.5 * (positive - negative)
    assert coefficients(found.total) == coefficients(expected)
    assert {term.leaf.key for term in found.total.terms} == {term.leaf.key for term in expected.terms}
    assert found.total.kind == "checkpoint"
    assert found.output == Output(tiny.base.parent / "steered", None, 5_000_000_000)
    assert found.policy == Policy()
    assert found.text == FLAGSHIP
    assert found.expression == "base + task_ft + 1.5·(refusal+ − refusal−)"
    assert list(found.inputs) == ["base", "task_ft", "refusal+", "refusal-"]
    assert found.warnings == ()


ADAPTERS = ("refusal-positive", "refusal-negative", "style-adapter", "toxic-adapter")


@pytest.fixture
def kitchen(tmp_path: Path) -> Path:
    """Return a folder with everything the recipes of the repository name."""
    base = models.weights(depth=24)
    for seed, name in enumerate(("base", "chat", "math-finetune", "code-finetune")):
        models.checkpoint(tmp_path / name, models.finetuned(base, seed=seed) if seed else base)
    for seed, name in enumerate(ADAPTERS):
        models.adapter(tmp_path / name, depth=24, seed=seed)
    for path in RECIPES:
        shutil.copy(path, tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_of_the_repository_is_read_without_a_warning(path: Path, kitchen: Path) -> None:
    found = load_recipe(kitchen / path.name)
    assert found.total.kind == ("vector" if path.stem == "contrast" else "checkpoint")
    assert found.warnings == ()
    assert found.output is not None
    assert found.output.path.parent == kitchen
    for term in found.total.terms:
        names = [name for leaf in term.leaf.leaves for name in (*leaf.source.tensors, *leaf.source.factors)]
        for weighting in term.weightings:
            weighting.check(names)


def test_params_are_numbers_that_can_be_given_from_outside(tiny: Tiny) -> None:
    params = "params: {k: 1e-3, m: 2*k, n: 012}\n"
    folder = tiny.base.parent
    found = recipe("base + k*v + (m/n)*v", params, folder=folder)
    assert coefficients(found.total)["v"] == Fraction("0.001") + Fraction(2, 12_000)
    assert coefficients(recipe("base + k*v", params, folder=folder, k="1/3").total)["v"] == Fraction(1, 3)
    assert coefficients(recipe("base + m*v", params, folder=folder, k="−2").total)["v"] == -4


def test_a_let_names_a_part_and_uses_those_before_it(tiny: Tiny) -> None:
    lets = "let:\n  half: 1/2\n  task: ft - base\n  both: half*(task + v)\n"
    found = recipe("base + both", lets, folder=tiny.base.parent)
    assert coefficients(found.total) == {"base": Fraction(1, 2), "ft": Fraction(1, 2), "v": Fraction(1, 2)}
    assert found.warnings == ()


def test_a_selection_holds_for_one_name_and_the_last_match_wins(tiny: Tiny) -> None:
    more = (
        "params: {k: 3}\nselect:\n"
        "  - {on: v, role: mlp, scale: 0}\n"
        "  - {on: v, layers: [0, '1-1'], name: '*.up_proj.*', scale: k/2}\n"
    )
    (_, term) = recipe("base + 2*v", more, folder=tiny.base.parent).total.terms
    rules = (
        Rule(Fraction(0), roles=("mlp",)),
        Rule(Fraction(3, 2), (0, 0), pattern="*.up_proj.*"),
        Rule(Fraction(3, 2), (1, 1), pattern="*.up_proj.*"),
    )
    assert term.weightings == (Selection(rules),)
    assert term.at(UP, 2) == 3
    assert term.at("model.layers.0.mlp.down_proj.weight", 2) == 0
    assert term.at("model.layers.0.self_attn.q_proj.weight", 2) == 2


def test_a_schedule_varies_over_depth(tiny: Tiny) -> None:
    more = "let: {task: ft - base}\nschedule: [{on: task, values: [0, 1, 1/2], elsewhere: .25}]\n"
    total = recipe("base + task", more, folder=tiny.base.parent).total
    assert [term.coefficient for term in total.terms] == [1, 1, -1]
    assert total.terms[1].weightings == (
        Schedule((Fraction(0), Fraction(1), Fraction(1, 2)), elsewhere=Fraction(1, 4)),
    )
    assert total.kind == "checkpoint"


def test_a_difference_can_be_declared_among_the_inputs(tiny: Tiny) -> None:
    found = recipe("base + d", inputs="  d: {model: ./other, minus: ft}\n", folder=tiny.base.parent)
    assert coefficients(found.total) == {"base": 1, "d": 1, "ft": -1}


def test_one_model_under_two_names_is_one_input(tiny: Tiny) -> None:
    found = recipe("ft - twin + base", inputs="  twin: {model: finetuned/}\n", folder=tiny.base.parent)
    assert coefficients(found.total) == {"base": 1}


def test_an_adapter_with_fully_trained_tensors_is_read_beside_its_base(tiny: Tiny) -> None:
    _train_fully(tiny.positive)
    found = recipe("ft + v", folder=tiny.base.parent)
    leaf = found.inputs["v"]
    assert isinstance(leaf, Vector)
    assert leaf.base is found.inputs["base"]
    named = recipe("ft + w", inputs="  w: {adapter: ./positive, base: ft}\n", folder=tiny.base.parent)
    leaf = named.inputs["w"]
    assert isinstance(leaf, Vector)
    assert leaf.base is named.inputs["ft"]


def test_an_adapter_with_fully_trained_tensors_and_no_base_is_refused(tiny: Tiny) -> None:
    _train_fully(tiny.positive)
    text = "weightarith: 1\ninputs: {m: ./base, v: ./positive}\nexpression: m + v\n"
    with pytest.raises(
        RecipeError, match=r"recipe:2:24: v holds fully trained tensors, 'lm_head\.weight'"
    ) as caught:
        parse_recipe(text, folder=tiny.base.parent)
    assert caught.value.hint == "{adapter: ./positive, base: NAME} where NAME is an input that is a model"


def _train_fully(folder: Path) -> None:
    file = folder / "adapter_model.safetensors"
    head = {"base_model.model.lm_head.weight": models.weights()["lm_head.weight"]}
    models.save(file, models.load(file) | head, dtype="F32")
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"modules_to_save": ["lm_head"]}))


def test_what_is_never_used_is_a_warning(tiny: Tiny) -> None:
    more = "params: {k: 1, m: 2}\nlet: {x: k*v, y: ft}\n"
    found = recipe("base", more, folder=tiny.base.parent)
    assert found.warnings == (
        "recipe:7:10: param k is never used",
        "recipe:7:16: param m is never used",
        "recipe:4:7: input ft is never used",
        "recipe:5:6: input v is never used",
        "recipe:8:7: let x is never used",
        "recipe:8:15: let y is never used",
    )
    used = "params: {k: 1}\nselect: [{on: v, scale: k}]\noutput: {path: o, like: ft}\n"
    assert recipe("base + v", used, folder=tiny.base.parent).warnings == ()
    assert recipe("base + v", "output: {tokenizer: ft}\n", folder=tiny.base.parent).warnings == ()


def test_an_output_may_say_its_form_and_no_path(tiny: Tiny) -> None:
    more = "output: {dtype: float32, like: ft, tokenizer: base, chat_template: auto}\n"
    found = recipe("base + v", more, folder=tiny.base.parent)

    assert found.output is not None
    assert (found.output.path, found.output.like, found.output.tokenizer) == (UNNAMED, "ft", "base")
    assert found.output.chat_template == "auto"
    assert [model.label for model in found.output.others] == ["ft"]


def test_policy_and_output_are_what_they_say(tiny: Tiny) -> None:
    more = (
        "policy: {names: base, vocabulary: base, integers: base, nonfinite: allow}\n"
        "output: {path: o.safetensors, dtype: float16, shard_size: 1.5 MiB, like: ft}\n"
    )
    found = recipe("base + 0*ft + 0*v", more, folder=tiny.base.parent)
    assert found.policy == Policy("base", "base", "base", "allow")
    assert found.output == Output(tiny.base.parent / "o.safetensors", DTYPES["F16"], 3 << 19, "ft")


@pytest.mark.parametrize(
    ("size", "count"), [("5GB", 5 * 10**9), ("2kB", 2000), ("7", 7), ("1KiB", 1024), ("3 T", 3 * 10**12)]
)
def test_a_size_counts_thousands_unless_it_says_otherwise(size: str, count: int, tiny: Tiny) -> None:
    found = recipe("base", f"output: {{path: o, shard_size: {size}}}\n", folder=tiny.base.parent)
    assert found.output is not None
    assert found.output.shard_bytes == count


def test_a_file_is_read_and_its_paths_are_relative_to_it(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny.base.parent / "r.yaml"
    path.write_text(FLAGSHIP, encoding="utf-8")
    monkeypatch.chdir(tiny.base)
    assert coefficients(load_recipe(path).total) == coefficients(load_recipe(Path("../r.yaml")).total)


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


HEAD = "weightarith: 1\ninputs: {base: ./base, v: ./positive}\nexpression: base + v\n"


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


def test_a_recipe_is_a_value(tiny: Tiny) -> None:
    found = parse_recipe(HEAD, folder=tiny.base.parent)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.text = ""  # type: ignore[misc]
