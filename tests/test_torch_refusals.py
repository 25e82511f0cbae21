"""What the torch engine refuses, in the words of the CPU engine, and that a failure leaves nothing behind."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.conftest import Tiny
from tests.engines import model, outcome_of, planned
from weightarith.algebra import Checkpoint
from weightarith.engine import torch_device
from weightarith.engine.files import Inputs, Outputs
from weightarith.errors import RecipeError, StorageError, WeightArithError
from weightarith.saving import save

DEVICES = ["torch", pytest.param("cuda", marks=pytest.mark.gpu)]
on_every_device = pytest.mark.parametrize("device", DEVICES)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 32 bfloat16 numbers, so that tiny tensors have several."""
    monkeypatch.setattr("weightarith.engine.blocks.BLOCK_BYTES", 64)


def _tensors(**changed: Tensor) -> dict[str, Tensor]:
    return {"ids": torch.arange(40), "w": torch.ones(8, 20, dtype=torch.float16), **changed}


def _spoiled(value: float) -> Tensor:
    tensor = torch.ones(8, 20, dtype=torch.float16)
    tensor[6, 3] = value
    return tensor


@on_every_device
@pytest.mark.parametrize(
    ("other", "text", "exit_code"),
    [
        (_tensors(w=_spoiled(60000.0)), r"the sum is inf at \[6, 3\] of tensor 'w': too large for F16", 3),
        (_tensors(w=_spoiled(float("nan"))), r"tensor 'w' holds nan at \[6, 3\]", 3),
        (_tensors(w=_spoiled(float("-inf"))), r"tensor 'w' holds -inf at \[6, 3\]", 3),
        (_tensors(ids=torch.arange(40).flip(0)), r"tensor 'ids' \(I64\) differs in other", 4),
    ],
)
def test_refusals_are_those_of_the_cpu_engine(
    tmp_path: Path, device: str, other: Mapping[str, Tensor], text: str, exit_code: int
) -> None:
    save_file(_tensors(), tmp_path / "base.safetensors")
    save_file(dict(other), tmp_path / "other.safetensors")
    base = Checkpoint.open(tmp_path / "base.safetensors", label="base")
    plan = planned(base + 2 * (Checkpoint.open(tmp_path / "other.safetensors", label="other") - base))

    with pytest.raises(WeightArithError, match=text) as expected:
        outcome_of(plan, "cpu")
    with pytest.raises(WeightArithError, match=text) as found:
        outcome_of(plan, device, span_blocks=4)

    assert type(found.value) is type(expected.value)
    assert str(found.value) == str(expected.value)
    assert found.value.exit_code == exit_code


@on_every_device
def test_a_failure_stops_all_threads_and_leaves_none(tmp_path: Path, device: str) -> None:
    a, b = (model(tmp_path / f"{name}.safetensors", seed, huge=False) for seed, name in enumerate("ab"))
    plan = planned(a + 0.5 * (b - a))
    before = threading.active_count()
    full = replace(plan.files[0], starts=tuple(-1 for _ in plan.files[0].starts))  # no such place in a file

    with pytest.raises(StorageError):
        outcome_of(replace(plan, files=(full,)), device, threads=4)

    assert threading.active_count() == before


@on_every_device
def test_an_error_of_the_caller_stops_the_run(tmp_path: Path, device: str) -> None:
    a, b = (model(tmp_path / f"{name}.safetensors", seed, huge=False) for seed, name in enumerate("ab"))
    plan = planned(a + 0.5 * (b - a))
    before = threading.active_count()

    def interrupted(_moved: int) -> None:
        raise KeyboardInterrupt

    with TemporaryDirectory() as folder, Inputs(plan.inputs) as inputs:  # noqa: SIM117
        with Outputs(Path(folder), plan.files) as outputs, pytest.raises(KeyboardInterrupt):
            torch_device.run(plan, inputs, outputs, device=device, threads=3, progress=interrupted)

    assert threading.active_count() == before


def test_without_torch_the_error_says_how_to_get_it(
    tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)

    with pytest.raises(RecipeError, match=r"needs torch, which is not installed") as caught:
        save(2 * Checkpoint.open(tiny.base) - Checkpoint.open(tiny.other), tmp_path / "out", device="torch")

    assert 'pip install "weightarith[gpu]"' in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_without_a_gpu_the_error_says_so(tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    with pytest.raises(RecipeError, match=r"device cuda: torch .* finds no GPU"):
        save(2 * Checkpoint.open(tiny.base) - Checkpoint.open(tiny.other), tmp_path / "out", device="cuda")
