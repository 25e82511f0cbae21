"""The torch engine against the CPU engine: the same bytes, accounts and refusals, with a GPU and without."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from tests.conftest import Tiny
from tests.engines import FLOATS, model, numbers_of, outcome_of, peculiar, planned
from weightarith.algebra import Checkpoint, Vector
from weightarith.engine import cpu, torch_device
from weightarith.engine.files import Inputs, Outputs
from weightarith.engine.plan import Plan
from weightarith.engine.settings import Policy
from weightarith.kernels.linear import CODES, encode
from weightarith.saving import save
from weightarith.tensorfile.dtypes import BY_NAME

DEVICES = ["torch", pytest.param("cuda", marks=pytest.mark.gpu)]
ALLOW = Policy(nonfinite="allow")
on_every_device = pytest.mark.parametrize("device", DEVICES)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 32 bfloat16 numbers, so that tiny tensors have several."""
    monkeypatch.setattr("weightarith.engine.blocks.BLOCK_BYTES", 64)


def assert_alike(plan: Plan, device: str, **options: Any) -> None:
    """Compare with the CPU engine byte for byte, NaN counting as equal to NaN."""
    expected, reference = outcome_of(plan, "cpu")
    content, outcome = outcome_of(plan, device, **options)
    wanted = numbers_of(plan, expected)
    for name, numbers in numbers_of(plan, content).items():
        np.testing.assert_array_equal(numbers, wanted[name], err_msg=name)
        zeros = numbers == 0
        np.testing.assert_array_equal(
            np.signbit(numbers[zeros]), np.signbit(wanted[name][zeros]), err_msg=name
        )
    if not any(np.isnan(numbers).any() for numbers in wanted.values()):
        assert content == expected
        assert outcome.checksums == reference.checksums


@on_every_device
@pytest.mark.parametrize("dtype", [None, "bfloat16", "float16", "float32", "float64"])
@pytest.mark.parametrize("span_blocks", [1, 3, 100])
def test_sums_have_the_bytes_of_the_cpu_engine(
    tmp_path: Path, device: str, dtype: str | None, span_blocks: int
) -> None:
    a, b, c = (model(tmp_path / f"{name}.safetensors", seed) for seed, name in enumerate("abc"))

    plan = planned(a + 1.5 * (b - c) - 0.3 * (c - a), dtype, ALLOW)

    assert_alike(plan, device, span_blocks=span_blocks)


@on_every_device
def test_without_overflow_accounts_and_checksums_agree_too(tmp_path: Path, device: str) -> None:
    a, b, c = (model(tmp_path / f"{name}.safetensors", seed, huge=False) for seed, name in enumerate("abc"))
    for plan in (planned(a + 0.7 * (b - c), "bfloat16"), planned(0.7 * (b - c))):
        expected, reference = outcome_of(plan, "cpu")

        content, outcome = outcome_of(plan, device, span_blocks=3)

        assert content == expected
        assert outcome.checksums == reference.checksums
        np.testing.assert_allclose(outcome.accounts, reference.accounts, rtol=1e-9)


@on_every_device
@pytest.mark.parametrize("dtype", FLOATS)
def test_models_of_one_dtype_agree_in_bytes_and_accounts(
    tmp_path: Path, device: str, dtype: torch.dtype
) -> None:
    for seed, name in enumerate(("base", "a", "b")):
        save_file({"w": peculiar((61, 67), dtype, seed, huge=False)}, tmp_path / f"{name}.safetensors")
    base, a, b = (
        Checkpoint.open(tmp_path / f"{name}.safetensors", label=name) for name in ("base", "a", "b")
    )

    for plan in (planned(base + 0.6 * (a - base) + 0.4 * (b - base)), planned(a - b), planned(3 * (a - b))):
        expected, reference = outcome_of(plan, "cpu")
        content, outcome = outcome_of(plan, device, span_blocks=7)
        assert content == expected
        # of bfloat16 models the CPU's fast way takes each intended change in float32
        np.testing.assert_allclose(outcome.accounts, reference.accounts, rtol=1e-7)


@pytest.mark.gpu
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**30), strength=st.floats(-8, 8), dtype=st.sampled_from(FLOATS))
def test_any_sum_has_the_same_bytes_on_a_gpu(seed: int, strength: float, dtype: torch.dtype) -> None:
    any_sum_has_the_same_bytes("cuda", seed, strength, dtype)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**30), strength=st.floats(-8, 8), dtype=st.sampled_from(FLOATS))
def test_any_sum_has_the_same_bytes(seed: int, strength: float, dtype: torch.dtype) -> None:
    any_sum_has_the_same_bytes("torch", seed, strength, dtype)


def any_sum_has_the_same_bytes(device: str, seed: int, strength: float, dtype: torch.dtype) -> None:
    with TemporaryDirectory() as folder:
        for number, name in enumerate(("base", "other")):
            save_file({"w": peculiar((9, 23), dtype, seed + number)}, Path(folder, f"{name}.safetensors"))
        base, other = (
            Checkpoint.open(Path(folder, f"{name}.safetensors"), label=name) for name in ("base", "other")
        )
        assert_alike(planned(base + strength * (other - base), policy=ALLOW), device, span_blocks=2)


@on_every_device
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_numbers_beside_a_halfway_case_are_rounded_once(tmp_path: Path, device: str, dtype: str) -> None:
    nearest = peculiar((64, 64), getattr(torch, dtype), 5)
    nearest = nearest[nearest.abs() < torch.finfo(nearest.dtype).max].to(torch.float64)
    above = torch.nextafter(
        nearest.to(getattr(torch, dtype)), torch.tensor(torch.inf, dtype=getattr(torch, dtype))
    )
    halfway = (nearest + above.to(torch.float64)) / 2
    up, down = torch.tensor(torch.inf, dtype=torch.float64), torch.tensor(-torch.inf, dtype=torch.float64)
    exact = torch.cat([halfway, torch.nextafter(halfway, up), torch.nextafter(halfway, down)])
    save_file({"w": exact}, tmp_path / "base.safetensors")
    save_file({"w": torch.zeros_like(exact)}, tmp_path / "zero.safetensors")
    base = Checkpoint.open(tmp_path / "base.safetensors", label="base")
    zero = Checkpoint.open(tmp_path / "zero.safetensors", label="zero")

    content, _ = outcome_of(plan := planned(base + (zero - zero), dtype, ALLOW), device, span_blocks=8)

    raw = np.empty(exact.numel() * 8, np.uint8)
    encode(exact.numpy(), raw, CODES[BY_NAME[dtype].code], 0, exact.numel())
    start = plan.files[0].starts[0]
    assert content[start:] == raw[: plan.files[0].jobs[0].nbytes].tobytes()


@on_every_device
@pytest.mark.parametrize("span_blocks", [1, 2, 50])
def test_adapters_are_applied_to_within_one_unit_in_the_last_place(
    tiny: Tiny, device: str, span_blocks: int
) -> None:
    base, positive, negative = (
        Checkpoint.open(tiny.base),
        Vector.open(tiny.positive),
        Vector.open(tiny.negative),
    )
    plan = planned(base + 1.5 * (positive - negative))
    expected, reference = outcome_of(plan, "cpu")

    content, outcome = outcome_of(plan, device, span_blocks=span_blocks)

    bits, wanted = (
        np.frombuffer(data, np.int16, offset=plan.files[0].starts[0]) for data in (content, expected)
    )
    assert np.abs(bits.astype(int) - wanted).max() <= 1
    assert (bits != wanted).mean() < 1e-3
    np.testing.assert_allclose(outcome.accounts[:, :4], reference.accounts[:, :4], rtol=1e-3)


@on_every_device
def test_what_is_not_arithmetic_is_done_as_on_the_cpu(tmp_path: Path, tiny: Tiny, device: str) -> None:
    buffers = {"ids": torch.arange(100), "mask": torch.ones(3, dtype=torch.bool), "w": torch.ones(70)}
    for name in ("base", "same"):
        save_file(buffers, tmp_path / f"{name}.safetensors")
    base, same = (Checkpoint.open(tmp_path / f"{name}.safetensors") for name in ("base", "same"))
    factored = Vector.open(tiny.positive) - Vector.open(tiny.negative)

    for total in (base + 2 * (same - base), same - base, factored):
        plan = planned(total)
        assert outcome_of(plan, device, span_blocks=3)[0] == outcome_of(plan, "cpu")[0]


@on_every_device
def test_rows_that_an_input_lacks_count_as_the_bases(tmp_path: Path, device: str) -> None:
    for rows, name in ((9, "base"), (5, "fewer"), (12, "more")):
        tensor = peculiar((rows, 7), torch.bfloat16, rows, huge=False)
        save_file({"model.embed_tokens.weight": tensor}, tmp_path / f"{name}.safetensors")
    base, fewer, more = (
        Checkpoint.open(tmp_path / f"{name}.safetensors", label=name) for name in ("base", "fewer", "more")
    )

    assert_alike(planned(0.5 * base + 0.25 * fewer + 0.25 * more, policy=Policy(vocabulary="base")), device)


@on_every_device
def test_neither_threads_nor_memory_change_a_byte(tmp_path: Path, device: str) -> None:
    a, b = (model(tmp_path / f"{name}.safetensors", seed, huge=False) for seed, name in enumerate("ab"))
    plan = planned(a + 0.5 * (b - a))
    expected, reference = outcome_of(plan, "cpu")

    for threads, memory in ((1, None), (5, None), (3, 1)):
        content, outcome = outcome_of(plan, device, threads=threads, memory=memory, span_blocks=4)
        assert content == expected
        assert outcome.checksums == reference.checksums


def test_spans_get_shorter_and_then_fewer_until_they_fit(tmp_path: Path) -> None:
    a, b = (model(tmp_path / f"{name}.safetensors", seed) for seed, name in enumerate("ab"))
    plan = planned(a + 0.5 * (b - a))

    ample, less, least = (torch_device.fit(plan, 4, 16, budget) for budget in (1 << 30, 16_000, 0))

    assert (ample.slots, ample.span_blocks) == (4, 16)
    assert less.slots == 4
    assert less.span_blocks < 16
    assert less.row_bytes < ample.row_bytes
    assert (least.slots, least.span_blocks) == (1, 1)


@on_every_device
def test_progress_ends_with_all_bytes_moved(tmp_path: Path, device: str) -> None:
    a, b = (model(tmp_path / f"{name}.safetensors", seed, huge=False) for seed, name in enumerate("ab"))
    plan = planned(a + 0.5 * (b - a))
    seen: list[int] = []

    for run in (cpu.run, lambda *of, **how: torch_device.run(*of, device=device, **how)):
        with (
            TemporaryDirectory() as folder,
            Inputs(plan.inputs) as inputs,
            Outputs(Path(folder), plan.files) as outputs,
        ):
            moved: list[int] = []
            run(plan, inputs, outputs, threads=2, progress=moved.append)
            seen.append(moved[-1])

    assert seen[0] == seen[1] > 0


@on_every_device
def test_a_saved_model_is_the_same_whichever_device_made_it(tmp_path: Path, tiny: Tiny, device: str) -> None:
    base, finetuned, other = (Checkpoint.open(path) for path in (tiny.base, tiny.finetuned, tiny.other))
    total = base + 1.5 * (finetuned - other)

    for name in ("cpu", device):
        save(total, tmp_path / f"by-{name}", device=name, threads=2)

    files = sorted(path.name for path in (tmp_path / "by-cpu").iterdir())
    assert files == sorted(path.name for path in (tmp_path / f"by-{device}").iterdir())
    for name in files:
        if name != "weightarith.json":  # it tells the output's own path
            assert (tmp_path / "by-cpu" / name).read_bytes() == (
                tmp_path / f"by-{device}" / name
            ).read_bytes()
