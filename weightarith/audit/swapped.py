"""Tensors that hold what another one held: layers that changed places, were doubled or moved up.

Each tensor that changed is compared, by its values at a few thousand places, with all of its shape before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from weightarith.audit.finding import Finding, listed, percent
from weightarith.audit.look import Look
from weightarith.audit.reading import Reading
from weightarith.errors import quoted
from weightarith.names import split_layer

_CLOSER = 0.25
"""How much nearer to another than to itself a tensor must be: as a share of the distance."""

_NEAR = 0.5  # the distance to the other, over its norm, at most
_MOST = 0.5  # share of a layer's tensors that must come from one other layer


def swapped(reading: Reading, skip: frozenset[str] = frozenset()) -> Iterator[Finding]:
    """Yield a finding for each layer, or each tensor outside one, that holds what another one held.

    Args:
        reading: all tensors.
        skip: names of tensors that are explained.
    """
    origin = {name: near for name, near in _origins(reading).items() if name not in skip}
    layers = _layers(origin, reading)
    told: set[int] = set()
    for layer, source in sorted(layers.items()):
        if layer in told:
            continue
        both = layers.get(source) == layer
        told |= {layer, source} if both else {layer}
        names = _of(layer, layers, origin) + (_of(source, layers, origin) if both else [])
        yield _layer_finding(layer, source, names, reading, both=both, new=_is_new(names, reading))
    covered = {name for layer in layers for name in _of(layer, layers, origin)}
    for name, (source_name, distance) in sorted(origin.items()):
        if name not in covered:
            look = reading.looks.get(name) or reading.lone[name]
            yield Finding(
                "swapped", name,
                f"holds what {quoted(source_name)} holds in {reading.laid.base.label}",
                f"it differs from that by {percent(distance)}, from what it was by {percent(look.relative)}",
                (name,), numbers={"source": source_name, "distance": distance, "relative": look.relative},
            )  # fmt: skip


def _origins(reading: Reading) -> dict[str, tuple[str, float]]:
    """Return by name of a tensor after which one before it is far nearer to, and how near."""
    before = [one for one in (*reading.looks.values(), *reading.lone.values()) if one.pair.before is not None]
    after = [one for one in (*reading.changed, *reading.lone.values()) if one.pair.after is not None]
    found: dict[str, tuple[str, float]] = {}
    for shape in {one.pair.shape for one in after}:
        sources = [one for one in before if one.pair.shape == shape and one.norms[0]]
        if sources:
            held = np.stack([one.sample[0] for one in sources]).astype(np.float64)
            for one in after:
                if one.pair.shape == shape and (near := _nearest(one, sources, held)) is not None:
                    found[one.name] = near
    return found


def _nearest(one: Look, sources: list[Look], held: NDArray[np.float64]) -> tuple[str, float] | None:
    own = one.sample[1].astype(np.float64)
    distance = np.sqrt(((held - own) ** 2).sum(axis=1))
    itself = next((place for place, other in enumerate(sources) if other is one), None)
    limit = np.inf if itself is None else _CLOSER * distance[itself]
    if itself is not None:
        distance[itself] = np.inf
    best = int(np.argmin(distance))
    size = float(np.linalg.norm(held[best]))
    if distance[best] < limit and distance[best] <= _NEAR * size:
        return sources[best].name, float(distance[best]) / size
    return None


def _layers(origin: dict[str, tuple[str, float]], reading: Reading) -> dict[int, int]:
    """Return by layer the other layer that most of its tensors come from."""
    votes: dict[int, Counter[int]] = {}
    for name, (source, _) in origin.items():
        pair = _same_place(name, source)
        if pair is not None:
            votes.setdefault(pair[0], Counter())[pair[1]] += 1
    sizes = Counter(_layer(name) for name in (*reading.looks, *reading.laid.added))
    found: dict[int, int] = {}
    for layer, counts in votes.items():
        source_layer, count = counts.most_common(1)[0]
        if count >= _MOST * sizes[layer] and count > 1:
            found[layer] = source_layer
    return found


def _same_place(name: str, source: str) -> tuple[int, int] | None:
    """Return the layers of two tensors that are the same but for the layer."""
    one, other = split_layer(name), split_layer(source)
    if one is None or other is None or (one[0], one[2]) != (other[0], other[2]):
        return None
    return one[1], other[1]


def _layer(name: str) -> int | None:
    split = split_layer(name)
    return split[1] if split else None


def _of(layer: int, layers: dict[int, int], origin: dict[str, tuple[str, float]]) -> list[str]:
    wanted = layer, layers[layer]
    return [name for name, (source, _) in sorted(origin.items()) if _same_place(name, source) == wanted]


def _is_new(names: Iterable[str], reading: Reading) -> bool:
    return all(name in reading.lone for name in names)


def _layer_finding(
    layer: int, source: int, names: list[str], reading: Reading, *, both: bool, new: bool
) -> Finding:
    relative = [reading.looks[name].relative for name in names if name in reading.looks]
    size = float(np.median(relative)) if relative else float("inf")
    label = reading.laid.base.label
    if both:
        what = f"layers {layer} and {source} of {label} have changed places"
    else:
        what = f"holds layer {source} of {label}" + (", a copy added" if new else "")
    short = sorted({split[2].removeprefix(".") for name in names if (split := split_layer(name))})
    against = "" if new else f", and {percent(size)} away from what they were (median)"
    return Finding(
        "swapped", f"layers {layer} and {source}" if both else f"layer {layer}", what,
        f"{len(names)} of its tensors are nearest to those of the other layer{against}: {listed(short, 3)}",
        tuple(names), numbers={"layer": layer, "source": source, "relative": size},
    )  # fmt: skip
