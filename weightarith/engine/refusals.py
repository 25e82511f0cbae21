"""What a run says when it meets numbers it must not write."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from weightarith.engine.blocks import Block
from weightarith.engine.factors import Factors
from weightarith.engine.files import Inputs, decoded
from weightarith.engine.form import LowRank
from weightarith.engine.plan import Job
from weightarith.errors import IncompatibleError, InvalidFileError, NonFiniteError, quoted
from weightarith.kernels.linear import CODES, decode
from weightarith.store import Encoded
from weightarith.tensorfile.dtypes import DType
from weightarith.tensorfile.model import Stored

SEARCHED = 1 << 20
"""Elements looked through at a time for the one to be named."""


def nonfinite_result(block: Block, inputs: Inputs, row: NDArray[np.uint8]) -> NonFiniteError:
    """Return the error for a block with NaN or infinity in it: which element, and whose fault it is."""
    job = block.job
    result = np.empty(block.count)
    decode(row, CODES[job.dtype.code], 0, block.count, result)
    index = int(np.flatnonzero(~np.isfinite(result))[0])
    place = list(map(int, np.unravel_index(block.start + index, job.shape))) if job.shape else []
    for one in (*job.form.dense, *([job.anchor] if job.anchor is not None else [])):
        if block.start + index < _count(one) and not np.isfinite(
            number := float(_elements(one, block.start + index, 1, inputs)[0])
        ):
            return NonFiniteError(
                f"{quoted(_path(one))}: tensor {quoted(job.name)} holds {number} at {place}",
                hint="the input is damaged; to carry it over all the same: policy: {nonfinite: allow}",
            )
    return _damaged_factor(job.name, job.form.factor_matrices, inputs) or NonFiniteError(
        f"the sum is {result[index]} at {place} of tensor {quoted(job.name)}: too large for {job.dtype.code}",
        hint="use smaller coefficients or a wider output dtype",
    )


def nonfinite_operand(name: str, sources: Iterable[Stored | Encoded], inputs: Inputs) -> NonFiniteError:
    """Return the error for an operand of an operator with NaN or infinity in it."""
    for one in sources:
        count, shape = _count(one), one.shape if isinstance(one, Encoded) else one.info.shape
        for first in range(0, count, SEARCHED):
            numbers = _elements(one, first, min(SEARCHED, count - first), inputs)
            wrong = np.flatnonzero(~np.isfinite(numbers))
            if wrong.size:
                place = list(map(int, np.unravel_index(first + int(wrong[0]), shape or (1,))))
                found = f"tensor {quoted(name)} holds {numbers[wrong[0]]} at {place}"
                return NonFiniteError(
                    f"{quoted(_path(one))}: {found}",
                    hint="the input is damaged; leave the operator out to carry it over",
                )
    return NonFiniteError(
        f"an operand at tensor {quoted(name)} becomes too large for a float64",
        hint="use smaller coefficients",
    )


def not_encodable(name: str, kind: str) -> NonFiniteError:
    """Return the error for a tensor with numbers that an encoding cannot hold."""
    return NonFiniteError(
        f"tensor {quoted(name)} holds a number that the encoding {kind} cannot: NaN, infinity, or one "
        "that is too large for a scale of float32",
        hint="write the vector without an encoding",
    )


def miscounted(name: str) -> InvalidFileError:
    """Return the error for a tensor of which other elements are zero than when they were counted."""
    return InvalidFileError(
        f"tensor {quoted(name)} is another one than when its elements were counted: an input was written to",
        hint="wait until whatever writes it has finished, then run again",
    )


def nonfinite_factor(job: Job, inputs: Inputs) -> NonFiniteError:
    """Return the error for a factor to be written that holds NaN or infinity."""
    return _damaged_factor(job.name, job.form.factor_matrices, inputs) or NonFiniteError(
        f"tensor {quoted(job.name)} is too large for {job.dtype.code}",
        hint="use smaller coefficients or a wider output dtype",
    )


def expect_finite_factors(name: str, loaded: Factors, factors: Iterable[LowRank], inputs: Inputs) -> None:
    """Refuse factors with NaN or infinity in them, before an operator sees them.

    Raises:
        NonFiniteError: there is some.
    """
    if not np.isfinite(loaded.left).all() or not np.isfinite(loaded.right).all():
        sides = [side.stored for low in factors for side in (low.factored.left, low.factored.right)]
        raise _damaged_factor(name, sides, inputs) or nonfinite_operand(name, (), inputs)


def _damaged_factor(name: str, matrices: Iterable[Stored], inputs: Inputs) -> NonFiniteError | None:
    for stored in matrices:
        raw, numbers = np.zeros(-(-stored.info.nbytes // 8) * 8, np.uint8), np.empty(stored.info.count)
        inputs.read(stored, 0, raw.data[: stored.info.nbytes])
        decode(raw, CODES[stored.info.dtype.code], 0, stored.info.count, numbers)
        if not np.isfinite(numbers).all():
            return NonFiniteError(
                f"{quoted(str(stored.file.path))}: a factor of tensor {quoted(name)} is not finite",
                hint="the adapter or vector is damaged: train or download it again",
            )
    return None


def _count(source: Stored | Encoded) -> int:
    return source.count if isinstance(source, Encoded) else source.info.count


def _path(source: Stored | Encoded) -> str:
    stored = next(iter(source.parts.values())) if isinstance(source, Encoded) else source
    return str(stored.file.path)


def _elements(stored: Stored | Encoded, first: int, count: int, inputs: Inputs) -> NDArray[np.float64]:
    if isinstance(stored, Encoded):
        return decoded(stored, first, count, inputs)
    size = stored.info.dtype.nbytes(1)
    raw, numbers = np.zeros(-(-count * size // 8) * 8, np.uint8), np.empty(count)
    inputs.read(stored, first * size, raw.data[: count * size])
    decode(raw, CODES[stored.info.dtype.code], 0, count, numbers)
    return numbers


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
