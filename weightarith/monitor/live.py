"""A network in training held against known vectors, as it is in memory at this moment.

Where all is in factors, small products on the network's own device say it all. What is dense is streamed: the
base and dense vectors stay on the disk, and are read once a look, in blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from weightarith.algebra import Checkpoint
from weightarith.engine.together import Together, plan_of_all, visit_all
from weightarith.errors import IncompatibleError, quoted, some
from weightarith.monitor.copies import Moments, Piece, moments, piece_of
from weightarith.monitor.known import Known
from weightarith.monitor.moved import Moved
from weightarith.monitor.near import near, small_pieces
from weightarith.monitor.network import Trained, trained_in
from weightarith.monitor.overlap import CHANGE, Blocks, Doubles, blocks_of, joined, overlap, side_of
from weightarith.monitor.start import Start, of_tensors, overlap_of_rows
from weightarith.operators.field import Product
from weightarith.tensorfile.reader import Readers


class Live:
    """A network and the vectors it is held against.

    Args:
        network: of transformers or PEFT, about to be trained.
        known: the vectors.
        base: what it began from; needed where weights are trained themselves.
        resumed: whether the training goes on from one of its own checkpoints. Otherwise what an adapter
            holds now is its start, and is subtracted.

    Attributes:
        starts: how the random start of the network's adapter lies to that of each vector.

    Raises:
        RecipeError: weights are trained themselves, and there is no base.
        IncompatibleError: a vector, or the base, is of another model.
        UnsupportedError: see `network.trained_in`.
    """

    def __init__(
        self, network: Any, known: Known, base: Checkpoint | None = None, *, resumed: bool = False
    ) -> None:
        found = trained_in(network)
        here = {name: pair if resumed else pair.begun() for name, pair in found.factors.items()}
        self._trained, self._known = replace(found, factors=here), known
        self._moved = Moved(self._trained.whole, base)
        held = visit_all(plan_of_all(list(known.vectors)), _held)
        _check(held, self._trained)
        met = {name: one for name, one in held.items() if name in self._trained.factors}
        self.starts: dict[str, Start | None] = of_tensors(
            {name: _begun(self._right(name), one) for name, one in met.items()}, known
        )
        self._streamed = any(one.dense for one in held.values()) or bool(self._trained.whole)
        sides = {} if self._streamed else {name: side_of(one.factors) for name, one in met.items()}
        self._sides = {
            name: near(side, self._trained.factors[name].a.device)
            for name, side in sides.items()
            if side is not None
        }

    def look(self) -> Moments:
        """Return what the network has moved and the vectors have in common.

        Raises:
            WeightArithError: what is on the disk changed or cannot be read.
        """
        with torch.no_grad():
            if self._streamed:
                found = self._streamed_pieces()
            else:
                found = small_pieces(self._trained, self._sides, len(self._known.labels))
        return moments(found, self._known.products.tensors)

    def _streamed_pieces(self) -> dict[str, Piece]:
        with self._moved.opened() as files:

            def at(field: Together) -> Piece:
                operands = field.operands
                dense = [number for number, one in enumerate(operands) if one.parts]
                factors = [None if one.parts else joined(one.factors) for one in operands]
                blocks = self._blocks(field.name, blocks_of(field, dense), files)
                found = overlap(field.shape, [self._product(field.name), *factors], blocks)
                return piece_of(field.name, found, 0, 0)

            met: dict[str, Piece] = visit_all(plan_of_all(list(self._known.vectors)), at)
            return met | {name: self._alone(name, files) for name in self._trained.shapes.keys() - met.keys()}

    def _blocks(self, name: str, vectors: Blocks, files: Readers) -> Blocks:
        """Yield blocks of dense vectors, with the same rows of what the weight has moved."""
        there = False
        for first, values in vectors:
            there = True
            given = {number + 1: each for number, each in values.items()}
            rows = len(next(iter(values.values())))
            yield (
                first,
                given | ({CHANGE: self._moved.rows(name, first, rows, files)} if name in self._moved else {}),
            )
        if not there and name in self._moved:
            yield from self._changes(name, files)

    def _changes(self, name: str, files: Readers) -> Iterator[tuple[int, Mapping[int, Doubles]]]:
        for first, rows in self._moved.blocks(name, files):
            yield first, {CHANGE: rows}

    def _alone(self, name: str, files: Readers) -> Piece:
        """Return the piece of what is trained and no vector moves: only its own norm counts."""
        factors = [self._product(name), *[None] * len(self._known.labels)]
        blocks = self._changes(name, files) if name in self._moved else ()
        return piece_of(name, overlap(self._trained.shapes[name], factors, blocks), 0, 0)

    def _product(self, name: str) -> Product | None:
        if name not in self._trained.factors:
            return None
        left, right = self._trained.factors[name].product()
        return Product(left.cpu().double().numpy(), right.cpu().double().numpy())

    def _right(self, name: str) -> Doubles:
        """Return the rows that an adapter reads, (rank, columns)."""
        right = replace(self._trained.factors[name], start=None).product()[1]
        return np.asarray(right.cpu().double().numpy())


@dataclass(frozen=True, eq=False)
class _Held:
    """What the vectors do to one weight: the factors of each, None for one that is dense or zero there."""

    shape: tuple[int, ...]
    factors: tuple[Product | None, ...]
    dense: bool


def _held(field: Together) -> _Held:
    factors = tuple(None if one.parts else joined(one.factors) for one in field.operands)
    return _Held(field.shape, factors, any(one.parts for one in field.operands))


def _begun(own: Doubles, held: _Held) -> Doubles:
    each = [np.nan if one is None else overlap_of_rows(own, one.right) for one in held.factors]
    return np.array(each)


def _check(held: Mapping[str, _Held], trained: Trained) -> None:
    missing = sorted(held.keys() - trained.names)
    hint = "the vectors must be of the model that is trained"
    if missing:
        raise IncompatibleError(
            f"the model that is trained has no weight {some(missing, 3)}, which a vector moves", hint=hint
        )
    for name, shape in trained.shapes.items():
        if name in held and held[name].shape != shape:
            raise IncompatibleError(
                f"{quoted(name)} is {list(shape)} in the model that is trained, and "
                f"{list(held[name].shape)} in a vector",
                hint=hint,
            )
