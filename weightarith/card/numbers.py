"""Numbers as a card shows them: a true minus, shares in per cent, and no digit that means nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

NONE = "–"


def number(value: Any, digits: int = 3) -> str:
    """Return a number in a few significant digits, `–` where there is none."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return NONE
    large = abs(value) >= 10**digits
    return (f"{value:,.0f}" if large else f"{value:.{digits}g}").replace("-", "−")


def estimate(found: Mapping[str, Any] | None, *, share: bool) -> str:
    """Return a value with its 95 % interval, in per cent where it is a share."""
    if not found or found.get("value") is None:
        return NONE
    times, unit = (100, " %") if share else (1, "")
    value, low, high = (found.get(key) for key in ("value", "low", "high"))
    shown = f"{number(value * times)}{unit}" if isinstance(value, int | float) else NONE
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return shown
    return f"{shown} ({number(low * times)} to {number(high * times)})"


def size(count: int) -> str:
    """Return a number of bytes as people read it: `2.47 GB`."""
    for unit, base in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= base:
            return f"{count / base:.3g} {unit}"
    return f"{count} B"
