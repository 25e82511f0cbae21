"""What holds on any machine, however busy: bounds on memory, and CPU seconds as multiples of plain jobs'."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.benchmarks.cases import WEIGHTARITH, write_recipe
from tests.benchmarks.checkpoints import ADAPTER, BASE, SIZES, many_shapes, write_models, write_zeros
from tests.benchmarks.measure import cost_of
from tests.benchmarks.run import MEMORY_BOUND

MIB = 1 << 20


def _peak_of_a_merge(folder: Path, *, layers: int) -> int:
    shapes = {f"model.layers.{layer}.mlp.down_proj.weight": (2048, 1024) for layer in range(layers)}
    write_zeros(folder, shapes)
    recipe = write_recipe(folder / "merge.yaml", folder)
    return cost_of([*WEIGHTARITH, "merge", str(recipe), "-o", str(folder / "merged")]).peak


def test_memory_of_a_merge_does_not_depend_on_the_size_of_the_model(tmp_path: Path) -> None:
    small = _peak_of_a_merge(tmp_path / "small", layers=8)  # 32 MiB a model
    large = _peak_of_a_merge(tmp_path / "large", layers=32)
    assert large - small < 32 * MIB
    assert large < MEMORY_BOUND


def test_memory_of_a_merge_does_not_depend_on_the_size_of_a_tensor(tmp_path: Path) -> None:
    write_zeros(tmp_path, {"model.embed_tokens.weight": (65_536, 1024)})  # 128 MiB
    recipe = write_recipe(tmp_path / "merge.yaml", tmp_path)
    assert cost_of([*WEIGHTARITH, "merge", str(recipe), "-o", str(tmp_path / "merged")]).peak < MEMORY_BOUND


@pytest.mark.parametrize("command", ["diff", "apply"])
def test_diff_and_apply_stay_within_the_bound_of_memory(tmp_path: Path, command: str) -> None:
    write_models(SIZES["XS"], tmp_path)
    inputs = {"diff": ("a", BASE), "apply": (BASE, ADAPTER)}[command]
    output = {"diff": "v.safetensors", "apply": "applied"}[command]
    words = [*WEIGHTARITH, command, *(str(tmp_path / name) for name in inputs), "-o", str(tmp_path / output)]
    assert cost_of(words).peak < MEMORY_BOUND


def test_planning_20000_tensors_costs_a_small_multiple_of_parsing_their_headers(tmp_path: Path) -> None:
    write_zeros(tmp_path, many_shapes(20_000))
    recipe = write_recipe(tmp_path / "merge.yaml", tmp_path)
    headers = [str(path) for path in sorted(tmp_path.rglob("*.safetensors"))]
    parse = (
        "import json, sys\n"
        "for path in sys.argv[1:]:\n"
        "    with open(path, 'rb') as file:\n"
        "        json.loads(file.read(int.from_bytes(file.read(8), 'little')))\n"
    )
    plan = cost_of([*WEIGHTARITH, "merge", str(recipe), "-o", str(tmp_path / "merged"), "--dry-run"])
    plain = cost_of([sys.executable, "-c", parse, *headers])
    assert plan.cpu < 60 * plain.cpu


def test_help_costs_little_more_than_importing_click() -> None:
    shown = cost_of([*WEIGHTARITH, "--help"])
    click = cost_of([sys.executable, "-c", "import click"])
    assert shown.cpu < 5 * click.cpu
