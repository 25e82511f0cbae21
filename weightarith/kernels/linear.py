"""Blocks of linear expressions: `combine`, and the conversions it rests on.

Thin callers of machine code; the loops themselves are in `loops`, and `machine` says how one becomes the
other. They hold no interpreter lock, so threads run side by side.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weightarith.kernels.formats import CODES, NO_ANCHOR, TILE
from weightarith.kernels.machine import address, entries

__all__ = ["CODES", "NO_ANCHOR", "TILE", "combine", "decode", "encode"]

Bytes = NDArray[np.uint8]
Doubles = NDArray[np.float64]


def combine(
    workspace: Bytes,  # (rows, bytes)
    rows: NDArray[np.int64],
    codes: NDArray[np.int64],
    coefficients: Doubles,
    anchor: int,
    anchor_code: int,
    left: Doubles,  # (rows of the block, rank)
    right: Doubles,  # (rank, columns)
    first: int,
    out: int,
    out_code: int,
    count: int,
    account: Doubles,
) -> None:
    """Write `anchor + Σ coefficient·operand + left @ right` to row `out`, and add to `account`.

    Where the added change is exactly zero the anchor passes unchanged, the sign of a zero included.

    Args:
        workspace: one operand, the anchor or the result a row; each row a multiple of 8 bytes.
        rows: the workspace row of each operand.
        codes: the format of each operand.
        coefficients: the multiplier of each operand.
        anchor: the row of the point the change is added to, or `NO_ANCHOR` for a bare change.
        anchor_code: its format.
        left: left factor of a low-rank change, all scaling folded in; no columns if there is none.
        right: right factor.
        first: where the block begins in the rows of `left`, in elements.
        out: the row to write.
        out_code: its format.
        count: elements of the block.
        account: `ACCOUNTS` sums, added to.
    """
    scratch, wanted = np.empty((3, TILE)), np.empty(TILE, np.float32)
    left = np.ascontiguousarray(left)
    entries().combine(
        address(workspace), workspace.shape[1], workspace.shape[0], address(rows), address(codes),
        address(coefficients), rows.size, anchor, anchor_code, address(left), left.shape[0], address(right),
        right.shape[0], right.shape[1], first, out, out_code, count, address(account), address(scratch),
        address(wanted),
    )  # fmt: skip


def decode(row: Bytes, code: int, start: int, count: int, out: Doubles) -> None:
    """Write elements `start … start + count` of a workspace row to `out` as float64."""
    entries().decode(address(row), row.size, code, start, count, address(out))


def encode(total: Doubles, row: Bytes, code: int, start: int, count: int) -> None:
    """Round `count` numbers to a workspace row, from element `start` on."""
    entries().encode(address(total), address(row), row.size, code, start, count)
