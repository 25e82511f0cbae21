"""Reductions over a field: sums, inner products, and the k-th largest of many numbers without sorting them.

Each is one pass over the blocks, seldom more. Sums are formed in float64, block after block, so that they
depend on neither threads nor shards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from weightarith.errors import NonFiniteError
from weightarith.kernels.elect import between
from weightarith.operators.field import Array, is_plain
from weightarith.operators.masks import uniform

Doubles = NDArray[np.float64]

MARGIN = 6.0
"""Standard deviations, of a rank in a sample, that a bracket extends to both sides of the rank asked for."""

GATHERED = 1 << 21
"""Numbers of one row that a pass holds at most; of more, it holds a random part."""

PART = 1 / 8
"""How much of the numbers held is held on to when they become too many."""


PAIRED = 4
"""Operands up to which inner products are formed pair by pair."""


LARGEST_BLOCK = 1 << 17
"""Elements of a block that a field counts in at once, at most."""


@runtime_checkable
class Quick(Protocol):
    """A field that can reduce its operands without forming them, where they are plain enough."""

    def products(self) -> Doubles | None:
        """Return the inner products of the operands, None where there is no quicker way."""
        ...

    def sizes_between(
        self, wanted: Mapping[int, tuple[float, float, Doubles]]
    ) -> Iterator[tuple[int, tuple[int, int, int, int]]] | None:
        """Yield, block after block, the number of an operand and what `elect.between` says of its magnitudes.

        Args:
            wanted: for each operand a bracket, and where to put what lies inside.
        """
        ...


class Blocks(Protocol):
    """What a reduction goes over: a field, or the fields of a whole model one after the other."""

    @property
    def count(self) -> int:
        """Elements of each row."""
        ...

    def blocks(self) -> Iterable[tuple[int, Array]]:
        """Yield blocks."""
        ...

    def sample(self) -> Array:
        """Return some of the values, spread evenly."""
        ...


def on_host(array: Array) -> Doubles:
    """Return an array of any device as a numpy array of float64."""
    found: Any = array
    if hasattr(found, "detach"):
        found = found.detach().cpu().numpy()
    return np.asarray(found, np.float64)


def sums(field: Blocks, function: Callable[[Array], Array]) -> Doubles:
    """Return the sum over all blocks of `function(values)`, an array of any one shape."""
    total: Doubles | None = None
    for _, values in field.blocks():
        part = on_host(function(values))
        total = part.copy() if total is None else np.asarray(total + part)
    return np.zeros(0) if total is None else total


def gram(field: Blocks) -> Doubles:
    """Return the inner products of the operands with one another, (operands, operands)."""
    quick = field.products() if isinstance(field, Quick) else None
    return sums(field, _products) if quick is None else quick


def _products(values: Array) -> Array:
    """Return the inner products of a block; of a few long rows, pair by pair is twice as fast."""
    if values.shape[0] > PAIRED:
        return values @ values.T
    rows = [values[row, :] for row in range(values.shape[0])]
    found = [[one @ other for other in rows[: number + 1]] for number, one in enumerate(rows)]
    square = [[found[max(i, j)][min(i, j)] for j in range(len(rows))] for i in range(len(rows))]
    if isinstance(values, np.ndarray):
        return np.array(square)
    xp = array_namespace(values)
    return xp.stack([xp.stack(line) for line in square])


def magnitudes(values: Array) -> Array:
    """Return what most rankings are by."""
    return abs(values)


def kth_largest(field: Blocks, measure: Callable[[Array], Array], ranks: Iterable[int]) -> list[float]:
    """Return, for each row of what is measured, the number of the given rank, 1 for the largest.

    A sorted sample gives a narrow bracket in which the number almost surely lies; one pass counts what lies
    above and gathers what lies inside, of which the exact number is picked. Should the sample mislead, the
    bracket is widened; should more lie inside than may be held, a random part of it is the next sample. So
    memory is bounded, and only the number of passes depends on the data. Floyd and Rivest (1975), "Expected
    time bounds for selection", https://doi.org/10.1145/360680.360691

    Args:
        field: what to go over.
        measure: `measure(values)` is (rows, elements): for each block the numbers that are ranked.
        ranks: for each row the rank, from 1 on. A rank of 0 gives infinity; one beyond the number of
            elements, minus infinity.

    Raises:
        NonFiniteError: there are fewer numbers than the rank, the others being NaN.
    """
    wanted, count = list(ranks), field.count
    found = {row: _beyond(rank) for row, rank in enumerate(wanted) if not 1 <= rank <= count}
    if len(found) < len(wanted):
        sample = on_host(measure(field.sample()))
        searches = {
            row: _Search(np.sort(sample[row][~np.isnan(sample[row])]), rank, count)
            for row, rank in enumerate(wanted)
            if row not in found
        }
        while searches:
            tallies = {row: _Tally(*search.bracket) for row, search in searches.items()}
            _count(field, measure, tallies)
            for row, tally in tallies.items():
                outcome = tally.outcome(wanted[row], searches[row])
                if isinstance(outcome, _Search):
                    searches[row] = outcome
                else:
                    found[row] = outcome
                    del searches[row]
    return [found[row] for row in range(len(wanted))]


def _beyond(rank: int) -> float:
    return math.inf if rank < 1 else -math.inf


def _count(field: Blocks, measure: Callable[[Array], Array], tallies: dict[int, _Tally]) -> None:
    sizes = measure is magnitudes
    if sizes and isinstance(field, Quick):
        wanted = {row: tally.place(field.count) for row, tally in tallies.items()}
        quick = field.sizes_between(wanted)
        if quick is not None:
            for row, counts in quick:
                tallies[row].add(*counts)
            return
    for _, values in field.blocks():
        if sizes and is_plain(values):
            for row, tally in tallies.items():
                tally.take_at_once(values[row], sizes=True)
            continue
        measured = measure(values)
        for row, tally in tallies.items():
            tally.take(measured[row])


@dataclass(frozen=True, eq=False)
class _Search:
    """What is known of one row: the number is between `low` and `high`, and a sample of what is there."""

    sample: Doubles  # sorted
    rank: int  # of the number among those the sample is of
    population: int
    low: float = -math.inf
    high: float = math.inf
    width: float = MARGIN

    @property
    def bracket(self) -> tuple[float, float]:
        """Numbers between which the one sought lies, if the sample does not mislead."""
        size = self.sample.size
        place = size - self.rank / self.population * size  # from the smallest on
        spread = self.width * math.sqrt(max(place * (size - place) / max(size, 1), 1.0)) + 1
        low, high = math.floor(place - spread), math.ceil(place + spread)
        bottom = self.low if low < 0 else float(self.sample[low])
        top = self.high if high >= size else float(self.sample[high])
        return (
            bottom if self.low < bottom < self.high else self.low,
            top if self.low < top < self.high else self.high,
        )


class _Tally:
    """What one pass finds of one row: how much lies above a bracket, at its ends, and what lies inside."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high
        self.above = self.at_high = self.inside = self.at_low = 0
        self.share = 1.0  # of what lies inside that is held
        self.holding = 0
        self._near = np.empty(0)
        self.held: list[Doubles] = []
        self.draws: list[Doubles] = []  # where the share is less than 1: one for each number held

    def take(self, numbers: Array) -> None:
        """Take the numbers of a block into account."""
        if is_plain(numbers):
            self.take_at_once(numbers)
            return
        xp = array_namespace(numbers)
        self.above += int(xp.count_nonzero(numbers > self.high))
        near = numbers[(numbers >= self.low) & (numbers <= self.high)]
        self.at_high += int(xp.count_nonzero(near == self.high))
        if self.low < self.high:
            self.at_low += int(xp.count_nonzero(near == self.low))
            self._hold(on_host(near[(near > self.low) & (near < self.high)]))

    def take_at_once(self, numbers: Doubles, *, sizes: bool = False) -> None:
        """Take the numbers of a plain block, or their magnitudes, into account in one go."""
        if self._near.size <= numbers.size:
            self._near = np.empty(numbers.size + 1)
        self.add(*between(numbers, self.low, self.high, self._near, sizes=sizes))

    def place(self, most: int) -> tuple[float, float, Doubles]:
        """Return the bracket, and room for what lies in it of a block of a field of `most` elements."""
        self._near = np.empty(min(most, LARGEST_BLOCK) + 1)
        return self.low, self.high, self._near

    def add(self, above: int, at_high: int, at_low: int, inside: int) -> None:
        """Take into account what was counted, and what was put where `place` said."""
        self.above += above
        self.at_high += at_high
        if self.low < self.high:
            self.at_low += at_low
            self._hold(self._near[:inside].copy())

    def _hold(self, numbers: Doubles) -> None:
        if self.share == 1:
            self.held.append(numbers)
            self.holding += numbers.size
        else:
            self._hold_part(numbers, uniform(0, 0, self.inside, numbers))
        self.inside += numbers.size
        while self.holding > GATHERED:
            held = np.concatenate(self.held)
            draws = np.concatenate(self.draws) if self.draws else uniform(0, 0, 0, held)
            self.held, self.draws, self.holding = [], [], 0
            self.share *= PART
            self._hold_part(held, draws)

    def _hold_part(self, numbers: Doubles, draws: Doubles) -> None:
        chosen = draws < self.share  # drawn by count, so that no pattern in the data can mislead
        self.held.append(numbers[chosen])
        self.draws.append(draws[chosen])
        self.holding += self.held[-1].size

    def outcome(self, rank: int, search: _Search) -> float | _Search:
        """Return the number of a rank, or where to look for it."""
        left = rank - self.above
        if left < 1 and self.high < search.high:
            return replace(search, low=self.high, width=search.width * 8)
        if 1 <= left <= self.at_high:
            return self.high
        left -= self.at_high
        if 1 <= left <= self.inside:
            held = np.concatenate(self.held)
            if self.share == 1:
                return float(np.partition(held, held.size - left)[held.size - left])
            return _Search(np.sort(held), left, self.inside, self.low, self.high)
        left -= self.inside
        if 1 <= left <= self.at_low:
            return self.low
        if left >= 1 and self.low > search.low:
            return replace(search, high=self.low, width=search.width * 8)
        raise NonFiniteError(
            f"the {rank} largest of {rank - left} numbers are asked for: the others are NaN",
            hint="an input is damaged: train or download it again",
        )
