"""Low-rank factors made ready: read once a tensor, coefficients folded into the left one, in float64."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from weightarith.engine.files import Inputs
from weightarith.engine.form import LowRank
from weightarith.engine.plan import Job
from weightarith.kernels.linear import CODES, decode
from weightarith.tensorfile.factored import Matrix

Doubles = NDArray[np.float64]

Ready = TypeVar("Ready")  # factors in the form a device wants them


@dataclass(frozen=True, eq=False)
class Factors:
    """`left @ right` is the whole low-rank change of one tensor."""

    left: Doubles  # (rows, rank)
    right: Doubles  # (rank, columns)


def load_factors(factors: tuple[LowRank, ...], inputs: Inputs) -> Factors:
    """Return factored summands, of which there are some, side by side."""
    left = [_load(low.factored.left, inputs) * _scale(low) for low in factors]
    right = [_load(low.factored.right, inputs) for low in factors]
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


class FactorCache(Generic[Ready]):
    """The factors of the tensors now being worked on; each is read once and let go after its last use."""

    def __init__(self, load: Callable[[Job], Ready]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._held: dict[int, tuple[Ready, int]] = {}

    def take(self, job: Job, uses: int) -> Ready:
        """Return the factors of `job`; call it exactly `uses` times."""
        with self._lock:
            factors, left = self._held.get(id(job)) or (self._load(job), uses)
            if left == 1:
                self._held.pop(id(job), None)
            else:
                self._held[id(job)] = factors, left - 1
            return factors


NO_FACTORS = Factors(np.zeros((1, 0)), np.zeros((0, 1)))
"""What a job without low-rank summands adds."""
