"""A Gram matrix for each tensor of a model, and what it says by layer, by role, by module and in all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weightarith.names import layer_of, role_of

Doubles = NDArray[np.float64]

OUTSIDE = "outside"
"""The group of what belongs to no layer: embeddings, the last norm, the head."""


@dataclass(frozen=True, eq=False)
class Gram:
    """Inner products of n vectors with one another.

    Attributes:
        labels: what the vectors are called, n of them.
        tensors: by name of a tensor, (n, n); a vector that lacks it counts as zero there.
    """

    labels: tuple[str, ...]
    tensors: Mapping[str, Doubles]

    def total(self) -> Doubles:
        """Return the inner products over all parameters, (n, n)."""
        return self._sum(self.tensors)

    def norms(self) -> Doubles:
        """Return the norms over all parameters, (n)."""
        return lengths(self.total())

    def by(self, key: Callable[[str], str]) -> dict[str, Doubles]:
        """Return the inner products over the tensors of each group, (n, n), in the order of layers.

        Args:
            key: which group a tensor belongs to, of its name.
        """
        return {group: self._sum(names) for group, names in in_groups(self.tensors, key).items()}

    def by_layer(self) -> dict[str, Doubles]:
        """Return them for each layer by its number, and for what is `outside` of all, which comes first."""
        return self.by(layer_key)

    def by_role(self) -> dict[str, Doubles]:
        """Return them for each role, such as `q` or `mlp`."""
        return self.by(role_of)

    def by_module(self) -> dict[str, Doubles]:
        """Return them for each module: its weight and its bias together."""
        return self.by(module_of)

    def cosines(self, matrix: Doubles | None = None) -> Doubles:
        """Return cosines of inner products (n, n), by default of those over all parameters.

        They lie between −1 and 1; where one of the two has no length the cosine is not defined, and 0 here.
        """
        found = self.total() if matrix is None else matrix
        sizes = lengths(found)
        products = np.outer(sizes, sizes)
        cosines = np.divide(found, products, out=np.zeros_like(found), where=products > 0)
        return np.clip(cosines, -1.0, 1.0)

    def share(self, *roles: str) -> Doubles:
        """Return the share of each squared norm that lies in tensors of some roles, (n)."""
        whole = np.diagonal(self.total())
        held = np.diagonal(self._sum(name for name in self.tensors if role_of(name) in roles))
        return np.divide(held, whole, out=np.zeros_like(whole), where=whole > 0)

    def _sum(self, names: Iterable[str]) -> Doubles:
        size = len(self.labels)
        found: Doubles = np.sum([self.tensors[name] for name in names] or [np.zeros((size, size))], axis=0)
        return found


def in_groups(names: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    """Return names of tensors by what `key` says of them: words in the order of letters, then numbers."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(key(name), []).append(name)
    return {group: groups[group] for group in sorted(groups, key=_place)}


def lengths(matrix: Doubles) -> Doubles:
    """Return the norms that inner products (n, n) say, (n); rounding below zero counts as zero."""
    return np.sqrt(np.maximum(np.diagonal(matrix), 0.0))


def layer_key(name: str) -> str:
    """Return the number of the layer a tensor belongs to, or `OUTSIDE`."""
    layer = layer_of(name)
    return OUTSIDE if layer is None else str(layer)


def module_of(name: str) -> str:
    """Return the module a tensor belongs to: its name without the last part."""
    return name.rpartition(".")[0] or name


def _place(group: str) -> tuple[tuple[int, int, str], ...]:
    """Return where a group stands: words before numbers, numbers by their size."""
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in group.split("."))
