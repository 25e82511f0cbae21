"""One tensor of two models looked at: all that is later said of it, from one reading of both sides.

A large matrix that changed is read three times more, for its spectrum. Held are one matrix of at most
`spectra.WHOLE` elements, or a sketch of a large one, sums of each row and column, and samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weightarith.audit.grain import PRECISION, SAMPLED, Grain, bits_needed, grain, rounding_noise
from weightarith.audit.lines import Moved, Scaled, Sums, moved, scaled
from weightarith.audit.pairs import VOCABULARY, Pair
from weightarith.audit.rows import Rows, rows_of
from weightarith.audit.spectra import WHOLE, Spectrum, edge_of, sketched
from weightarith.audit.spectra import whole as decomposed
from weightarith.engine.files import Inputs
from weightarith.names import role_of

Doubles = NDArray[np.float64]

PLACES = 4096
"""Elements of a tensor that tell it from others."""

_SEED = 20070815


@dataclass(frozen=True, eq=False)
class Look:
    """What was found of one tensor.

    Attributes:
        pair: which.
        changed: elements that are not what they were; of a vocabulary, in the rows that both have.
        norms: Frobenius norms before, of the change, and after.
        largest: the largest magnitude of the change.
        cross: Σ before · change.
        nonfinite: elements that are NaN or infinite before, after, and after but not before.
        sample: values at up to `PLACES` places, before and after, float32.
        rows: rows that are scaled; None where none is.
        columns: columns that are scaled.
        moved: which rows changed, of a vocabulary; None for other tensors.
        grain: how the spacing of values changed; None where the weights after are not stored.
        spectrum: singular values of the change; None where nothing changed, or a tensor is no matrix.
    """

    pair: Pair
    changed: int
    norms: tuple[float, float, float]
    largest: float
    cross: float
    nonfinite: tuple[int, int, int]
    sample: tuple[NDArray[np.float32], NDArray[np.float32]]
    rows: Scaled | None = None
    columns: Scaled | None = None
    moved: Moved | None = None
    grain: Grain | None = None
    spectrum: Spectrum | None = None

    @property
    def name(self) -> str:
        """The name of the tensor."""
        return self.pair.name

    @property
    def relative(self) -> float:
        """The norm of the change over that before; infinite where all was zero."""
        before, change, _ = self.norms
        return change / before if before else math.inf if change else 0.0

    @property
    def share(self) -> float:
        """The share of its elements that changed, 0 to 1."""
        return self.changed / self.pair.count if self.pair.count else 0.0


def look(pair: Pair, inputs: Inputs, surprise: float) -> Look:
    """Return what is found of one tensor.

    Args:
        pair: which.
        inputs: its files.
        surprise: how unlikely a line must be to count as scaled: the logarithm of its chance.

    Raises:
        InvalidFileError: a file changed since its header was read, or an encoded tensor is flawed.
        StorageError: the disk failed.
    """
    seen = _Seen(pair)
    with np.errstate(over="ignore", invalid="ignore"):  # squares of float64: a norm above 1e154 is infinite
        for rows in rows_of(pair, inputs):
            seen.add(rows)
        return seen.looked(inputs, surprise)


class _Seen:
    """Sums over the blocks of one tensor."""

    def __init__(self, pair: Pair) -> None:
        rows, columns = pair.shape
        self._pair = pair
        self._stored = pair.weights and pair.before is not None and pair.after is not None
        self._squares = np.zeros(3)
        self._cross = self._largest = self._largest_after = 0.0
        self._changed = 0
        self._nonfinite = np.zeros(3, np.int64)
        self._places = np.unique(np.linspace(0, max(pair.count - 1, 0), PLACES).astype(np.int64))
        self._sample: list[tuple[Doubles, Doubles]] = []
        self._lines = Sums(rows, columns)
        self._bits = np.zeros((2, 54), np.int64)
        self._chosen = np.unique(
            np.linspace(0, rows - 1, min(max(SAMPLED // max(columns, 1), 1), rows)).astype(int)
        )
        self._rows: list[tuple[Doubles, Doubles]] = []
        self._matrix = np.zeros(pair.shape) if min(rows, columns) > 1 and pair.count <= WHOLE else None

    def add(self, rows: Rows) -> None:
        """Add a block."""
        before, change, after = (one.reshape(-1) for one in (rows.before, rows.change, rows.after))
        self._nonfinite += rows.nonfinite
        changed = int(np.count_nonzero(change))
        self._squares += (before @ before, change @ change, after @ after)
        self._keep(rows, before, after)
        if self._matrix is not None:
            self._matrix[rows.first : rows.first + rows.change.shape[0]] = rows.change
        bits = PRECISION[self._pair.dtypes[1]] if self._stored else 53
        noise = rounding_noise(rows.change, rows.after, bits) if changed and self._stored else None
        self._lines.add(rows.first, rows.before, rows.change, noise)
        self._changed += changed
        if before.size:
            self._largest_after = max(self._largest_after, float(np.abs(after).max()))
        if not changed:
            return
        self._largest = max(self._largest, float(np.abs(change).max()))
        self._cross += float(before @ change)

    def _keep(self, rows: Rows, before: Doubles, after: Doubles) -> None:
        """Keep what is looked at one by one: places, rows, and of stored weights how they are spaced."""
        start = rows.first * self._pair.shape[1]
        low, high = np.searchsorted(self._places, (start, start + before.size))
        own = self._places[low:high] - start
        self._sample.append((before[own], after[own]))
        if not self._stored:
            return
        self._bits[0] += bits_needed(before)
        self._bits[1] += bits_needed(after)
        low, high = np.searchsorted(self._chosen, (rows.first, rows.first + rows.before.shape[0]))
        chosen = self._chosen[low:high] - rows.first
        self._rows.append((rows.before[chosen], rows.after[chosen]))

    def looked(self, inputs: Inputs, surprise: float) -> Look:
        """Return what was found, reading a large change again where it has a spectrum."""
        before, change, after = (float(one) for one in np.sqrt(self._squares))
        sample = tuple(
            np.concatenate([one[side] for one in self._sample] or [np.zeros(0)]).astype(np.float32)
            for side in (0, 1)
        )
        found = Look(
            self._pair, self._changed, (before, change, after), self._largest, self._cross,
            (int(self._nonfinite[0]), int(self._nonfinite[1]), int(self._nonfinite[2])),
            (sample[0], sample[1]),
        )  # fmt: skip
        if not self._changed or self._pair.before is None or self._pair.after is None:
            return found
        vocabulary = role_of(self._pair.name) in VOCABULARY
        parts = {
            "rows": scaled("row", self._lines.rows, surprise),
            "columns": scaled("column", self._lines.columns, surprise) if self._pair.shape[0] > 1 else None,
            "moved": moved(self._lines.rows) if vocabulary and self._pair.shape[0] > 1 else None,
            "grain": self._grained(),
            "spectrum": self._spectrum(inputs),
        }
        return Look(**{**vars(found), **parts})

    def _grained(self) -> Grain | None:
        if not self._rows:
            return None
        rows = tuple(np.concatenate([one[side] for one in self._rows]) for side in (0, 1))
        return grain(self._bits[0], self._bits[1], (rows[0], rows[1]), self._largest_after)

    def _spectrum(self, inputs: Inputs) -> Spectrum | None:
        if min(self._pair.shape) < 2 or not math.isfinite(self._squares[1]):
            return None
        edge = edge_of(self._lines.rows.noise, self._lines.columns.noise)
        if self._matrix is not None:
            return decomposed(self._matrix, edge)

        def blocks() -> Iterator[tuple[int, Doubles]]:
            return ((rows.first, rows.change) for rows in rows_of(self._pair, inputs))

        return sketched(blocks, self._pair.shape, edge, float(self._squares[1]), _SEED)
