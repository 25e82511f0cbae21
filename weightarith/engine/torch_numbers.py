"""The arithmetic of `kernels.linear.combine` in torch, operation for operation, so that the bytes are equal.

Every product and every sum is rounded on its own: `addcmul` or `add(alpha=…)` would be one fused operation on
a GPU. Only a low-rank change may differ in the last bit, since a matrix product adds in an order of its own,
and so may the bits inside a NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

DTYPES = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32, "F64": torch.float64}
"""The dtypes arithmetic is done on, by their code in the file."""

SCRATCH_BYTES = 72
"""What `combine` holds at its worst for one element, beside operands and result."""


@dataclass(frozen=True, eq=False)
class Product:
    """The part of `left @ right` that begins at element `first`, counted along the rows."""

    left: Tensor  # (rows, rank), float64
    right: Tensor  # (rank, columns), float64
    first: int


def numbers_in(row: Tensor, code: str, count: int) -> Tensor:
    """Return the first `count` numbers of a row of bytes, in place."""
    dtype = DTYPES[code]
    return row[: count * dtype.itemsize].view(dtype)


def combine(
    anchor: Tensor | None,
    kept: bool,
    groups: Sequence[tuple[float, int, Sequence[tuple[Tensor, int]]]],
    product: Product | None,
    out: Tensor,
    block: int,
) -> Tensor:
    """Write the anchor and all that is added to it to `out`, rounded once; see `kernels.linear.Terms`.

    Where the added change is exactly zero the anchor passes unchanged, the sign of a zero included.

    Args:
        anchor: the point the change is measured from; None for a bare change.
        kept: whether the anchor is part of the result.
        groups: a multiplier, how often the anchor is subtracted, and numbers of any dtype with their signs.
        product: a low-rank change, coefficients and scaling folded in.
        out: where the result goes; its dtype is the one rounded to.
        block: elements of a full block.

    Returns:
        The account of each block, `(blocks, ACCOUNTS)` in float64.
    """
    change = torch.zeros(out.numel(), dtype=torch.float64, device=out.device)
    before = torch.zeros_like(change) if anchor is None else anchor.to(torch.float64)
    for multiplier, origin, members in groups:
        inner = torch.zeros_like(change)
        for numbers, sign in members:
            inner.add_(numbers.to(torch.float64, copy=True).mul_(sign))
        if origin:
            inner.add_(before * -origin)
        change.add_(inner.mul_(multiplier))
    if product is not None:
        _add_product(change, product)
    if not kept:
        before = torch.zeros_like(change)
    total = torch.where(change != 0, before + change, before)
    out.copy_(_to_odd(total) if out.dtype.itemsize == 2 else total)
    del total
    return _accounts(change, before, out.to(torch.float64), block)


def _add_product(change: Tensor, product: Product) -> None:
    """Add to `change` in at most three pieces: the rest of a row, whole rows, the beginning of a row."""
    columns, count = product.right.shape[1], change.numel()
    done = 0
    while done < count:
        row, column = divmod(product.first + done, columns)
        whole = (count - done) // columns if column == 0 else 0
        height, width = (whole, columns) if whole else (1, min(columns - column, count - done))
        part = change[done : done + height * width].view(height, width)
        part.addmm_(product.left[row : row + height], product.right[:, column : column + width])
        done += height * width


def _to_odd(exact: Tensor) -> Tensor:
    """Return the float32 equal to each float64, else the one of its two neighbours whose last bit is 1.

    From there a second rounding, to 16 bits, gives the nearest number; see `kernels.bits`.
    """
    nearest = exact.to(torch.float32)
    back = nearest.to(torch.float64)
    inexact = back != exact
    too_far = back.abs_() > exact.abs()
    nearest.view(torch.int32).sub_(too_far.view(torch.uint8)).bitwise_or_(inexact.view(torch.uint8))
    return nearest


def _accounts(change: Tensor, before: Tensor, after: Tensor, block: int) -> Tensor:
    """Return the sums of `kernels.accounts`, in its order, block by block."""
    changed, nonfinite = after != before, ~torch.isfinite(after)
    got = after - before
    sums = (
        _by_block(change * change, block),
        _by_block(got * got, block),
        _by_block(change * got, block),
        _by_block(changed, block),
        _by_block(nonfinite, block),
    )
    return torch.stack(sums, dim=1)


def _by_block(numbers: Tensor, block: int) -> Tensor:
    full = numbers.numel() // block
    sums = numbers[: full * block].view(full, block).sum(1, dtype=torch.float64)
    rest = numbers[full * block :]
    return torch.cat([sums, rest.sum(0, keepdim=True, dtype=torch.float64)]) if rest.numel() else sums
