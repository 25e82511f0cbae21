"""Recipes: what a document means, and that it means the same as Python."""

from __future__ import annotations

import dataclasses
import json
import shutil
from fractions import Fraction
from pathlib import Path

import pytest

from tests import tiny as models
from tests.conftest import Tiny
from tests.expressions import coefficients
from tests.recipes import FLAGSHIP, HEAD, recipe
from weightarith.algebra import Checkpoint, Vector
from weightarith.engine.settings import UNNAMED, Output, Policy
from weightarith.errors import RecipeError
from weightarith.recipe import load_recipe, parse_recipe
from weightarith.tensorfile.dtypes import DTYPES
from weightarith.weighting import Rule, Schedule, Selection

RECIPES = sorted((Path(__file__).parent.parent / "recipes").glob("*.yaml"))
UP = "model.layers.0.mlp.up_proj.weight"


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


def test_a_recipe_is_a_value(tiny: Tiny) -> None:
    found = parse_recipe(HEAD, folder=tiny.base.parent)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.text = ""  # type: ignore[misc]
