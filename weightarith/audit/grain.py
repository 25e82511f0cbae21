"""How finely a tensor's values are spaced: significant bits, 16 and 8 bit formats, grids of integers.

A value that went through a coarser format has zeros at the end of its significand. Of 99.9 % of the values
that have any; so a few that were changed later hide nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Counts = NDArray[np.int64]

PRECISION = {"BF16": 8, "F16": 11, "F32": 24, "F64": 53}
"""Significant bits of a dtype, the one that is not stored included."""

FORMATS: Mapping[str, tuple[int, int]] = {
    "bfloat16": (8, -126),
    "float16": (11, -14),
    "float8_e4m3": (4, -6),
    "float8_e5m2": (3, -14),
}
"""Significant bits, and exponent of the smallest normal number, by name of the format."""

NEARLY = 0.999
"""Share of the values that must have a property for the tensor to have it."""

SAMPLED = 1 << 16
"""Elements of the rows that are looked at one by one, about."""

_SIGNIFICAND, _IMPLICIT = (1 << 52) - 1, 1 << 52
_EXPONENT = 0x7FF << 52
_RUN = 32  # values that a quantised format with a scale for each run has a scale for, at least
_FEW = 16  # levels of a 4-bit format
_INTEGERS = 127  # of an int8 in each direction, as it is used for weights
_SMALL = 16  # multiples of a step that the rounding of a 16-bit float does not reach


def bits_needed(values: Doubles) -> Counts:
    """Return how many values need 0, 1 … 53 significant bits, (54); zeros need none."""
    pattern = values.reshape(-1).view(np.int64)
    significand = (pattern & _SIGNIFICAND) | _IMPLICIT
    lowest = (significand & -significand).astype(np.float64).view(np.int64)  # a power of two: exact
    needed = 53 - ((lowest >> 52) - 1023)
    return np.bincount(np.where(values.reshape(-1) == 0, 0, needed), minlength=54)


def rounding_noise(change: Doubles, after: Doubles, bits: int) -> Doubles:
    """Return the squared error of each element of a change that rounding to so many bits can account for.

    Of an element that did not change it is 0. A change by one step may be rounding as a whole: a change that
    is smaller than a step moves some elements by one, and the others not at all. Of a larger change the error
    is uniform over a step: a twelfth of the step's square.
    """
    powers = (after.view(np.int64) & _EXPONENT).view(np.float64)  # 2^⌊log₂|x|⌋
    step = powers * 2.0 ** (1 - bits)
    found: Doubles = np.where(np.abs(change) <= 1.5 * step, change**2, (step**2) / 12.0)
    return found


def rounded(values: Doubles, bits: int, smallest: int) -> Doubles:
    """Return values rounded to a binary format, ties to even; nothing overflows."""
    exponent = np.maximum(np.frexp(values)[1] - 1, smallest)
    found: Doubles = np.ldexp(np.rint(np.ldexp(values, bits - 1 - exponent)), exponent - bits + 1)
    return found


@dataclass(frozen=True)
class Grain:
    """How finely the values of a tensor are spaced, before and after.

    Attributes:
        before: significant bits that nearly all values need; None where there are none but zero.
        after: those after the change.
        share: of the values that are not zero, that need no more bits than `after`, 0 to 1.
        form: what the values after are: a name of `FORMATS`, `int8 …`, `4 bits …`; empty for none.
        equal: the share of sampled values that are those before, rounded to that format, 0 to 1.
    """

    before: int | None
    after: int | None
    share: float
    form: str
    equal: float

    @property
    def coarser(self) -> bool:
        """Whether the values are spaced more coarsely than they were."""
        return bool(self.form) or (
            self.before is not None and self.after is not None and self.after < self.before
        )


def grain(before: Counts, after: Counts, sampled: tuple[Doubles, Doubles], largest: float) -> Grain:
    """Return how the spacing of a tensor's values changed.

    Args:
        before: what `bits_needed` counted.
        after: the same after the change.
        sampled: some rows before and after, (rows, columns).
        largest: the largest magnitude after the change, in all of the tensor.
    """
    bits = _enough(before), _enough(after)
    held = int(after[1:].sum())
    share = float(after[1 : (bits[1] or 0) + 1].sum()) / held if held else 0.0
    form, equal = "", 0.0
    if bits[0] is not None and bits[1] is not None and bits[1] < bits[0]:
        form, equal = _format(*sampled, bits[1])
    if not form:
        form, equal = _integers(*sampled, largest)
    return Grain(*bits, share, form, equal)


def _enough(counts: Counts) -> int | None:
    """Return the fewest bits that are enough for nearly all values that are not zero."""
    held = np.cumsum(counts[1:])
    return int(np.searchsorted(held, NEARLY * held[-1])) + 1 if held[-1] else None


def _format(before: Doubles, after: Doubles, bits: int) -> tuple[str, float]:
    """Return the format that gives most of the values after, and how many."""
    shares = {
        name: float(np.mean(rounded(before, own, smallest) == after))
        for name, (own, smallest) in FORMATS.items()
        if own >= bits
    }
    if not shares:
        return f"{bits} significant bits", float(np.mean(rounded(before, bits, -1022) == after))
    best = max(shares, key=lambda name: shares[name])
    plain = float(np.mean(rounded(before, bits, -1022) == after))
    return (best, shares[best]) if shares[best] >= plain else (f"{bits} significant bits", plain)


def _integers(before: Doubles, after: Doubles, largest: float) -> tuple[str, float]:
    """Return the grid of integers that the values after are on and those before are not, and how many."""
    if after.shape[0] < 2 or not largest:
        return "", 0.0
    steps: dict[str, Callable[[Doubles], Doubles]] = {
        "int8, a scale for each tensor": lambda _rows: np.full((after.shape[0], 1), largest / _INTEGERS),
        "int8, a scale for each row": lambda rows: np.abs(rows).max(axis=1, keepdims=True) / _INTEGERS,
    }
    for name, step in steps.items():
        own = step(after)
        if _on_grid(after, own) > 0.99 and _on_grid(before, step(before)) < 0.9:
            scale = np.where(own > 0, own, 1.0)
            again = np.rint(before / scale) * scale
            return name, float(np.mean(np.abs(again - after) <= np.abs(after) / 128))
    few = _levels(after)
    if few <= _FEW and _levels(before) > 1.5 * few:
        return f"4 bits, a scale for each run of {_RUN} or more", 0.0
    return "", 0.0


def _on_grid(rows: Doubles, step: Doubles) -> float:
    """Return the share of small values that are multiples of their row's step, but for 16-bit rounding."""
    times = np.abs(np.divide(rows, step, out=np.zeros_like(rows), where=step > 0))
    near = (times > 0) & (times < _SMALL)
    if np.count_nonzero(near) < _RUN:
        return 0.0
    wrong = np.abs(times - np.rint(times))[near]
    return float(np.mean(wrong <= times[near] / 128 + 1e-6))


def _levels(rows: Doubles) -> float:
    """Return how many values a run of neighbours in a row has that are different, in the mean."""
    columns = rows.shape[1] // _RUN * _RUN
    if not columns:
        return float("inf")
    runs = np.sort(rows[:, :columns].reshape(-1, _RUN), axis=1)
    return float(1 + np.count_nonzero(np.diff(runs, axis=1), axis=1).mean())
