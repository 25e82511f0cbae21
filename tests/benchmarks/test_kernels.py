"""The fused kernel on one block in memory: `make bench` times it, the tests run it once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests import tiny
from weightarith.engine.plan import BLOCK_BYTES
from weightarith.kernels.accounts import ACCOUNTS, CHANGED
from weightarith.kernels.linear import CODES, combine, terms

ROUNDED: dict[str, Callable[[tiny.Array], tiny.Array]] = {
    "BF16": tiny.to_bfloat16,
    "F16": lambda values: values.astype(np.float16),
    "F32": lambda values: values,
}
COLUMNS = 2048
ACCOUNT = -1  # the last argument


def _arguments(code: str, *, operands: int, rank: int) -> tuple[Any, ...]:
    """Return what `combine` takes to add operands and a low-rank change to the first row of a full block."""
    random = np.random.default_rng(0)
    count = BLOCK_BYTES // (4 if code == "F32" else 2)
    values = 0.02 * random.standard_normal((operands + 2, count)).astype(np.float32)
    left, right = random.standard_normal((count // COLUMNS, rank)), random.standard_normal((rank, COLUMNS))
    added = [
        (0.5 + row, 1, [(row, CODES[code], 1)]) for row in range(1, operands + 1)
    ]  # c·(operand − anchor)
    return (
        np.ascontiguousarray(ROUNDED[code](values)).view(np.uint8),
        terms(added),
        0,
        CODES[code],
        True,
        left,
        right,
        0,
        operands + 1,
        CODES[code],
        count,
        np.zeros(ACCOUNTS),
    )


@pytest.mark.parametrize(("operands", "rank"), [(2, 0), (0, 32)], ids=["two operands", "rank 32"])
@pytest.mark.parametrize("code", ROUNDED)
def test_a_block_is_combined(
    benchmark: Any, capsys: pytest.CaptureFixture[str], code: str, operands: int, rank: int
) -> None:
    arguments = _arguments(code, operands=operands, rank=rank)
    count = BLOCK_BYTES // (4 if code == "F32" else 2)
    benchmark(combine, *arguments)
    assert arguments[ACCOUNT][CHANGED] > 0.9 * count
    if benchmark.stats is not None:  # timed, and not only run
        with capsys.disabled():
            each = benchmark.stats.stats.median / count * 1e9
            print(f"\n{code}, {operands} operands, rank {rank}: {each:.2f} ns an element")
