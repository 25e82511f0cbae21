"""Numbers as people read them: a true minus, shares in per cent, no digit that means nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

NONE = "–"
"""What stands where there is no number."""


def number(value: float | None, digits: int = 3) -> str:
    """Return a number in a few significant digits, `–` where there is none."""
    if value is None or not math.isfinite(value):
        return NONE
    large = abs(value) >= 10**digits
    return (f"{value:,.0f}" if large else f"{value:.{digits}g}").replace("-", "−")


def strength(value: float | None) -> str:
    """Return a strength as it can be typed, but for its minus."""
    return NONE if value is None else f"{value:g}".replace("-", "−")


def share(value: float | None) -> str:
    """Return a share in per cent."""
    return NONE if value is None or not math.isfinite(value) else f"{number(100 * value)}\N{NO-BREAK SPACE}%"


def estimate(found: Mapping[str, Any] | None, *, as_share: bool) -> tuple[str, str]:
    """Return a number and its 95 % interval, in per cent where it is a share; "" where there is none."""
    if not found or found.get("value") is None:
        return NONE, ""
    times = 100 if as_share else 1
    value, low, high = (found.get(key) for key in ("value", "low", "high"))
    shown = share(value) if as_share else number(value)
    if low is None or high is None:
        return shown, ""
    return shown, f"{number(low * times)} to {number(high * times)}"


def change(difference: float, *, as_share: bool) -> str:
    """Return a change with its sign, in points where it is one of a share."""
    shown = number(difference * (100 if as_share else 1))
    signed = shown if difference <= 0 or shown == NONE else f"+{shown}"
    return f"{signed} points" if as_share else signed


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a number of things: `1 tensor`, `272 tensors`, `2 matrices`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
