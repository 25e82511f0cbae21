"""Rows, columns and whole tensors that are what they were, times a number."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from weightarith.audit.finding import Finding, listed, percent
from weightarith.audit.lines import PARALLEL, Scaled
from weightarith.audit.look import Look
from weightarith.audit.reading import Reading
from weightarith.audit.robust import chance_of_cosine

_ALL = 0.9
"""The share of a tensor's lines from which on they are told as all of it."""

_ALIKE = 0.05  # how far the ratios of rows may lie apart, over how far they are from 1, in a scaled tensor


def scaled(
    reading: Reading, skip: frozenset[str], token: Callable[[str, int], str] = lambda _name, _row: ""
) -> Iterator[Finding]:
    """Yield a finding for each tensor that is scaled, whole or in some rows or columns.

    Args:
        reading: all tensors.
        skip: names of tensors that are explained.
        token: the name of the token that a row of a tensor belongs to, in words; empty where it has none.
    """
    for one in reading.changed:
        if one.name in skip:
            continue
        if (whole := _whole(one, reading)) is not None:
            yield whole
            continue
        lines = max((one.rows, one.columns), key=lambda each: each.energy if each else -1.0)
        if lines is not None:
            yield _lines(one, lines, reading, token)


def line_count(reading_shapes: list[tuple[int, int]]) -> int:
    """Return how many rows and columns there are to be judged."""
    return max(sum(rows + columns for rows, columns in reading_shapes), 1)


def _whole(one: Look, reading: Reading) -> Finding | None:
    before, change, _ = one.norms
    if not before or not change:
        return None
    cosine = one.cross / (before * change)
    chance = chance_of_cosine(cosine, one.changed) * len(reading.looks)
    if abs(cosine) < PARALLEL or chance > reading.share or not _one_ratio(one):
        return None
    ratio = 1.0 + one.cross / before**2
    rest = math.sqrt(max(1.0 - cosine**2, 0.0)) * one.relative
    return Finding(
        "scaled-tensor", one.name, f"is {_times(ratio)}",
        f"its change has a cosine of {cosine:+.4f} with the tensor itself; what a factor does not explain is "
        f"{percent(rest)} of its norm",
        (one.name,), chance, {"ratio": ratio, "cosine": cosine, "relative": one.relative, "rest": rest},
    )  # fmt: skip


def _one_ratio(one: Look) -> bool:
    """Return whether the rows of a tensor, as far as they are scaled, are scaled alike."""
    if one.rows is None:
        return one.columns is None or one.columns.count > _ALL * one.columns.lines
    low, high = one.rows.ratios
    return one.rows.count >= _ALL * one.rows.lines and high - low <= max(_ALIKE * abs(high - 1), 0.02)


def _lines(one: Look, found: Scaled, reading: Reading, token: Callable[[str, int], str]) -> Finding:
    low, high = found.ratios
    some = found.count < _ALL * found.lines
    if some:
        named = [_line(found.axis, place, ratio, token(one.name, place)) for place, ratio, _ in found.listed]
        more = f" and {found.count - len(named)} more" if found.count > len(named) else ""
        what = f"{listed(named, 8)}{more if len(named) <= 8 else ''}"
    else:
        what = f"all {found.count} {found.axis}s are scaled, each by its own number, {low:.4g} to {high:.4g}"
    axis = found.axis if found.axis == "column" or not one.moved else "row"
    rest = "no other changed so" if some else "none did not"
    total = line_count([look.pair.shape for look in reading.looks.values()])
    chance = min(math.exp(found.bound) * total, 1.0)
    cosines = [abs(cosine) for _, _, cosine in found.listed]
    return Finding(
        f"scaled-{found.axis}s", one.name, what,
        f"the change of {'such a' if found.count > 1 else 'the'} {axis} is parallel to the {axis} itself "
        f"(cosine {min(cosines):.4f}{'' if found.count == 1 else ' or more'}); {rest} among {found.lines}, "
        f"and {percent(found.energy)} of the tensor's squared change is there",
        (one.name,), chance,
        {
            found.axis: [place for place, _, _ in found.listed],
            "ratio": [ratio for _, ratio, _ in found.listed],
            "count": found.count, "energy": found.energy, "relative": one.relative,
        },
    )  # fmt: skip


def _line(axis: str, place: int, ratio: float, token: str) -> str:
    return f"{axis} {place}{f' ({token})' if token else ''} is {_times(ratio)}"


def _times(ratio: float) -> str:
    if abs(ratio) < 1e-9:
        return "set to zero"
    return f"scaled by {ratio:.4g}"
