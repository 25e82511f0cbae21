"""Two models laid over each other by name: what is in both, in one, and in another shape or dtype.

A difference is something to report here and never a reason to refuse. Nothing is read but headers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from weightarith.algebra import Checkpoint, Leaf
from weightarith.engine.align import Piece, embedding_of, head_of, named, names_of, piece_at
from weightarith.errors import IncompatibleError, some
from weightarith.names import layer_of, role_of
from weightarith.store import Source
from weightarith.tensorfile.model import Stored, TensorFile

VOCABULARY = ("embed", "head")
"""Roles of tensors with a row for each token."""


@dataclass(frozen=True, eq=False)
class Pair:
    """One tensor of both models.

    Attributes:
        name: in the first model.
        shape: rows and columns of what is compared: a tensor of one axis is one row, and of more than two the
            first axis is rows; of vocabularies of two sizes the rows that both have.
        before: what the first model stores; None where only the second has the tensor.
        after: what the second holds there: weights, or a change where it is a vector; None where only the
            first has the tensor.
        weights: whether what the second holds is weights.
    """

    name: str
    shape: tuple[int, int]
    before: Stored | None
    after: Piece | None
    weights: bool = True

    @property
    def count(self) -> int:
        """Its elements."""
        return self.shape[0] * self.shape[1]

    @property
    def dtypes(self) -> tuple[str, str]:
        """The dtypes it is stored in, before and after; empty where it is not, or only factors of it."""
        after = self.after.dense or self.after.replaced if self.after is not None else None
        return self.before.info.dtype.code if self.before else "", after.info.dtype.code if after else ""

    @property
    def nbytes(self) -> int:
        """Bytes that are read to look at it once."""
        piece = self.after or Piece()
        held = [self.before, piece.dense, piece.replaced]
        if piece.factored is not None:
            held += [piece.factored.left.stored, piece.factored.right.stored]
        return sum(one.info.nbytes for one in held if one) + (piece.encoded.nbytes if piece.encoded else 0)


@dataclass(frozen=True, eq=False)
class Laid:
    """Two models laid over each other.

    Attributes:
        base: the first.
        other: the second: a model, a vector or an adapter, under the names of the first.
        pairs: every tensor that can be compared, by name.
        buffers: tensors of integers and the like, which are equal or not: before and after, by name.
        missing: what only the first has, by name.
        added: what only the second has, by name.
        reshaped: what has two shapes, by name; those with rows in common are among `pairs` too.
        retyped: what has two dtypes, by name.
        aliases: heads compared with an embedding, for one side says that they are tied, and stores none.
    """

    base: Checkpoint
    other: Leaf
    pairs: Mapping[str, Pair]
    buffers: Mapping[str, tuple[Stored, Stored]]
    missing: Mapping[str, Pair]
    added: Mapping[str, Pair]
    reshaped: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]
    retyped: Mapping[str, tuple[str, str]]
    aliases: Mapping[str, str]

    @property
    def models(self) -> bool:
        """Whether both are models, whose bits can be told; the weights after a vector are never stored."""
        return self.other.point

    @property
    def files(self) -> tuple[TensorFile, ...]:
        """Every file of both."""
        return (*self.base.source.files, *self.other.source.files)


def lay(base: Checkpoint, other: Leaf) -> Laid:
    """Return two models laid over each other.

    Raises:
        IncompatibleError: a vector moves tensors that the base lacks, or of another shape, or nothing is in
            both.
    """
    other = named(other, base)
    before, after = names_of(base.source), names_of(other.source)
    aliases = _aliases(base.source, other)
    pairs: dict[str, Pair] = {}
    buffers: dict[str, tuple[Stored, Stored]] = {}
    reshaped, retyped = {}, {}
    for name in sorted((before & after) | aliases.keys()):
        stored, piece = _both(name, base.source, other.source, aliases)
        kept = piece.dense or piece.replaced
        if kept is not None and other.point and kept.info.dtype.code != stored.info.dtype.code:
            retyped[name] = stored.info.dtype.code, kept.info.dtype.code
        if piece.shape != stored.info.shape:
            reshaped[name] = stored.info.shape, piece.shape
        if not _comparable(stored, piece):
            if kept is not None and name not in reshaped and name not in retyped:
                buffers[name] = stored, kept
        elif (shape := _common(name, stored.info.shape, piece.shape)) is not None:
            pairs[name] = Pair(name, shape, stored, piece, other.point or piece.replaced is not None)
    missing = {one.name: one for one in _alone(base.source, before - after - aliases.keys(), first=True)}
    added = {one.name: one for one in _alone(other.source, after - before - aliases.keys(), first=False)}
    laid = Laid(
        base, other, pairs, buffers, missing if other.point else {}, added, reshaped, retyped, aliases
    )
    _check(laid)
    return laid


def role(name: str) -> str:
    """Return what a tensor is compared with: its role, and its last part where that is no weight."""
    last = name.rpartition(".")[2]
    return role_of(name) if last == "weight" else f"{role_of(name)} {last}"


def layer(name: str) -> str:
    """Return the layer a tensor belongs to, in words; empty outside the stack."""
    number = layer_of(name)
    return "" if number is None else str(number)


def _check(laid: Laid) -> None:
    if laid.models:
        if not laid.pairs:
            raise IncompatibleError(
                f"{laid.base.label} and {laid.other.label} have no tensor in common that can be compared",
                hint="give two models of one architecture, the base first",
            )
        return
    wrong = sorted([*laid.added, *laid.reshaped])
    if wrong:
        raise IncompatibleError(
            f"{laid.other.label} moves {len(wrong)} tensors that {laid.base.label} lacks or has in another "
            f"shape: {some(wrong, 3)}",
            hint="was it made from another base?",
        )


def _aliases(base: Source, other: Leaf) -> dict[str, str]:
    """Return by name a head that one of two models ties to its embedding and does not store."""
    before, after = names_of(base), names_of(other.source)
    head = head_of(before ^ after)
    if head is None or not other.point:
        return {}
    side = other.source if head in before else base
    embedding = embedding_of(names_of(side))
    return {head: embedding} if side.tied and embedding is not None else {}


def _both(name: str, base: Source, other: Source, aliases: Mapping[str, str]) -> tuple[Stored, Piece]:
    stored = base.tensors.get(name) or base.tensors[aliases[name]]
    piece = piece_at(other, name) or piece_at(other, aliases[name])
    return stored, piece or Piece()


def _comparable(stored: Stored, piece: Piece) -> bool:
    kept = piece.dense or piece.replaced
    return stored.info.dtype.arithmetic and (kept is None or kept.info.dtype.arithmetic)


def _common(name: str, before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, int] | None:
    """Return rows and columns of what two shapes have in common, None where that is nothing."""
    if before == after:
        return flat(before)
    vocabulary = role_of(name) in VOCABULARY and len(before) == len(after) == 2 and before[1] == after[1]
    return (min(before[0], after[0]), before[1]) if vocabulary else None


def flat(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return rows and columns of a tensor of any number of axes."""
    return (1, prod(shape)) if len(shape) < 2 else (shape[0], prod(shape[1:]))


def _alone(source: Source, names: set[str], *, first: bool) -> Iterator[Pair]:
    for name in sorted(names):
        piece = piece_at(source, name) or Piece()
        shape = flat(piece.shape)
        yield Pair(name, shape, piece.dense, None) if first else Pair(name, shape, None, piece)
