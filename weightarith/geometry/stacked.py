"""The factors of several displacements side by side: what is asked of them takes small matrices only."""

from __future__ import annotations

import numpy as np

from weightarith.engine.together import Together
from weightarith.geometry.products import Doubles
from weightarith.operators.field import Product
from weightarith.operators.statistics import on_host


class Stacked:
    """Factors of the operands of a field, none of which has a dense part, and which column belongs to whom.

    Attributes:
        left: (rows, columns of all).
        right: (columns of all, columns).
        belongs: 1 where a column belongs to an operand, else 0, (operands, columns of all).
    """

    def __init__(self, field: Together) -> None:
        products = [operand.factors for operand in field.operands]
        self.left = np.concatenate([on_host(one.left) for each in products for one in each], axis=1)
        self.right = np.concatenate([on_host(one.right) for each in products for one in each], axis=0)
        ranks = [sum(one.left.shape[1] for one in each) for each in products]
        owner = np.repeat(np.arange(len(ranks)), ranks)
        self.belongs = (np.arange(len(ranks))[:, None] == owner).astype(np.float64)

    @property
    def product(self) -> Product:
        """The sum of all operands."""
        return Product(self.left, self.right)

    def products(self) -> Doubles:
        """Return the inner products of the operands with one another."""
        pairs = (self.left.T @ self.left) * (self.right @ self.right.T)
        found: Doubles = self.belongs @ pairs @ self.belongs.T
        return found

    def products_with(self, dense: Together) -> tuple[Doubles, Doubles]:
        """Return the inner products of dense operands with one another, and with these."""
        count = len(dense.operands)
        among, across = np.zeros((count, count)), np.zeros((count, self.left.shape[1]))
        for first, values in dense.rows():  # (dense, rows, columns)
            flat = values.reshape(count, -1)
            among += flat @ flat.T
            rows = self.left[first : first + values.shape[1]]
            across += ((values @ self.right.T) * rows).sum(axis=1)
        return among, across @ self.belongs.T
