"""The smallest strength at which a behaviour is at a level, as where something lost is to be restored.

What is known are measured points; between the smallest that reaches the level and the one before it the
middle is measured next, and nothing is interpolated.
"""

from __future__ import annotations

from collections.abc import Mapping

TOLERANCE = 0.1
"""How near, as a part of the strength found, the one before it is, which does not reach the level."""
LOOKS = 4
"""Measurements that a search may add."""


def asked(unsteered: float, level: float, sign: int) -> bool:
    """Return whether strengths of a sign are to reach a level: the behaviour grows with the strength."""
    return sign * (level - unsteered) > 0


def reached(values: Mapping[float, float], level: float, sign: int) -> float | None:
    """Return the smallest strength of a sign that reaches a level; None where none does.

    Args:
        values: of the behaviour, by strength; NaN reaches nothing.
        level: what it is to be: at least for strengths above 0, at most for those below.
        sign: of the strengths, 1 or −1.
    """
    found = [k for k, value in values.items() if k * sign > 0 and sign * (value - level) >= 0]
    return min(found, key=abs, default=None)


def next_look(values: Mapping[float, float], level: float, sign: int) -> float | None:
    """Return the strength to measure next; None where the smallest is known well enough, or none is known."""
    found = reached(values, level, sign)
    if found is None:
        return None
    before = max((abs(k) for k in values if k * sign > 0 and abs(k) < abs(found)), default=0.0)
    if abs(found) - before <= TOLERANCE * abs(found):
        return None
    return sign * float(f"{(abs(found) + before) / 2:.4g}")
