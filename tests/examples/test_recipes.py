"""Every recipe of the repository, explained and merged on tiny models: the result is the sum it says."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests import tiny as models
from tests.cli.conftest import Run
from tests.examples.conftest import ROOT
from tests.operators import naive
from tests.reference import Doubles, Raw, read, step

RECIPES = sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml"))
ADAPTERS = ("refusal-positive", "refusal-negative", "style-adapter", "toxic-adapter")
DEPTH = 24  # as many layers as stack.yaml speaks of
ALPHA_OVER_RANK = 2.0

Numbers = Callable[[str], Doubles]  # of a model or a vector, by the name of a tensor
Sum = Callable[[str, dict[str, Numbers]], Doubles]


def layer(name: str) -> int | None:
    parts = name.split(".")
    return int(parts[2]) if parts[1] == "layers" else None


def selected(name: str) -> float:
    """Return by how much select.yaml scales a tensor: the last rule that matches decides."""
    if name.endswith("down_proj.weight"):
        return 1.2
    within = layer(name)
    if within is not None and within <= 7:
        return 0.25
    return 0.0 if "norm" in name or within is None else 1.0


def scheduled(name: str) -> float:
    """Return by how much schedule.yaml scales a tensor: 0, 1, 1, 0.5 at even distances, straight between."""
    within = layer(name)
    if within is None:
        return 0.0
    return float(np.interp(within / (DEPTH - 1), [0, 1 / 3, 2 / 3, 1], [0, 1, 1, 0.5]))


def tasks(name: str, v: dict[str, Numbers]) -> list[Doubles]:
    """Return the task vectors of both fine-tunes."""
    return [v[each](name) - v["base"](name) for each in ("math", "code")]


def thinned(name: str, v: dict[str, Numbers]) -> list[Doubles]:
    """Return what dare-ties.yaml leaves of the task vectors: masks are drawn by what they are of."""
    keys = [hashlib.sha256(f"{each} − base\0{name}".encode()).digest()[:8] for each in ("math", "code")]
    return [
        naive.dropped(task, int.from_bytes(key, "little"), 1, 0.5) / 0.5
        for task, key in zip(tasks(name, v), keys, strict=True)
    ]


def rejected(vector: Doubles, other: Doubles) -> Doubles:
    """Return a vector without its part along another."""
    return vector - np.vdot(vector, other) / np.vdot(other, other) * other


def slerped(name: str, v: dict[str, Numbers]) -> Doubles:
    """Return a point of the arc between two fine-tunes, where slerp-by-layer.yaml has it."""
    curve = [0, 0.5, 0.3, 0.7, 1] if ".self_attn." in name else [1, 0.5, 0.7, 0.3, 0]
    within = layer(name)
    inside = within is not None and (".self_attn." in name or ".mlp." in name)
    t = np.interp((within or 0) / (DEPTH - 1), np.linspace(0, 1, 5), curve) if inside else 0.5
    one, other = v["math"](name), v["code"](name)
    angle = np.arccos(np.vdot(one, other) / np.linalg.norm(one) / np.linalg.norm(other))
    return np.asarray((np.sin((1 - t) * angle) * one + np.sin(t * angle) * other) / np.sin(angle))


def stacked(name: str, v: dict[str, Numbers]) -> Doubles:
    """Return what stack.yaml has at a name: layers 0-15 of one model, then 8-23 of another, and its head."""
    within = layer(name)
    if within is None:
        return v["math" if "embed" in name else "code"](name)
    return v["math"](name) if within < 16 else v["code"](name.replace(f".{within}.", f".{within - 8}."))


SUMS: dict[str, Sum] = {
    "average": lambda n, v: 0.7 * v["math"](n) + 0.3 * v["code"](n),
    "contrast": lambda n, v: (v["math"](n) - v["code"](n)) * (".self_attn." in n or ".mlp." in n),
    "dare-ties": lambda n, v: v["base"](n) + naive.election(thinned(n, v), (0.6, 0.4)),
    "forget": lambda n, v: v["base"](n) - v["toxic"](n),
    "project-out": lambda n, v: v["base"](n) + rejected(*tasks(n, v)),
    "restore": lambda n, v: v["chat"](n) + v["style"](n) + 0.35 * (v["refusal+"](n) - v["refusal-"](n)),
    "schedule": lambda n, v: v["base"](n) + scheduled(n) * (v["math"](n) - v["base"](n)),
    "select": lambda n, v: v["base"](n) + selected(n) * (v["math"](n) - v["base"](n)),
    "slerp-by-layer": slerped,
    "stack": stacked,
    "steering": lambda n, v: v["math"](n) + 1.5 * (v["refusal+"](n) - v["refusal-"](n)),
    "sum-of-vectors": lambda n, v: (v["math"](n) + v["code"](n)) / 2 + 0.3 * v["style"](n),
    "task-vector": lambda n, v: v["chat"](n) + 0.8 * (v["math"](n) - v["base"](n)),
    "ties": lambda n, v: (
        v["base"](n) + naive.election([naive.trimmed(task, 0.2) for task in tasks(n, v)], (1, 1))
    ),
}
HEIGHTS = {"stack": 32}
"""Layers of the result, where they are not as many as before."""


def of_model(folder: Path) -> Numbers:
    stored = read(folder)
    return lambda name: stored[name].values


def of_adapter(folder: Path, scale: float = ALPHA_OVER_RANK) -> Numbers:
    """Return what an adapter adds to a tensor, zero where it has nothing."""
    factors = read(folder)

    def added(name: str) -> Doubles:
        prefix = f"base_model.model.{name.removesuffix('.weight')}"
        if f"{prefix}.lora_A.weight" not in factors:
            return np.zeros(())
        b, a = (factors[f"{prefix}.lora_{side}.weight"].values for side in "BA")
        return np.asarray(scale * (b @ a))

    return added


def assert_nearest(raw: Raw, values: Doubles) -> None:
    """Check that no stored number is nearer; 0.7 and 0.3 are no float64, so that halfway both will do."""
    apart = np.abs(raw.values - values)
    assert (apart <= 0.5 * step(values, raw.code) * (1 + 1e-9) + 1e-16).all()


@pytest.fixture
def kitchen(tmp_path: Path) -> Path:
    """Return a folder with the recipes of the repository and everything they name."""
    base = models.weights(depth=DEPTH)
    for seed, name in enumerate(("base", "chat", "math-finetune", "code-finetune")):
        models.checkpoint(tmp_path / name, models.finetuned(base, seed=seed) if seed else base)
    for seed, name in enumerate(ADAPTERS):
        models.adapter(tmp_path / name, depth=DEPTH, seed=seed)
    for name in RECIPES:
        shutil.copy(ROOT / "recipes" / f"{name}.yaml", tmp_path)
    return tmp_path


@pytest.fixture
def inputs(kitchen: Path) -> dict[str, Numbers]:
    """Return the numbers of every input, by the name most recipes give it."""
    named = {"base": "base", "chat": "chat", "math": "math-finetune", "code": "code-finetune"}
    adapters = dict(zip(("refusal+", "refusal-", "style", "toxic"), ADAPTERS, strict=True))
    return {label: of_model(kitchen / folder) for label, folder in named.items()} | {
        label: of_adapter(kitchen / folder) for label, folder in adapters.items()
    }


def test_every_recipe_has_its_sum_written_here() -> None:
    assert list(SUMS) == RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_makes_the_model_its_expression_says(
    name: str, kitchen: Path, inputs: dict[str, Numbers], run: Run
) -> None:
    told = run("explain", kitchen / f"{name}.yaml", "--json")
    ran = run("merge", kitchen / f"{name}.yaml")

    assert (told.status, told.stderr, ran.status, ran.stdout) == (0, "", 0, "")
    (out,) = {path.parent for path in kitchen.glob("*/weightarith.json")}
    written, layout = read(out), models.weights(depth=HEIGHTS.get(name, DEPTH))
    sums = {n: np.broadcast_to(SUMS[name](n, inputs), values.shape) for n, values in layout.items()}
    if name == "contrast":
        assert {raw.code for raw in written.values()} == {"F32"}
        sums = {n: values for n, values in sums.items() if ".self_attn." in n or ".mlp." in n}
    assert written.keys() == sums.keys()
    assert told.json["tensors"].keys() == layout.keys()
    for tensor, raw in written.items():
        assert_nearest(raw, sums[tensor])
