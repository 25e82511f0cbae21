"""What a run says when it meets numbers it must not write."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weightarith.engine.blocks import Block
from weightarith.engine.files import Inputs
from weightarith.engine.plan import Job
from weightarith.errors import IncompatibleError, NonFiniteError, quoted
from weightarith.kernels.linear import CODES, decode
from weightarith.tensorfile.dtypes import DType
from weightarith.tensorfile.model import Stored


def nonfinite_result(block: Block, inputs: Inputs, row: NDArray[np.uint8]) -> NonFiniteError:
    """Return the error for a block with NaN or infinity in it: which element, and whose fault it is."""
    job = block.job
    result = np.empty(block.count)
    decode(row, CODES[job.dtype.code], 0, block.count, result)
    index = int(np.flatnonzero(~np.isfinite(result))[0])
    place = list(map(int, np.unravel_index(block.start + index, job.shape))) if job.shape else []
    stored = [operand.stored for operand in job.operands]
    stored += [job.anchor] if job.anchor is not None else []
    for one in stored:
        if block.start + index < one.info.count and not np.isfinite(
            number := _element(one, block.start + index, inputs)
        ):
            return NonFiniteError(
                f"{quoted(str(one.file.path))}: tensor {quoted(job.name)} holds {number} at {place}",
                hint="the input is damaged; to carry it over all the same: policy: {nonfinite: allow}",
            )
    return _damaged_factor(job, inputs) or NonFiniteError(
        f"the sum is {result[index]} at {place} of tensor {quoted(job.name)}: too large for {job.dtype.code}",
        hint="use smaller coefficients or a wider output dtype",
    )


def nonfinite_factor(job: Job, inputs: Inputs) -> NonFiniteError:
    """Return the error for a factor to be written that holds NaN or infinity."""
    return _damaged_factor(job, inputs) or NonFiniteError(
        f"tensor {quoted(job.name)} is too large for {job.dtype.code}",
        hint="use smaller coefficients or a wider output dtype",
    )


def _damaged_factor(job: Job, inputs: Inputs) -> NonFiniteError | None:
    for matrix in (matrix for low in job.factors for matrix in (low.factored.left, low.factored.right)):
        stored = matrix.stored
        raw, numbers = np.zeros(-(-stored.info.nbytes // 8) * 8, np.uint8), np.empty(stored.info.count)
        inputs.read(stored, 0, raw.data[: stored.info.nbytes])
        decode(raw, CODES[stored.info.dtype.code], 0, stored.info.count, numbers)
        if not np.isfinite(numbers).all():
            return NonFiniteError(
                f"{quoted(str(stored.file.path))}: a factor of tensor {quoted(job.name)} is not finite",
                hint="the adapter or vector is damaged: train or download it again",
            )
    return None


def _element(stored: Stored, index: int, inputs: Inputs) -> float:
    size = stored.info.dtype.nbytes(1)
    raw, number = np.zeros(8, np.uint8), np.empty(1)
    inputs.read(stored, index * size, raw.data[:size])
    decode(raw, CODES[stored.info.dtype.code], 0, 1, number)
    return float(number[0])


def differing_buffer(name: str, label: str, dtype: DType) -> IncompatibleError:
    """Return the error for buffers that should hold the same bytes and do not."""
    hint = (
        "to copy the base's: policy: {integers: base}"
        if dtype.integer
        else "such formats are copied, never added"
    )
    return IncompatibleError(
        f"tensor {quoted(name)} ({dtype.code}) differs in {label}, and cannot be added", hint=hint
    )
