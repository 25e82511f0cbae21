"""Operators from a user's own Python file: whatever they answer with, they run as those of the package do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import tiny as models
from tests.cli.conftest import Run, run
from tests.conftest import Tiny
from tests.engine_operators.plainly import DEVICES
from weightarith.algebra import Checkpoint
from weightarith.errors import RecipeError
from weightarith.operators.outside import load_operators
from weightarith.recipe import load_recipe
from weightarith.saving import save

__all__ = ["run"]

HEAD = """\
from array_api_compat import array_namespace
from weightarith import Blockwise, Mixed, Operator, Option, Product, Rowwise, Whole
"""
OPERATORS = (
    HEAD
    + '''
BY = Option("by", default=2.0, low=1)

def blockwise(field, *, by):
    """Divide a vector."""
    return Blockwise(lambda values, start: values[0] / by)

def rowwise(field):
    return Rowwise(lambda values, first: values[0] - values[0].max(-1)[..., None] if hasattr(values, "ndim")
                   and type(values).__name__ == "ndarray" else values[0] - values[0].amax(-1)[..., None])

def whole(field):
    (matrix,) = field.whole()
    return Whole(matrix * field.depth)

def mixed(field):
    return Mixed((0.25,) * len(field.keys))

def product(field):
    if len(field.shape) != 2:
        return Mixed((0.0,))
    (matrix,) = field.whole()
    return Product(matrix[:, :1], matrix[:1, :])

def measured(model, **options):
    return float(max(abs(values).max() for _, values in model.blocks()))

def largest(field, *, over, state):
    return Mixed((1 / state if over == "model" else 0.0,))

DIVIDE = Operator("divide", blockwise, "here", most=1, options=(BY,))
BELOW = Operator("below", rowwise, "here", most=1)
DEPTHS = Operator("depths", whole, "here", most=1)
QUARTERS = Operator("quarters", mixed, "here", takes="either", fewest=4, most=4)
OUTER = Operator("outer", product, "here", most=1, rank=lambda shape, ranks: 1 if len(shape) == 2 else None)
LARGEST = Operator("largest", largest, "here", most=1, prepare=measured,
                   options=(Option("over", "choice", "model", choices=("tensor", "model")),))
'''
)
RECIPE = """\
weightarith: 1
inputs:
  base: ./base
  v: {{model: ./finetuned, minus: base}}
  w: {{model: ./other, minus: base}}
expression: {expression}
"""
UP = "model.layers.0.mlp.up_proj.weight"


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.fixture
def folder(tiny: Tiny) -> Path:
    return written(tiny.base.parent, "mine.py", OPERATORS).parent


def recipe(folder: Path, expression: str) -> Path:
    return written(folder, "r.yaml", RECIPE.format(expression=expression))


def deltas(folder: Path) -> tuple[models.Tensors, models.Tensors]:
    base, v, w = (models.load(folder / name) for name in ("base", "finetuned", "other"))
    return tuple({name: each[name].astype(np.float64) - base[name] for name in base} for each in (v, w))  # type: ignore[return-value]


@DEVICES
def test_every_kind_of_answer_runs_from_a_recipe(run: Run, folder: Path, device: str) -> None:
    v, w = deltas(folder)
    largest = max(abs(each).max() for each in v.values())
    expected = {
        "divide(v, by=4)": v[UP] / 4,
        "below(v)": v[UP] - v[UP].max(-1, keepdims=True),
        "0.5*depths(v) - w": v[UP] - w[UP],
        "quarters(v, w, v, 2*w)": 0.5 * v[UP] + 0.75 * w[UP],
        "ties([outer(v), divide(below(w))], density=1)": None,
        "largest(v)": v[UP] / largest,
        "divide(ties([v, depths(w)], density=1), by=2)": None,
    }
    for number, (text, wanted) in enumerate(expected.items()):
        out = folder / f"{number}-{device}.safetensors"
        ran = run("merge", recipe(folder, text), "--operators", folder / "mine.py", "-o", out,
                  "--device", device, "--dtype", "float64")  # fmt: skip
        assert ran.status == 0, ran.stderr
        assert wanted is None or np.allclose(models.load(out)[UP], wanted, rtol=1e-12, atol=1e-15)
    explained = run("explain", recipe(folder, "base + divide(v, by=4)"), "--operators", folder / "mine.py")
    assert "base + divide(v − base, by=4)" in explained.stdout


def test_a_product_of_a_users_operator_is_stored_in_its_factors(run: Run, folder: Path) -> None:
    out = folder / "v.safetensors"
    assert (
        run("merge", recipe(folder, "2*outer(v)"), "--operators", folder / "mine.py", "-o", out).status == 0
    )
    found, (v, _) = models.load(out), deltas(folder)
    assert found[f"{UP}::A"].shape == (1, 16)
    assert np.allclose(found[f"{UP}::B"] @ found[f"{UP}::A"], 2 * v[UP][:, :1] @ v[UP][:1, :], rtol=1e-6)


def test_the_same_operators_are_there_in_python(folder: Path) -> None:
    operators = {each.name: each for each in load_operators(folder / "mine.py")}
    assert list(operators) == ["divide", "below", "depths", "quarters", "outer", "largest"]
    assert operators["divide"].summary == "Divide a vector."
    base, v = (Checkpoint.open(folder / name, label=name) for name in ("base", "finetuned"))
    save(base + operators["divide"](v - base, by=3), folder / "python")
    path = recipe(folder, "base + divide(v, by=3)")
    save(load_recipe(path, operators=operators.values()).total, folder / "recipe")
    first, second = (folder / name / "model.safetensors" for name in ("python", "recipe"))
    assert first.read_bytes() == second.read_bytes()


FILES = [
    ("clash.py", OPERATORS.replace('"divide"', '"ties"'), "cannot be called ties: there is such a function"),
    ("taken.py", OPERATORS.replace('"divide"', '"where"'), "be called where: there is such a function"),
    ("odd.py", OPERATORS.replace('"divide"', '"to divide"'), "be called 'to divide': a name is letters"),
    ("fails.py", "1 / 0\n", "fails: ZeroDivisionError: division by zero"),
    ("wrong.py", "def (:\n", "fails: SyntaxError"),
    ("none.py", HEAD + "from weightarith.operators.ties import TIES\n", "none.py' holds no operator"),
    ("needs.py", "import no_such_module_anywhere\n", "fails: ModuleNotFoundError: No module named"),
]


@pytest.mark.parametrize(("name", "text", "message"), FILES)
def test_a_file_that_gives_no_operators_is_refused_by_what_is_wrong(
    run: Run, folder: Path, name: str, text: str, message: str
) -> None:
    file = written(folder, name, text)
    ran = run("merge", recipe(folder, "base + divide(v)"), "--operators", file, "-o", folder / "out")
    assert ran.status == 2
    assert message in ran.stderr
    assert not (folder / "out").exists()


def test_what_a_file_is_not_given_for_is_unknown(run: Run, folder: Path) -> None:
    mine, path = folder / "mine.py", recipe(folder, "base + divide(v)")
    assert "unknown function 'divide'" in run("explain", path).stderr
    assert "there is such a function" in run("explain", path, "--operators", mine, "--operators", mine).stderr
    missing = run("explain", path, "--operators", folder / "gone.py")
    assert (missing.status, "no file of operators at" in missing.stderr) == (2, True)
    with pytest.raises(RecipeError, match=r"divide\(by=0.5\) is out of range: at least 1"):
        load_recipe(recipe(folder, "divide(v, by=0.5)"), operators=load_operators(mine))


WRONG = [
    ("Blockwise(lambda values, start: values[0][:-1])", "a piece of shape [639]", "[640]"),
    ("Blockwise(lambda values, start: values)", "a piece of shape [1, 640]", "[640]"),
    ("Blockwise(lambda values, start: values[0].sum())", "a piece of shape []", "[640]"),
    ("Rowwise(lambda values, first: values[0][..., :1])", "a piece of shape [40, 1]", "[40, 16]"),
    ("Whole(field.whole()[0].T)", "a tensor of shape [16, 40]", "[40, 16]"),
    ("Mixed((1.0, 2.0))", "2 coefficients", "1, one an operand"),
    ("Product(*field.whole(), *field.whole())", "a product of shapes [40, 16] and [40, 16]", "[40, 16]"),
]


@DEVICES
@pytest.mark.parametrize(("answer", "made", "expected"), WRONG)
def test_an_answer_of_another_shape_is_refused_and_never_stretched(
    run: Run, folder: Path, device: str, answer: str, made: str, expected: str
) -> None:
    text = f"{HEAD}\ndef wrong(field):\n    return {answer}\n\nWRONG = Operator('wrong', wrong, '', most=1)\n"
    file, path = written(folder, "wrong.py", text), recipe(folder, "base + wrong(v)")
    ran = run("merge", path, "--operators", file, "-o", folder / "out", "--device", device, "--threads", 1)
    assert ran.status == 2
    assert f"wrong() makes {made} at 'lm_head.weight', expected {expected}" in ran.stderr
    assert not (folder / "out").exists()
