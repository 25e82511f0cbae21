"""Blocks of linear expressions: `combine`, and the conversions it rests on.

Thin callers of machine code; the loops themselves are in `loops`, and `machine` says how one becomes the
other. They hold no interpreter lock, so threads run side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from weightarith.kernels.formats import CODES, NO_ANCHOR, TILE
from weightarith.kernels.machine import address, entries

__all__ = ["CODES", "NO_ANCHOR", "TILE", "Terms", "combine", "decode", "encode", "terms", "values"]

Bytes = NDArray[np.uint8]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Terms:
    """What is added up: `Σ multiplier · (Σ sign·operand − origin·anchor)`, group by group.

    Operands with one coefficient are summed first and multiplied once, points against the anchor, so that
    `1.3·(a − b)` is just that and not `1.3·a − 1.3·b`, which is rounded twice and breaks ties.
    """

    rows: Integers  # of the workspace, an operand each
    codes: Integers  # the format of each operand
    signs: Doubles  # 1 or −1, an operand each
    ends: Integers  # where each group ends among the operands
    multipliers: Doubles  # of each group
    origins: Doubles  # how often the anchor is subtracted in each group

    @cached_property
    def addresses(self) -> tuple[int, ...]:
        """Where everything lies, and how much of it there is, as the machine code takes it."""
        return (
            address(self.rows), address(self.codes), address(self.signs), self.rows.size,
            address(self.ends), address(self.multipliers), address(self.origins), self.ends.size,
        )  # fmt: skip


def terms(groups: Sequence[tuple[float, int, Sequence[tuple[int, int, int]]]]) -> Terms:
    """Return terms of groups, each a multiplier, an origin and its operands: row, code and sign."""
    members = [member for _, _, group in groups for member in group]
    sizes = [len(group) for _, _, group in groups]
    return Terms(
        rows=np.array([row for row, _, _ in members], np.int64),
        codes=np.array([code for _, code, _ in members], np.int64),
        signs=np.array([sign for _, _, sign in members], np.float64),
        ends=np.cumsum(sizes, dtype=np.int64),
        multipliers=np.array([multiplier for multiplier, _, _ in groups], np.float64),
        origins=np.array([origin for _, origin, _ in groups], np.float64),
    )


def combine(
    workspace: Bytes,  # (rows, bytes)
    added: Terms,
    anchor: int,
    anchor_code: int,
    kept: bool,
    left: Doubles,  # (rows of the block, rank)
    right: Doubles,  # (rank, columns)
    first: int,
    out: int,
    out_code: int,
    count: int,
    account: Doubles,
) -> None:
    """Write `anchor + terms + left @ right` to row `out`, and add to `account`.

    Where the added change is exactly zero the anchor passes unchanged, the sign of a zero included.

    Args:
        workspace: one operand, the anchor or the result a row; each row a multiple of 8 bytes.
        added: the terms of the change.
        anchor: the row of the point the change is measured from, or `NO_ANCHOR`.
        anchor_code: its format.
        kept: whether the anchor is part of the result; if not, the result is the bare change.
        left: left factor of a low-rank change, all scaling folded in; no columns if there is none.
        right: right factor.
        first: where the block begins in the rows of `left`, in elements.
        out: the row to write.
        out_code: its format.
        count: elements of the block.
        account: `ACCOUNTS` sums, added to.
    """
    left = np.ascontiguousarray(left)
    entries().combine(
        address(workspace), workspace.shape[1], workspace.shape[0], *added.addresses, anchor,
        anchor_code, kept,
        address(left), left.shape[0], address(right), right.shape[0], right.shape[1], first,
        out, out_code, count, address(account),
    )  # fmt: skip


def values(
    workspace: Bytes,  # (rows, bytes)
    added: Terms,
    left: Doubles,  # (rows of the block, rank)
    right: Doubles,  # (rank, columns)
    first: int,
    out: Doubles,
) -> int:
    """Write `terms + left @ right` to `out` in float64, and return how many numbers are NaN or infinite.

    It is what `combine` would add to an anchor. The arguments are those of `combine`.
    """
    left, nonfinite = np.ascontiguousarray(left), np.zeros(1, np.int64)
    entries().values(
        address(workspace), workspace.shape[1], workspace.shape[0], *added.addresses, address(left),
        left.shape[0], address(right), right.shape[0], right.shape[1], first, out.size, address(out),
        address(nonfinite),
    )  # fmt: skip
    return int(nonfinite[0])


def decode(row: Bytes, code: int, start: int, count: int, out: Doubles) -> None:
    """Write elements `start … start + count` of a workspace row to `out` as float64."""
    entries().decode(address(row), row.size, code, start, count, address(out))


def encode(total: Doubles, row: Bytes, code: int, start: int, count: int) -> None:
    """Round `count` numbers to a workspace row, from element `start` on."""
    entries().encode(address(total), address(row), row.size, code, start, count)
