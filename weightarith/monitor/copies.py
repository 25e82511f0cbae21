"""Random copies of known vectors, and what a change has in common with them: the null band.

A copy has the sign of each row, of each column, or of each tensor drawn anew, so the norm of every tensor
stays. Rows turned keep what a tensor reads, and with it an adapter's random start; columns turned keep what
it writes; whole tensors turned keep both. The same signs go to all vectors, to those of all checkpoints too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from weightarith.monitor.overlap import Doubles, Overlap

ROWS, COLUMNS, TENSORS, ROTATED = "rows", "columns", "tensors", "rotated"
DRAWN = (ROWS, COLUMNS, TENSORS)
"""Kinds of copies that are drawn."""

_SIGNS = 4096  # rows whose signs are drawn at once


@dataclass(frozen=True, eq=False)
class Piece:
    """What a change and V vectors have in common at one tensor, and how that is spread.

    Attributes:
        own: the squared norm of the change.
        size: elements of the tensor.
        products: (V,), inner products.
        rows: (V, V), sums over rows of the products of two rows' inner products.
        columns: (V, V), the same over columns.
        copies: (2, K, V), inner products with K copies, their rows turned and their columns turned.
    """

    own: float
    size: int
    products: Doubles
    rows: Doubles
    columns: Doubles
    copies: Doubles


def piece_of(name: str, found: Overlap, copies: int, seed: int) -> Piece:
    """Return what is kept of one tensor: `copies` are drawn from its name and the seed."""
    drawn = [
        turned(lines, copies, _generator(seed, kind, name))
        for kind, lines in ((ROWS, found.rows), (COLUMNS, found.columns))
    ]
    products = found.rows.sum(axis=1) if found.rows.shape[1] else np.zeros(len(found.rows))
    size = found.rows.shape[1] * found.columns.shape[1]
    squares = (found.rows @ found.rows.T, found.columns @ found.columns.T)
    return Piece(found.own, size, products, *squares, np.stack(drawn))


def turned(lines: Doubles, copies: int, generator: np.random.Generator) -> Doubles:
    """Return sums of lines (V, lines) under random signs, (copies, V)."""
    total = np.zeros((copies, len(lines)))
    for first in range(0, lines.shape[1] if copies else 0, _SIGNS):
        part = lines[:, first : first + _SIGNS]
        width = part.shape[1]
        bits = np.frombuffer(generator.bytes(copies * -(-width // 8)), np.uint8).reshape(copies, -1)
        ones = np.unpackbits(bits, axis=1, count=width).astype(np.float64)  # (copies, width)
        total += 2.0 * (ones @ part.T) - part.sum(axis=1)
    return total


@dataclass(frozen=True, eq=False)
class Moments:
    """What a change and V vectors have in common over all tensors, and with random copies of the vectors.

    Attributes:
        own: the squared norm of the change.
        products: (V,), inner products.
        squares: by kind of copy, (V, V): the covariances of inner products with such copies.
        moved: (V,), how many tensors the change and a vector both move.
        copies: by kind of copy, (K, V): inner products with K copies.
    """

    own: float
    products: Doubles
    squares: Mapping[str, Doubles]
    moved: Doubles
    copies: Mapping[str, Doubles]


def moments(pieces: Mapping[str, Piece], grams: Mapping[str, Doubles], seed: int = 0) -> Moments:
    """Return what the tensors of a model amount to.

    Args:
        pieces: by name of a tensor.
        grams: inner products of the vectors with one another, (V, V), by name of a tensor.
        seed: of the signs of whole tensors.
    """
    names = sorted(pieces)
    each = [pieces[name] for name in names]
    products = np.stack([one.products for one in each])  # (tensors, V)
    norms = np.stack([np.diagonal(grams[name]) if name in grams else 0 * one.products
                      for name, one in zip(names, each, strict=True)])  # fmt: skip
    owns = np.array([one.own for one in each])
    # of Q·V·P, with Q and P random and orthogonal, an inner product has the variance ‖Δ‖²‖V‖²/(m·n)
    rotated = sum(
        (pieces[name].own / max(pieces[name].size, 1) * grams[name] for name in names if name in grams),
        np.zeros((products.shape[1], products.shape[1])),
    )
    squares = {
        ROWS: np.sum([one.rows for one in each], axis=0),
        COLUMNS: np.sum([one.columns for one in each], axis=0),
        TENSORS: products.T @ products,
        ROTATED: rotated,
    }
    drawn = np.sum([one.copies for one in each], axis=0)  # (2, K, V)
    whole = turned(products.T, drawn.shape[1], _generator(seed, TENSORS, ""))
    return Moments(
        float(owns.sum()), products.sum(axis=0), squares, ((owns[:, None] > 0) & (norms > 0)).sum(axis=0),
        {ROWS: drawn[0], COLUMNS: drawn[1], TENSORS: whole},
    )  # fmt: skip


def _generator(seed: int, kind: str, name: str) -> np.random.Generator:
    """Return what draws the signs of one tensor: whatever the order, they are the same."""
    key = int.from_bytes(sha256(f"{seed}\0{kind}\0{name}".encode()).digest()[:16])
    return np.random.Generator(np.random.Philox(key=key))
