"""Numbers as they are written in recipes and options: exact decimals of a bounded size, and bytes."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+\-−]?[0-9]+)?")
MOST_DIGITS = 100
LARGEST = Fraction(10) ** 300  # coefficients end up in float64, which holds up to 1.8e308
MOST_BITS = 4096
RANGE = f"numbers of at most {MOST_DIGITS} digits, between 1e-300 and 1e300"


def decimal(text: str) -> Fraction | None:
    """Return the number that `text`, a match of `NUMBER`, stands for; None where it is out of range.

    The length is limited before anything is computed: `1e999999999` is ten characters and 400 MB.
    """
    digits, _, exponent = text.lower().replace("−", "-").partition("e")
    if len(digits) > MOST_DIGITS or len(exponent) > 5 or abs(int(exponent or 0)) > 2 * MOST_DIGITS + 300:
        return None
    value = Fraction(f"{digits}e{exponent}" if exponent else digits)
    return value if in_range(value) else None


def in_range(value: Fraction) -> bool:
    """Return whether `value` is 0 or between 1e-300 and 1e300 in size, and of a bearable number of digits."""
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MOST_BITS:
        return False
    return value == 0 or 1 / LARGEST <= abs(value) <= LARGEST


_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?) ?(?:([kmgt])(i?))?b?", re.IGNORECASE)


def bytes_in(text: str) -> int | None:
    """Return the bytes of `5GB` or `512MiB`, None of what is no size.

    Units are of 1000, and of 1024 with an i; a bare number is bytes.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        return None
    power = " kmgt".index((found[2] or " ").lower())
    return int(Decimal(found[1]) * (1024 if found[3] else 1000) ** power)
