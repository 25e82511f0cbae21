"""The options of a metric as a suite has them, texts or values, each read as what the metric wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from weightarith.errors import RecipeError, quoted

_TRUTHS = {"yes": True, "true": True, "no": False, "false": False}


@dataclass(frozen=True)
class Options:
    """What was given to a metric of a kind, and where its data are.

    Every method that reads an option raises RecipeError, which names metric and option, where its value is
    not what is wanted.
    """

    kind: str
    given: Mapping[str, object]
    data: Path | None = None

    def refuse(self, why: str, hint: str = "") -> NoReturn:
        """Raise RecipeError that names the metric.

        Raises:
            RecipeError: always.
        """
        raise RecipeError(f"metric {self.kind}: {why}", hint=hint)

    def only(self, *known: str) -> Options:
        """Return these options, after refusing those that are not among `known`."""
        for key in self.given:
            if key not in known:
                near = get_close_matches(key, known, 1)
                self.refuse(
                    f"unknown option {quoted(key)}, expected {', '.join(known) or 'none'}",
                    f"did you mean {quoted(near[0])}?" if near else "",
                )
        return self

    def file(self) -> Path:
        """Return where the data are."""
        if self.data is None:
            self.refuse("it needs data", "add data: FILE.jsonl")
        return self.data

    def no_data(self) -> None:
        """Refuse data."""
        if self.data is not None:
            self.refuse(f"it takes no data, found {quoted(str(self.data))}", "leave data out")

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text that is not blank."""
        value = self.given.get(key, default)
        if not isinstance(value, str) or (not value.strip() and value != default):
            self.refuse(f"{key} is {_shown(value)}, expected a text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts, or of the one that stands there alone."""
        value = self.given.get(key)
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list | tuple) or not items:
            self.refuse(f"{key} is {_shown(value)}, expected a list of texts")
        found = []
        for item in items:
            if not isinstance(item, str) or not item.strip():
                self.refuse(f"{key} holds {_shown(item)}, expected texts")
            found.append(item)
        return tuple(found)

    def whole(self, key: str, default: int | None, *, least: int = 1) -> int:
        """Return a whole number of at least `least`; None as default means that there is none."""
        value = self.given.get(key, default)
        number = None
        if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal():
            number = int(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            number = value
        if number is None:
            self.refuse(f"{key} is {_shown(value)}, expected a whole number")
        if number < least:
            self.refuse(f"{key} is {number}, expected at least {least}")
        return number

    def truth(self, key: str, *, default: bool) -> bool:
        """Return yes or no."""
        value = self.given.get(key, default)
        found = value if isinstance(value, bool) else _TRUTHS.get(str(value).lower())
        if found is None:
            self.refuse(f"{key} is {_shown(value)}, expected yes or no")
        return found


def _shown(value: object) -> str:
    return "absent" if value is None else quoted(str(value))
