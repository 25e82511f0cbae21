"""Names for the inputs of a recipe, taken from where they lie: short, unique, and the same every time.

The base model is called `base`, and nothing else is: it is what our sums are measured from.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from weightarith.mergekit.methods import METHODS
from weightarith.mergekit.reference import Reference, Weights

SLICE = "slice_"
BASE = "base"
_WORDS = {BASE, "mean", "restrict", "gradient", "where", "take", "stack", "true", "false"}
_TAKEN = frozenset(_WORDS | {method.operator for method in METHODS.values()})


@dataclass(frozen=True)
class Input:
    """A model, or the LoRA of a model."""

    weights: Weights
    of: Weights | None = None


Names = dict[Input, str]


def inputs_of(references: Iterable[Reference]) -> list[Input]:
    """Return every input that some references need, each once, in order."""
    found: dict[Input, None] = {}
    for each in references:
        found[Input(each.model)] = None
        if each.lora:
            found[Input(each.lora, each.model)] = None
    return list(found)


def name_inputs(inputs: Sequence[Input], base: Reference | None) -> Names:
    """Return a name for each input that can stand in an expression."""
    fixed = {Input(base.model): BASE} if base else {}
    groups: dict[str, list[Input]] = {}
    for each in inputs:
        if each not in fixed:
            groups.setdefault(_last(each), []).append(each)
    spelled: dict[Input, str] = {}
    for group in groups.values():
        spelled |= {each: _distinct(group)(each) for each in group}
    names: Names = {}
    for each in inputs:
        names[each] = fixed.get(each) or _free(spelled[each], names.values())
    return names


def _distinct(group: list[Input]) -> Callable[[Input], str]:
    """Return the shortest of the ways to spell names that tells those of a group apart."""
    ways = (_last, _last_two, _with_revision, _with_model)
    return next((way for way in ways if len({way(each) for each in group}) == len(group)), _last)


def _last(each: Input) -> str:
    return _word(_steps(each)[-1])


def _last_two(each: Input) -> str:
    return _word("_".join(_steps(each)[-2:]))


def _with_revision(each: Input) -> str:
    return _word(f"{_last(each)}_{each.weights.revision}")


def _with_model(each: Input) -> str:
    return _word(f"{_last(each)}_of_{_steps(Input(each.of))[-1]}") if each.of else _last_two(each)


def _steps(each: Input) -> list[str]:
    steps = [step for step in re.split(r"[/\\]", each.weights.path) if re.search(r"[^\W_]", step)]
    return steps or ["model"]


def _word(text: str) -> str:
    word = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", text)).strip("_")
    return word if word[:1].isalpha() else f"m_{word}"


def _free(name: str, taken: Iterable[str]) -> str:
    if name in _TAKEN or name.startswith(SLICE):
        name = f"{name}_model"
    names, number = set(taken), 1
    free = name
    while free in names:
        number += 1
        free = f"{name}_{number}"
    return free
