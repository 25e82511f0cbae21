"""Displacements stored as two factors, whose product is formed block by block and never as a whole.

Hu et al. (2022), "LoRA", section 4.1, https://arxiv.org/abs/2106.09685
"""

from __future__ import annotations

from dataclasses import dataclass

from weightarith.tensorfile.model import Stored


@dataclass(frozen=True, eq=False)
class Matrix:
    """A stored 2-D tensor, read transposed or as it is."""

    stored: Stored
    transposed: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns as read, after transposition."""
        rows, columns = self.stored.info.shape
        return (columns, rows) if self.transposed else (rows, columns)


@dataclass(frozen=True, eq=False)
class Factored:
    """A displacement kept as two factors: `scale · left @ right`."""

    left: Matrix  # (rows, rank)
    right: Matrix  # (rank, columns)
    scale: float

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the product, the shape of the weight it moves."""
        return self.left.shape[0], self.right.shape[1]

    @property
    def rank(self) -> int:
        """The inner dimension."""
        return self.left.shape[1]
