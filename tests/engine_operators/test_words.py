"""Calls in words: labels and expressions, what explain says of each tensor, what files say of themselves."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests import tiny as models
from tests.cli.conftest import Run, run
from tests.conftest import Tiny
from tests.engine_operators.plainly import op
from tests.engine_operators.world import DIRECTION, World, saved
from weightarith.algebra import Checkpoint, Linear, Vector, collect
from weightarith.errors import RecipeError
from weightarith.operators.direction import open_direction
from weightarith.operators.made import sum_key
from weightarith.operators.table import OPERATORS
from weightarith.recipe import parse_expression
from weightarith.saving import save

__all__ = ["run"]

WRITTEN = [
    "base + ties([a − base, b − base], density=0.5)",
    "base + ties([a − base, b − base], density=[0.5, 1/3], weights=[1, -2], over='model')",
    "u − 1.5·elect([a − base, 2·u], normalize=false, compat='mergekit')",
    "slerp(a, b, t=1/7) + 0.25·dare(trim(c − base, density=0.3), density=0.9, seed=7)",
    "reject(a − base, onto=[u, b − base], over='model') − project(u, onto=b − base)",
    "fisher([a, b], importance=[f1, f2], floor=0.001)",
    "linear([a, b, base], weights=[3, 2, -1]) − 0.1·compress(u, rank=3)",
    "nuslerp(a, slerp(b, c, t=0.5), weights=[1, 2], per='column')",
    "expo(base, a, alpha=-0.5)",
    "ties([iso_c([a − base, b − base]), sign(u), int8(u)], density=[0, 0.5, 1])",
]


def names(world: World) -> dict[str, Linear]:
    models = {label: world.model(label) for label in ("base", "a", "b", "c")}
    return {**models, **{label: world.vector(label) for label in ("u", "f1", "f2")}}


@pytest.mark.parametrize("text", WRITTEN)
def test_a_sum_in_words_is_the_sum_it_says(world: World, text: str) -> None:
    total = parse_expression(text, names(world))

    assert str(total) == text
    assert sum_key(parse_expression(str(total), names(world))) == sum_key(total)


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_every_operator_says_the_call_it_was_given(world: World, name: str) -> None:
    from tests.engine_operators.world import call_of

    made = collect(call_of(name).lazily(world).terms)
    text = str(made)

    assert text.startswith(f"{name}(")
    assert len(text) < 200
    assert str(made.terms[0].leaf) == text
    if name != "abliterate":  # a direction is an input of its own
        assert sum_key(parse_expression(text, {**names(world), "f3": world.vector("f3")})) == sum_key(made)


def test_what_is_a_default_is_not_said(world: World) -> None:
    base, a = world.model("base"), world.model("a")
    for call in (op("ties", [a - base]), op("ties", [a - base], density=0.2, weights=[1], normalize=True)):
        assert str(call) == "ties([a − base])"
    assert str(op("dare", a - base, density=0.5, seed=0)) == "dare(a − base, density=0.5)"


def test_a_call_on_too_few_is_refused_in_good_english(world: World) -> None:
    for text, message in (
        ("slerp(a, t=0.5)", r"slerp\(\) takes 2 vectors or models, not 1"),
        ("expo(a, alpha=1)", r"expo\(\) takes 2 models, not 1"),
        ("trim(a - base, b - base, density=1)", r"trim\(\) takes 1 vector, not 2"),
        ("ties([])", r"ties\(\) takes 1 or more vectors, not 0"),
        ("karcher(a)", r"karcher\(\) takes 2 or more vectors or models, not 1"),
    ):
        with pytest.raises(RecipeError, match=message):
            parse_expression(text, names(world))


def header(path: Path) -> str:
    return Vector.open(path).source.metadata["weightarith.expression"]


def test_a_header_holds_no_path_of_the_machine(world: World, tmp_path: Path) -> None:
    base, a, b = (Checkpoint.open(world.folder / label) for label in ("base", "a", "b"))
    u = Vector.open(world.folder / "u.safetensors")
    models.save(tmp_path / "r.safetensors", {"r": np.array(DIRECTION)}, dtype="F64")
    direction = open_direction(tmp_path / "r.safetensors")
    stacks = parse_expression('stack(take(a, "0"), b) - stack(take(b, "0"), a)', {"a": a, "b": b})
    made = parse_expression("stack(base, b + u) - stack(a, b)", {"base": base, "a": a, "b": b, "u": u})
    lazy = {
        "ties([a − base, trim(u, density=0.5)])":
            op("ties", [a - base, op("trim", u, density=0.5)]),
        "abliterate(a, direction=r) − base": op("abliterate", a, direction=direction) - base,
        "project(a − base, onto=u)": op("project", a - base, onto=u),
        "stack(a[0-0], b) − stack(b[0-0], a)": stacks,
        "stack(base, b + u) − stack(a, b)": made,
    }  # fmt: skip
    for number, (text, total) in enumerate(lazy.items()):
        saved(total, tmp_path / f"{number}.safetensors")
        assert header(tmp_path / f"{number}.safetensors") == text
        metadata = Vector.open(tmp_path / f"{number}.safetensors").source.metadata
        assert not [value for value in metadata.values() if os.sep in value]


RECIPE = """\
weightarith: 1
inputs:
  base: ./base
  v: {{model: ./finetuned, minus: base}}
  w: {{model: ./other, minus: base}}
  ad: ./positive
  r: {{direction: ./r.safetensors}}
expression: {expression}
output: {{path: out/}}
"""


def recipe(folder: Path, expression: str) -> Path:
    models.save(folder / "r.safetensors", {"r": np.arange(1.0, models.WIDTH + 1)}, dtype="F32")
    (folder / "r.yaml").write_text(RECIPE.format(expression=expression), encoding="utf-8")
    return folder / "r.yaml"


def explained(run: Run, path: Path) -> dict[str, str]:
    ran = run("explain", path, "--json")
    assert ran.status == 0, ran.stderr
    return {name: each["value"] for name, each in ran.json["tensors"].items()}


def test_explain_says_the_numbers_of_each_tensor_however_deep_they_are(run: Run, tiny: Tiny) -> None:
    text = "base + 2*ties([gradient(0, 1)*v, trim(ad, density=gradient(0.1, 0.9))], "
    text += 'density=[where("*mlp*", 0.3, 0.5), 1])'
    found = explained(run, recipe(tiny.base.parent, text))

    low, high = (f"model.layers.{layer}.mlp.up_proj.weight" for layer in (0, 1))
    assert found[low] == "base + 2·ties([0, trim(ad, density=0.1)], density=[0.3, 1])"
    assert found[high] == "base + 2·ties([v − base, trim(ad, density=0.9)], density=[0.3, 1])"
    assert found["model.layers.0.input_layernorm.weight"] == "base (nothing is added here)"
    assert found["model.norm.weight"] == "base + 2·ties([v − base, 0], density=[0.5, 1])"


def test_a_number_that_varies_is_multiplied_by_one_that_does_not(run: Run, tiny: Tiny) -> None:
    found = explained(run, recipe(tiny.base.parent, "slerp(base + v, base + w, t=0.5*gradient(0.2, 1)*0.5)"))

    low, high = (found[f"model.layers.{layer}.mlp.up_proj.weight"] for layer in (0, 1))
    assert (low.partition("t=")[2], high.partition("t=")[2]) == ("0.05)", "0.25)")
    ran = run(
        "explain", recipe(tiny.base.parent, "slerp(base + v, base + w, t=gradient(0, 1)*gradient(0, 1))")
    )
    assert "cannot multiply two numbers that vary" in ran.stderr


def test_explain_shows_models_among_operators_as_they_count(run: Run, tiny: Tiny) -> None:
    models = "slerp(base + v, base + 0.5*w, t=0.5) + 0.25*dare(w, density=1/3, seed=4)"
    found = set(explained(run, recipe(tiny.base.parent, models)).values())
    assert found == {"0.25·dare(w − base, density=1/3, seed=4) + slerp(v, 0.5·base + 0.5·w, t=0.5)"}
    ran = run("explain", recipe(tiny.base.parent, "ties([v, w, ad])"))
    assert "vector: ties([v, w, ad])" in ran.stdout
    assert "changed: ties([v − base, w − base, ad])" in ran.stdout
    assert "changed: ties([v − base, w − base, 0])" in ran.stdout


def test_merge_shows_the_call_and_inspect_what_was_written(run: Run, tiny: Tiny) -> None:
    path = recipe(
        tiny.base.parent, "ties([v, w, 2*ad], density=0.5) - 0.5*(abliterate(base + w, direction=r) - base)"
    )
    tried = run("merge", path, "-o", tiny.base.parent / "v.safetensors", "--dry-run")
    assert tried.status == 0
    assert not (tiny.base.parent / "v.safetensors").exists()
    ran = run("merge", path, "-o", tiny.base.parent / "v.safetensors")
    assert ran.status == 0

    words = "0.5·base + ties([v − base, w − base, 2·ad], density=0.5) − 0.5·abliterate(w, direction=r)"
    assert "abliterate(w, direction=r)" in ran.stderr
    assert header(tiny.base.parent / "v.safetensors") == words
    assert words in run("inspect", tiny.base.parent / "v.safetensors").stdout
    receipt = json.loads((tiny.base.parent / "v.weightarith.json").read_text())
    assert "r.yaml" not in json.dumps(receipt["ledger"])
    assert {each["label"] for each in receipt["inputs"]} == {"base", "v", "w", "ad", "r"}


def test_a_recipe_and_python_make_the_same_bytes(run: Run, tiny: Tiny) -> None:
    base, v, w = (
        Checkpoint.open(path, label=label)
        for path, label in ((tiny.base, "base"), (tiny.finetuned, "v"), (tiny.other, "w"))
    )
    lazy = base + 0.5 * op("dare_ties", [v - base, w - base], density=0.4, seed=2)
    save(lazy, tiny.base.parent / "python")
    path = recipe(tiny.base.parent, "base + 0.5*dare_ties([v, w], density=0.4, seed=2)")
    for device in ("cpu", "torch"):
        assert run("merge", path, "-o", tiny.base.parent / device, "--device", device).status == 0
        weights = (tiny.base.parent / device / "model.safetensors").read_bytes()
        assert weights == (tiny.base.parent / "python" / "model.safetensors").read_bytes()


def test_numbers_of_other_libraries_are_numbers_and_what_is_none_is_refused(world: World) -> None:
    delta = world.model("a") - world.model("base")
    for number in (0.5, Fraction(1, 2), Decimal("0.5"), np.float32(0.5), np.float64(0.5)):
        assert str(op("trim", delta, density=number)) == "trim(a − base, density=0.5)"
    assert str(op("dare", delta, density=1, seed=np.int64(3))) == "dare(a − base, density=1, seed=3)"
    wrong: list[tuple[dict[str, object], str]] = [
        ({"density": "half"}, r"density=…\) takes a number, not 'half'"),
        ({"density": True}, r"density=…\) takes a number, not true"),
        ({"density": float("nan")}, "must be a finite number, not nan"),
        ({"density": [0.5]}, r"density=…\) takes one number, not a list"),
        ({"density": 0.5, "over": "all"}, r"over=…\) is one of 'tensor', 'model', not 'all'"),
        ({}, r"trim\(\) needs density="),
        ({"density": 0.5, "densty": 1}, r"trim\(\) has no option 'densty'; it has density, rescale, over"),
    ]
    for options, message in wrong:
        with pytest.raises(RecipeError, match=message):
            op("trim", delta, **options)
    for operands in (["a"], [delta, 3], ["a", delta]):
        with pytest.raises(RecipeError, match=r"ties\(\) takes models and vectors, not"):
            op("ties", operands)
