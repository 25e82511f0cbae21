"""Layers taken out of models and put one on the other: new names for stored tensors, and nothing is moved.

Depth up-scaling and "frankenmerges": Kim et al. (2023), SOLAR 10.7B, section 3, https://arxiv.org/abs/2312.15166
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from weightarith.errors import IncompatibleError, RecipeError, UnsupportedError, some
from weightarith.names import role_of, split_layer
from weightarith.store.source import Source
from weightarith.store.stack_config import joined
from weightarith.tensorfile.model import Stored

_T = TypeVar("_T")

ABOVE = ("norm", "head")
"""Roles of what comes after the layers, outside of them."""


def depth_of(source: Source, label: str) -> int:
    """Return the number of layers of a checkpoint.

    Raises:
        UnsupportedError: it has none, or more than one stack of them.
    """
    found = {split[0]: split[1] for name in source.tensors if (split := split_layer(name)) is not None}
    if len(found) != 1:
        stacks = f"{len(found)} stacks of layers ({some(sorted(found))})" if found else "no numbered layers"
        raise UnsupportedError(f"{label} has {stacks}, and layers can be taken from one stack only")
    return 1 + max(split[1] for name in source.tensors if (split := split_layer(name)) is not None)


def take(source: Source, first: int, last: int, label: str) -> Source:
    """Return a checkpoint, or what moves one, cut to its layers `first … last`, numbered from 0.

    Raises:
        RecipeError: a checkpoint has no such layers.
        UnsupportedError: a checkpoint has no layers, or more than one stack of them.
    """
    if source.own_names:
        raise UnsupportedError(
            f"layers cannot be taken of {label}: its names are those of a file for other programs",
            hint="add it to its base first, and take layers of the sum that was written",
        )
    if source.kind != "checkpoint":
        return _cut(source, first, last, source.config)
    depth = depth_of(source, label)
    if last >= depth:
        raise RecipeError(f"{label} has layers 0-{depth - 1}, and {first}-{last} are to be taken")
    if (first, last) == (0, depth - 1):
        return source
    config = joined(source.config, depth, [(source.config, range(first, last + 1), depth)])
    return _cut(source, first, last, config)


def _cut(source: Source, first: int, last: int, config: Mapping[str, Any] | None) -> Source:
    cut: Callable[[Mapping[str, _T]], dict[str, _T]] = partial(_renumbered, first=first, last=last)
    tensors, factors, replaced = cut(source.tensors), cut(source.factors), cut(source.replaced)
    encoded = cut(source.encoded)
    return replace(
        source, tensors=tensors, factors=factors, replaced=replaced, encoded=encoded, config=config,
        edit=f"{source.edit}[{first}-{last}]",
    )  # fmt: skip


def _renumbered(held: Mapping[str, _T], first: int, last: int) -> dict[str, _T]:
    found = {}
    for name, value in held.items():
        split = split_layer(name)
        if split is None:
            found[name] = value
        elif first <= split[1] <= last:
            found[f"{split[0]}{split[1] - first}{split[2]}"] = value
    return found


def stack(sources: Sequence[Source], labels: Sequence[str]) -> Source:
    """Return a checkpoint of all layers of checkpoints, those of the first one lowest.

    What comes before the layers, embeddings above all, is the first checkpoint's; the final norm and the head
    are the last one's.

    Raises:
        IncompatibleError: one has another head, or other names around its layers, than the first.
        UnsupportedError: one has no layers, or more than one stack of them.
    """
    first, last = sources[0], sources[-1]
    tensors: dict[str, Stored] = {}
    height = 0
    for source, label in zip(sources, labels, strict=True):
        _check_alike(first, labels[0], source, label)
        for name, stored in source.tensors.items():
            split = split_layer(name)
            if split is not None:
                tensors[f"{split[0]}{height + split[1]}{split[2]}"] = stored
        height += depth_of(source, label)
    for name in _around(first):
        tensors[name] = (last if role_of(name) in ABOVE else first).tensors[name]
    depths = [depth_of(source, label) for source, label in zip(sources, labels, strict=True)]
    parts = [(each.config, range(depth), depth) for each, depth in zip(sources, depths, strict=True)]
    edit = "+".join(f"{each.path.resolve()}{each.edit}" for each in sources)
    files = tuple({id(stored.file): stored.file for stored in tensors.values()}.values())
    config = joined(first.config, depths[0], parts)
    return replace(first, tensors=tensors, files=files, config=config, edit=f"({edit})", origin=None)


def _around(source: Source) -> set[str]:
    return {name for name in source.tensors if split_layer(name) is None}


def _check_alike(first: Source, first_label: str, other: Source, label: str) -> None:
    if _around(first) != _around(other) or first.tied != other.tied:
        different = sorted(_around(first) ^ _around(other))
        what = (
            f"differ around their layers: {some(different)}" if different else "tie their heads differently"
        )
        raise IncompatibleError(
            f"{label} cannot be put on {first_label}: they {what}", hint="these are other architectures"
        )
