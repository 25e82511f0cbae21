"""Names out of a list with commas, as people type what they want of a few things that have names."""

from __future__ import annotations

from collections.abc import Sequence

from weightarith.errors import RecipeError, quoted
from weightarith.recipe.caret import listed, nearest


def names_in(text: str, known: Sequence[str], what: str) -> tuple[str, ...]:
    """Return the names in a list with commas, each of those known; or what the words all and none say.

    Args:
        text: the list.
        known: every name there is.
        what: one of them in words, as errors have it: "baseline".

    Raises:
        RecipeError: a name is unknown, or stands there twice.
    """
    if text.strip() in ("all", "none"):
        return tuple(known) if text.strip() == "all" else ()
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise RecipeError(
                f"no {what} is called {quoted(name)}; there are {listed(known)}, and all and none",
                hint=nearest(name, known),
            )
    if len(set(names)) < len(names):
        raise RecipeError(f"a {what} is named twice in {quoted(text)}")
    return tuple(names)
