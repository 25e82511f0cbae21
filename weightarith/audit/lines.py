"""Rows and columns of a change: which moved, and which are those before times a number.

A row that is scaled has a change parallel to itself; the change of training is nearly never so. How parallel
is judged over the elements that changed, and the rest must be as small as rounding leaves it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

PARALLEL = 0.95
"""The cosine of a change with what it changes, from which on a line counts as scaled."""

LISTED = 16
"""Lines that are told one by one."""


@dataclass(frozen=True, eq=False)
class Lines:
    """Sums over each row, or each column, of a tensor, (lines,) each."""

    before: Doubles  # Σ a²
    change: Doubles  # Σ d²
    cross: Doubles  # Σ a·d
    moved: Doubles  # elements that changed
    within: Doubles  # Σ a² over those
    noise: Doubles  # Σ of the squared error of rounding


@dataclass(frozen=True)
class Scaled:
    """Lines of a tensor that are what they were, times a number.

    Attributes:
        axis: `row` or `column`.
        count: how many there are.
        lines: how many the tensor has that are not zero.
        listed: number, ratio and cosine of those that hold most of the change, at most `LISTED`.
        ratios: the smallest and the largest ratio of all of them.
        energy: their share of the squared change, 0 to 1.
        bound: the largest of log(1 − cos²)·(n − 2) / 2 over them: how unlikely the least of them is.
    """

    axis: str
    count: int
    lines: int
    listed: tuple[tuple[int, float, float], ...]
    ratios: tuple[float, float]
    energy: float
    bound: float


@dataclass(frozen=True)
class Moved:
    """Which lines changed at all.

    Attributes:
        count: how many.
        lines: how many there are.
        listed: number and relative change of those that changed most, at most `LISTED`; infinite where a line
            was zero.
        energy: the share of the squared change that the listed ones hold.
    """

    count: int
    lines: int
    listed: tuple[tuple[int, float], ...]
    energy: float


class Sums:
    """Sums over rows and columns, added to block by block."""

    def __init__(self, rows: int, columns: int) -> None:
        self._rows = np.zeros((6, rows))
        self._columns = np.zeros((6, columns))

    def add(self, first: int, before: Doubles, change: Doubles, noise: Doubles | None) -> None:
        """Add some rows, the first of them number `first`; `noise` is what rounding may have made of each."""
        moved = change != 0
        kept = np.where(moved, before, 0.0)
        own = self._rows[:, first : first + before.shape[0]]
        for axis, into in ((1, own), (0, self._columns)):
            letters = "ij,ij->i" if axis else "ij,ij->j"
            into[0] += np.einsum(letters, before, before)
            into[1] += np.einsum(letters, change, change)
            into[2] += np.einsum(letters, before, change)
            into[3] += np.count_nonzero(moved, axis=axis)
            into[4] += np.einsum(letters, kept, kept)
            if noise is not None:
                into[5] += noise.sum(axis=axis)

    @property
    def rows(self) -> Lines:
        """Sums over each row."""
        return Lines(*self._rows)

    @property
    def columns(self) -> Lines:
        """Sums over each column."""
        return Lines(*self._columns)


def scaled(axis: str, lines: Lines, surprise: float) -> Scaled | None:
    """Return the lines that are scaled, None where none is.

    Args:
        axis: what the lines are called.
        lines: sums over them.
        surprise: how unlikely a cosine must be to count: the logarithm of its chance.
    """
    size = np.sqrt(lines.within * lines.change)
    cosine = np.divide(lines.cross, size, out=np.zeros_like(size), where=size > 0)
    cosine = np.clip(cosine, -1.0, 1.0)
    bound = (lines.moved - 2) / 2 * np.log(np.maximum(1.0 - cosine**2, 1e-300))
    # Where only a few elements changed, they say nothing of the others: a scaled line changes nearly all.
    chosen = (np.abs(cosine) >= PARALLEL) & (bound <= surprise) & (lines.within >= 0.5 * lines.before)
    if not chosen.any():
        return None
    places = np.flatnonzero(chosen)
    ratio = 1.0 + lines.cross[places] / lines.within[places]
    order = np.argsort(-lines.change[places], kind="stable")[:LISTED]
    listed = tuple(
        (int(place), float(number), float(cosine[place]))
        for place, number in zip(places[order], ratio[order], strict=True)
    )
    return Scaled(
        axis, places.size, int(np.count_nonzero(lines.before)), listed,
        (float(ratio.min()), float(ratio.max())), float(lines.change[places].sum() / lines.change.sum()),
        float(bound[places].max()),
    )  # fmt: skip


def moved(lines: Lines) -> Moved:
    """Return the lines that changed."""
    places = np.flatnonzero(lines.change)
    order = places[np.argsort(-lines.change[places], kind="stable")[:LISTED]]
    total = float(lines.change.sum())
    listed = tuple((int(place), _relative(lines.change[place], lines.before[place])) for place in order)
    energy = float(lines.change[order].sum()) / total if total else 0.0
    return Moved(places.size, lines.change.size, listed, energy)


def _relative(change: float, before: float) -> float:
    return float(np.sqrt(change / before)) if before else float("inf")
