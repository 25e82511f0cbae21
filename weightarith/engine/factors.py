"""Low-rank factors made ready: read once a tensor, coefficients folded into the left one, in float64."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weightarith.engine.files import Inputs
from weightarith.engine.plan import Job, LowRank
from weightarith.kernels.linear import CODES, decode
from weightarith.tensorfile.factored import Matrix

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Factors:
    """`left @ right` is the whole low-rank change of one tensor."""

    left: Doubles  # (rows, rank)
    right: Doubles  # (rank, columns)


def load_factors(job: Job, inputs: Inputs) -> Factors:
    """Return the factors of a job, those of several summands side by side."""
    if not job.factors:
        return Factors(np.zeros((1, 0)), np.zeros((0, 1)))
    left = [_load(low.factored.left, inputs) * _scale(low) for low in job.factors]
    right = [_load(low.factored.right, inputs) for low in job.factors]
    return Factors(np.concatenate(left, axis=1), np.concatenate(right, axis=0))


def _scale(low: LowRank) -> float:
    return low.coefficient * low.factored.scale


def _load(matrix: Matrix, inputs: Inputs) -> Doubles:
    info = matrix.stored.info
    raw = np.empty(-(-info.nbytes // 8) * 8, np.uint8)
    inputs.read(matrix.stored, 0, raw.data[: info.nbytes])
    numbers = np.empty(info.count, np.float64)
    decode(raw, CODES[info.dtype.code], 0, info.count, numbers)
    shaped = numbers.reshape(info.shape)
    return np.ascontiguousarray(shaped.T) if matrix.transposed else shaped


class FactorCache:
    """The factors of the tensors now being worked on; each is read once and let go after its last block."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._lock = threading.Lock()
        self._held: dict[int, tuple[Factors, int]] = {}

    def take(self, job: Job, blocks: int) -> Factors:
        """Return the factors of `job`; call it once for each of its `blocks`."""
        if not job.factors:
            return _NONE
        with self._lock:
            factors, left = self._held.get(id(job)) or (load_factors(job, self._inputs), blocks)
            if left == 1:
                self._held.pop(id(job), None)
            else:
                self._held[id(job)] = factors, left - 1
            return factors


_NONE = Factors(np.zeros((1, 0)), np.zeros((0, 1)))
