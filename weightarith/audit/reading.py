"""All tensors of two models as they were found, and which of them are peers.

Peers have one role: the q projections of all layers, say. What is odd is odd among its peers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from weightarith.audit.look import Look
from weightarith.audit.pairs import Laid, layer, role

FAMILIES = 4
"""Kinds of findings that rest on a chance: scaled lines, ranks, sizes, known vectors; they share the rate."""

FEW = 0.25
"""Share of the peers that changed, up to which a change is alone."""

_LAYER = 0.5  # share of a layer's matrices that changed, from which on it is the layer that did
_PEERS = 3  # peers below which all tensors count as peers


@dataclass(frozen=True, eq=False)
class Reading:
    """Two models, read.

    Attributes:
        laid: the two, laid over each other.
        looks: what was found of each tensor that is in both, by name.
        lone: the same of tensors that only one has.
        differing: buffers that are not equal, by name.
        rate: how often at most anything may be found by chance.
    """

    laid: Laid
    looks: Mapping[str, Look]
    lone: Mapping[str, Look]
    differing: tuple[str, ...]
    rate: float

    @property
    def share(self) -> float:
        """The part of the rate that one family of findings has."""
        return self.rate / FAMILIES

    @cached_property
    def groups(self) -> dict[str, tuple[Look, ...]]:
        """Every tensor by its role; a head that was compared with an embedding is no peer of any."""
        found: dict[str, list[Look]] = {}
        for name, one in self.looks.items():
            if one.pair.count:
                found.setdefault(role(name), []).append(one)
        return {key: tuple(found[key]) for key in sorted(found)}

    @cached_property
    def changed(self) -> tuple[Look, ...]:
        """Tensors that changed."""
        return tuple(one for one in self.looks.values() if one.changed)

    @cached_property
    def tuned(self) -> tuple[str, ...]:
        """Layers most of whose matrices changed: what is alone there is no edit of one tensor."""
        moved = Counter(layer(one.name) for one in self.changed if one.spectrum is not None)
        sizes = Counter(layer(name) for name, one in self.looks.items() if min(one.pair.shape) > 1)
        found = [key for key, count in moved.items() if key and count >= max(_LAYER * sizes[key], 2)]
        return tuple(sorted(found, key=int))

    def peers(self, one: Look) -> tuple[Look, ...]:
        """Return the other tensors of a role; all others where these are too few."""
        own = tuple(other for other in self.groups[role(one.name)] if other is not one)
        if len(own) >= _PEERS:
            return own
        return tuple(other for other in self.looks.values() if other is not one and other.pair.count)

    def alone(self, one: Look) -> bool:
        """Return whether a tensor changed and nearly all of its peers did not."""
        peers = self.peers(one)
        return bool(peers) and sum(bool(other.changed) for other in peers) <= FEW * len(peers)
