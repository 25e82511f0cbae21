"""`linear` and `task_arithmetic` as mergekit 0.1.5 computes them in float32, tensor by tensor and end to end.

mergekit adds in float32 and weightarith in float64, so their float32 results differ by the rounding of the
former, and their bfloat16 results where that tips the last bit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import Tiny
from tests.reference import Raw, encode, read, step, write
from weightarith.algebra import Checkpoint, Linear
from weightarith.saving import save

pytestmark = pytest.mark.oracle

WEIGHTS = {"linear": (0.3, 0.7), "task_arithmetic": (0.6, -0.4)}
IN_FLOAT32 = 3 * 2.0**-24
"""The rounding of three float32 sums, relative to the largest number that takes part."""


def ours(method: str, base: Checkpoint, first: Checkpoint, second: Checkpoint) -> Linear:
    one, two = WEIGHTS[method]
    if method == "linear":
        return one * first + two * second
    return base + one * (first - base) + two * (second - base)


def assert_equal(found: Raw, theirs: Raw, inputs: list[Raw]) -> int:
    """Check two results against each other and return how many elements differ at all."""
    assert found.code == theirs.code
    assert found.shape == theirs.shape
    largest = np.max([np.abs(raw.values) for raw in inputs], axis=0, initial=0)
    error = np.abs(found.values - theirs.values)
    last = step(np.maximum(np.abs(found.values), np.abs(theirs.values)), found.code)
    assert np.all(error <= IN_FLOAT32 * largest + last)
    return int(np.count_nonzero(error))


def torch_tensor(raw: Raw) -> Any:
    import torch

    dtype = {"BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}[raw.code]
    return torch.from_numpy(raw.values.copy()).to(dtype)


def their_sum(method: str, raws: list[Raw], code: str) -> Raw:
    """Return what mergekit makes of a base and two fine-tunes, in float32 (float64 where they are that)."""
    import torch
    from mergekit.merge_methods import merge_tensors

    dtypes = {"BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}
    used = raws[1:] if method == "linear" else raws
    merged = merge_tensors(
        [torch_tensor(raw) for raw in used],
        method,
        parameters={"weight": list(WEIGHTS[method]), "normalize": False},
        base_index=None if method == "linear" else 0,
        dtype=torch.float64 if code == "F64" else torch.float32,
        out_dtype=dtypes[code],
    )
    return encode(merged.double().numpy(), code)


@pytest.mark.parametrize("method", list(WEIGHTS))
@pytest.mark.parametrize("code", ["BF16", "F32", "F64"])
def test_a_tensor_merged_is_mergekits(tmp_path: Path, method: str, code: str) -> None:
    random = np.random.default_rng(0)
    base = random.normal(0, 0.02, 100_000)
    raws = [encode(base + size * random.standard_normal(base.size), code) for size in (0, 2e-3, 2e-3)]
    for label, raw in zip(("base", "first", "second"), raws, strict=True):
        write(tmp_path / label / "model.safetensors", {"x": raw})
    leaves = [Checkpoint.open(tmp_path / label, label=label) for label in ("base", "first", "second")]

    save(ours(method, *leaves), tmp_path / "out")

    found, theirs = read(tmp_path / "out")["x"], their_sum(method, raws, code)
    if code == "F64":
        assert np.allclose(found.values, theirs.values, rtol=1e-12, atol=1e-16)
    else:
        different = assert_equal(found, theirs, raws)
        assert different <= (0.001 if code == "BF16" else 0.15) * base.size


@pytest.mark.parametrize("method", list(WEIGHTS))
@pytest.mark.parametrize(("dtype", "code"), [("bfloat16", "BF16"), ("float32", "F32")])
def test_a_merged_folder_is_mergekits(tmp_path: Path, tiny: Tiny, method: str, dtype: str, code: str) -> None:
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    entries = [
        {"model": str(folder), "parameters": {"weight": weight}}
        for folder, weight in zip((tiny.finetuned, tiny.other), WEIGHTS[method], strict=True)
    ]
    config = {"merge_method": method, "models": entries, "dtype": "float32", "out_dtype": dtype,
              "parameters": {"normalize": False}}  # fmt: skip
    if method != "linear":
        config["base_model"] = str(tiny.base)
    run_merge(
        MergeConfiguration.model_validate(config),
        str(tmp_path / "theirs"),
        MergeOptions(copy_tokenizer=False, quiet=True, write_model_card=False),
    )
    folders = {"base": tiny.base, "first": tiny.finetuned, "second": tiny.other}
    leaves = [Checkpoint.open(folder, label=label) for label, folder in folders.items()]

    save(ours(method, *leaves), tmp_path / "ours", dtype=dtype)

    found, theirs = read(tmp_path / "ours"), read(tmp_path / "theirs")
    inputs = [read(folder) for folder in folders.values()]
    assert set(found) == set(theirs)
    different = sum(
        assert_equal(raw, theirs[name], [each[name] for each in inputs]) for name, raw in found.items()
    )
    print(method, code, different, sum(raw.values.size for raw in found.values()))
