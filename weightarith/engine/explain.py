"""A ledger in few lines: tensors that share a fate are one line, named by as short a pattern as is exact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from weightarith.engine.plan import Entry, Fate
from weightarith.names import split_layer

EVERYTHING = "every tensor"


@dataclass(frozen=True)
class Line:
    """Tensors with one pattern of name, one fate and one reason.

    In `names`, `{0-3,7}` stands for layers and `*` for all that a layer or a part of it holds.
    """

    names: str
    count: int
    fate: Fate
    reason: str


_What = tuple[Fate, str]
_Paths = dict[str, _What]
"""What follows the number of a layer in a name, and what becomes of that tensor."""


def grouped(ledger: Iterable[Entry]) -> list[Line]:
    """Return a ledger in lines that leave nothing out: first what is outside the layers, then layer by layer.

    Layers that are alike in all their tensors share their lines: `model.layers.{0-29}.mlp.*`.
    """
    entries = list(ledger)
    fates = {(entry.fate, entry.reason) for entry in entries}
    if len(fates) == 1:
        return [Line(EVERYTHING, len(entries), *fates.pop())]
    lines, stacks = [], dict[str, dict[int, _Paths]]()
    for entry in entries:
        before, layer, after = split_layer(entry.name) or (entry.name, None, "")
        if layer is None:
            lines.append(Line(entry.name, 1, entry.fate, entry.reason))
            continue
        held = stacks.setdefault(before, {}).setdefault(layer, {})
        if after in held:  # left out of two inputs, for two reasons
            lines.append(Line(entry.name, 1, entry.fate, entry.reason))
        else:
            held[after] = entry.fate, entry.reason
    for before, layers in stacks.items():
        lines += _stack(before, layers)
    return lines


def ranges(numbers: Iterable[int]) -> str:
    """Return whole numbers as ranges: `0-3,7`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _stack(before: str, layers: Mapping[int, _Paths]) -> Iterator[Line]:
    """Yield the lines of one stack of layers; those that agree in everything are told together."""
    alike: dict[tuple[tuple[str, _What], ...], list[int]] = {}
    for layer in sorted(layers):
        alike.setdefault(tuple(sorted(layers[layer].items())), []).append(layer)
    for key, numbers in alike.items():
        shown = str(numbers[0]) if len(numbers) == 1 else f"{{{ranges(numbers)}}}"
        for pattern, count, (fate, reason) in _patterns(dict(key)):
            yield Line(f"{before}{shown}{pattern}", count * len(numbers), fate, reason)


def _patterns(paths: _Paths) -> Iterator[tuple[str, int, _What]]:
    """Yield a pattern, how many paths it covers and their fate: `.mlp.*` where all below `.mlp.` agree."""
    waiting = [paths]
    while waiting:
        now = waiting.pop()
        first = next(iter(now))
        if len(now) == 1:
            yield first, 1, now[first]
            continue
        shared = _shared(now)
        if len(set(now.values())) == 1:
            yield f"{shared}*", len(now), now[first]
            continue
        parts: dict[str, _Paths] = {}
        for path, what in now.items():
            head, dot, _ = path[len(shared) :].partition(".")
            parts.setdefault(head + dot, {})[path] = what
        waiting += reversed(parts.values())


def _shared(paths: Iterable[str]) -> str:
    """Return the longest beginning of all `paths` that ends with a dot."""
    low, *_, high = sorted(paths)
    same = next((i for i, pair in enumerate(zip(low, high, strict=False)) if pair[0] != pair[1]), len(low))
    return low[: low.rfind(".", 0, same) + 1]
