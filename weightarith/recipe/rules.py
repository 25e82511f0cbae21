"""Layers and roles as people write them, read the same way in a `select:` entry and in `restrict(…)`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction

from weightarith.errors import RecipeError, quoted
from weightarith.names import ROLES
from weightarith.recipe.caret import listed, nearest
from weightarith.weighting import Rule

Fail = Callable[[str, str], RecipeError]
"""Makes the error for a message and a hint, at the place where the text stands."""

_LAYERS = re.compile(r"\s*([0-9]{1,6})\s*(?:[-–−]\s*([0-9]{1,6})\s*)?")


def layer_range(text: str, fail: Fail) -> tuple[int, int]:
    """Return first and last layer of `5` or `8-20`, both included.

    Raises:
        RecipeError: the text is neither, or counts backwards.
    """
    found = _LAYERS.fullmatch(text)
    if not found:
        raise fail(
            f"expected a layer or a range of layers, found {quoted(text)}", 'write layers like 5 or "8-20"'
        )
    first, last = int(found[1]), int(found[2] or found[1])
    if first > last:
        raise fail(f"layers {first}-{last} count backwards", f'"{last}-{first}"')
    return first, last


def role(text: str, fail: Fail) -> str:
    """Return `text`, a role that tensor names can play.

    Raises:
        RecipeError: there is no such role.
    """
    if text not in ROLES:
        raise fail(
            f"unknown role {quoted(text)}; roles are {listed(ROLES, len(ROLES))}", nearest(text, ROLES)
        )
    return text


def rules(
    scale: Fraction, layers: Sequence[tuple[int, int]], roles: Sequence[str], pattern: str
) -> tuple[Rule, ...]:
    """Return one rule for every range of layers, or one for all layers where no range is given."""
    spans: Sequence[tuple[int, int] | None] = layers or [None]
    return tuple(Rule(scale, span, tuple(roles), pattern) for span in spans)
