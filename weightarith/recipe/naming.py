"""The names that a mapping of a recipe declares."""

from __future__ import annotations

import re
from collections.abc import Mapping

from weightarith.errors import quoted
from weightarith.recipe.strictyaml import Entry
from weightarith.recipe.tokens import NAME, NAMING, canonical


def declared_names(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return the entries by the name each declares; − at the end of a name is the same as -.

    Raises:
        RecipeError: a key can be no name in an expression, or two are the same name.
    """
    names: dict[str, Entry] = {}
    for key, entry in entries.items():
        name = canonical(key)
        if not NAME.fullmatch(name):
            plain = re.sub(r"\W+", "_", key).strip("_")
            hint = plain if NAME.fullmatch(plain) else ""
            raise entry.place.error(f"{quoted(key)} can be no name in an expression: {NAMING}", hint=hint)
        if name in names:
            raise entry.place.error(f"{quoted(key)} is bound already, in line {names[name].place.line}")
        names[name] = entry
    return names
