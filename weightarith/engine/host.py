"""What the host does of a block on any device: operands read, buffers carried over, factors encoded."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

from weightarith.engine.blocks import WHOLE, Block
from weightarith.engine.factors import load_factors
from weightarith.engine.files import Inputs
from weightarith.engine.form import Operand
from weightarith.engine.plan import Job
from weightarith.engine.refusals import differing_buffer, nonfinite_factor
from weightarith.kernels.linear import CODES, decode, encode
from weightarith.tensorfile.model import Stored

Row = NDArray[np.uint8]
"""Room for the bytes of one operand, the anchor or the result; a multiple of 8 bytes."""


def row_bytes(job: Job, elements: int) -> int:
    """Return the bytes of a row that holds so many elements of whatever `job` reads or writes."""
    if job.action in WHOLE:
        return 8
    stored = [operand.stored for operand in job.operands] + ([job.anchor] if job.anchor is not None else [])
    widest = max([job.dtype.bits, *(one.info.dtype.bits for one in stored)])
    return -(-min(elements, max(job.count, 1)) * widest // 64) * 8


def read_operands(block: Block, inputs: Inputs, rows: Sequence[Row]) -> None:
    """Read the block of the anchor into row 0, and of the operands, in their order, into the next ones."""
    job = block.job
    if job.anchor is not None:
        _read_block(block, job.anchor, inputs, rows[0])
    for place, operand in enumerate(job.operands, start=1):
        _read_operand(block, operand, inputs, rows[place], rows[0])


def placed(job: Job) -> list[tuple[float, int, list[tuple[int, Operand]]]]:
    """Return the groups of a job: multiplier, origin, and each operand with the row it is read into."""
    rows = count(1)
    return [
        (group.multiplier, group.origin, [(next(rows), one) for one in group.operands])
        for group in job.groups
    ]


def without_arithmetic(block: Block, inputs: Inputs, rows: Sequence[Row]) -> memoryview:
    """Return the bytes of a block that no sum makes: a copy, a comparison, a factor. May lie in `rows`.

    Raises:
        IncompatibleError: buffers differ that the plan wants alike.
        NonFiniteError: a factor is NaN or infinite.
    """
    return _factor(block.job, inputs) if block.job.action in WHOLE else _copy(block, inputs, rows)


def _copy(block: Block, inputs: Inputs, rows: Sequence[Row]) -> memoryview:
    job = block.job
    own, other = (row.data[: block.nbytes] for row in rows[:2])
    start = job.dtype.nbytes(block.start)
    if job.anchor is not None:
        inputs.read(job.anchor, start, own)
    for label, stored in job.alike:
        inputs.read(stored, start, other)
        if own != other:
            raise differing_buffer(job.name, label, job.dtype)
    return own


def _factor(job: Job, inputs: Inputs) -> memoryview:
    factors = load_factors(job.factors, inputs)
    return factor_bytes(job, factors.left if job.action == "left" else factors.right, inputs)


def factor_bytes(job: Job, wanted: NDArray[np.float64], inputs: Inputs) -> memoryview:
    """Return a factor in the dtype of its job.

    Raises:
        NonFiniteError: it is NaN or infinite there.
    """
    raw = np.empty(-(-job.nbytes // 8) * 8, np.uint8)
    numbers = np.ascontiguousarray(wanted).reshape(-1)
    encode(numbers, raw, CODES[job.dtype.code], 0, job.count)
    decode(raw, CODES[job.dtype.code], 0, job.count, numbers)
    if not np.isfinite(numbers).all():
        raise nonfinite_factor(job, inputs)
    return raw.data[: job.nbytes]


def _read_operand(block: Block, operand: Operand, inputs: Inputs, row: Row, anchor: Row) -> None:
    size = operand.stored.info.dtype.nbytes(1)
    held = _read_block(block, operand.stored, inputs, row)
    if held == block.count:
        return
    if operand.missing == "anchor":  # same dtype, or the plan would have refused
        row[held * size : block.count * size] = anchor[held * size : block.count * size]
    else:
        row[held * size : block.count * size] = 0


def _read_block(block: Block, stored: Stored, inputs: Inputs, row: Row) -> int:
    """Read what a tensor holds of a block, and return how many of its elements that is."""
    size = stored.info.dtype.nbytes(1)
    held = max(min(block.count, stored.info.count - block.start), 0)
    inputs.read(stored, block.start * size, row.data[: held * size])
    return held
