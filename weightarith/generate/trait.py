"""A trait file: what a behaviour is, how a model is told to show it, and what it is asked.

    weightarith_trait: 1
    name: sycophancy
    description: agreeing with the user, or flattering him, whatever he says
    positive: [system prompts under which a model shows the trait]
    negative: [system prompts under which it shows the opposite]
    questions: [what it is asked]
    keep:                                  # for --filter rule
      positive: {any: [you're right, I agree], none: [I disagree]}
      negative: {refuses: no, pattern: '(however|actually)'}
      margin: 0.1

Fierro and Roger, arXiv 2511.05408, section 3, make their data so, after Chen et al., arXiv 2507.21509.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from weightarith.errors import InvalidFileError, RecipeError, quoted
from weightarith.numbers import NUMBER
from weightarith.recipe.fields import choice, listing, scalar, table, text
from weightarith.recipe.strictyaml import Entry, Node, decoded, read_yaml

Side = Literal["positive", "negative"]
SIDES: tuple[Side, Side] = ("positive", "negative")
FORMAT = "1"
_REQUIRED = ("weightarith_trait", "name", "description", "positive", "negative", "questions")


@dataclass(frozen=True)
class Rule:
    """What an answer must say to be kept; phrases are found in it normalised, at the beginning of words.

    Attributes:
        any: it has one of these phrases, where there are any.
        none: it has none of these.
        pattern: a regular expression found in the normalised answer, case aside; "" where there is none.
        refuses: whether it refuses, by the published markers; None where that does not matter.
    """

    any: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    pattern: str = ""
    refuses: bool | None = None


@dataclass(frozen=True)
class Trait:
    """What a trait file says.

    Attributes:
        rules: by side; empty where the file has none.
        margin: nats a token that an answer is likelier under its own side's system prompt than under one of
            the other side, at least; None where that does not matter.
    """

    name: str
    description: str
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    questions: tuple[str, ...]
    rules: Mapping[Side, Rule]
    margin: float | None = None

    def systems(self, side: Side) -> tuple[str, ...]:
        """Return the system prompts of a side."""
        return self.positive if side == "positive" else self.negative

    @property
    def has_rule(self) -> bool:
        """Whether there is anything to filter by."""
        return bool(self.rules) or self.margin is not None


def read_trait(path: Path) -> Trait:
    """Return what a trait file says.

    Raises:
        InvalidFileError: it cannot be read.
        RecipeError: says where it means nothing, and why.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidFileError(f"cannot read {quoted(str(path))}: {error.strerror}") from None
    document = read_yaml(decoded(content, path.name), path.name)
    entries = table(document, "a trait", (*_REQUIRED, "keep"), _REQUIRED)
    choice(entries["weightarith_trait"].value, "weightarith_trait, the number of the format,", (FORMAT,))
    rules, margin = _keep(entries.get("keep"))
    return Trait(
        name=text(entries["name"].value, "name"),
        description=_prose(entries["description"].value, "description"),
        positive=_texts(entries["positive"].value, "positive, system prompts"),
        negative=_texts(entries["negative"].value, "negative, system prompts"),
        questions=_texts(entries["questions"].value, "questions"),
        rules=rules,
        margin=margin,
    )


def _keep(entry: Entry | None) -> tuple[dict[Side, Rule], float | None]:
    if entry is None:
        return {}, None
    found = table(entry.value, "keep", (*SIDES, "margin"))
    if not found:
        raise entry.place.error("keep says nothing", hint="leave it out, or say what is kept")
    rules = {side: _rule(found[side].value, side) for side in SIDES if side in found}
    return rules, _number(found["margin"].value) if "margin" in found else None


def _rule(node: Node, side: str) -> Rule:
    entries = table(node, f"keep.{side}", ("any", "none", "pattern", "refuses"))
    if not entries:
        raise node.place.error(f"keep.{side} says nothing", hint="leave it out, or say what is kept")
    lists = {key: _texts(entries[key].value, f"{key}, phrases") for key in ("any", "none") if key in entries}
    pattern = text(entries["pattern"].value, "pattern") if "pattern" in entries else ""
    try:
        re.compile(pattern)
    except re.error as error:
        place = entries["pattern"].value.place
        raise place.error(f"pattern is no regular expression: {error}") from None
    refuses = None
    if "refuses" in entries:
        refuses = choice(entries["refuses"].value, "refuses", ("yes", "no")) == "yes"
    return Rule(lists.get("any", ()), lists.get("none", ()), pattern, refuses)


def _number(node: Node) -> float:
    written = text(node, "margin, a number of nats a token").replace("−", "-")
    if not NUMBER.fullmatch(written.removeprefix("-")):
        raise node.place.error(f"expected margin to be a number, found {quoted(written)}")
    return float(written)


def _texts(node: Node, what: str) -> tuple[str, ...]:
    seen: dict[str, Node] = {}
    for item in listing(node, what):
        said = _prose(item, what)
        if said in seen:
            raise _twice(item, said, seen[said])
        seen[said] = item
    return tuple(seen)


def _twice(node: Node, said: str, first: Node) -> RecipeError:
    return node.place.error(f"{quoted(said)} stands in line {first.place.line} already")


def _prose(node: Node, what: str) -> str:
    """Return a text that may have several lines."""
    return scalar(node, what).text.strip()
