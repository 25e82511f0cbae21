"""What an operator makes of sums: an atom of other sums, and lazy as they are.

Here calls are checked, from recipes and from Python alike: kinds of operands, names and ranges of options.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from weightarith.algebra import Atom, Leaf, Linear, Sum, Term, collect, exact
from weightarith.errors import RecipeError, quoted
from weightarith.operators.direction import Direction
from weightarith.operators.operator import REQUIRED, Operator
from weightarith.operators.settings import Setting, check_range, fixed, listed, setting, text
from weightarith.provenance import expression_of
from weightarith.weighting import Varying, value_at


@dataclass(frozen=True, eq=False)
class Made(Atom):
    """What `operator` makes of `operands`, with `beside` after them, under `options`."""

    operator: Operator
    operands: tuple[Sum, ...]
    beside: tuple[Sum, ...]
    options: Mapping[str, Setting]
    point: bool

    @cached_property
    def label(self) -> str:  # type: ignore[override]  # an attribute there, and read only here
        """The call, as it is written in a recipe."""
        return self.written(str)

    def written(self, name: Callable[[str], str]) -> str:
        """Return the call, with the label of every input passed through `name`."""
        return self._call([each.written(name) for each in (*self.operands, *self.beside)], name, self.options)

    def written_at(self, tensor: str, depth: int, sums: Sequence[str]) -> str:
        """Return the call with its numbers as they are at a tensor, `sums` being what it is of there."""
        options = {key: fixed(value, tensor, depth) for key, value in self.options.items()}
        return self._call(sums, str, options)

    def _call(self, sums: Sequence[str], name: Callable[[str], str], options: Mapping[str, Setting]) -> str:
        operands, beside = list(sums[: len(self.operands)]), sums[len(self.operands) :]
        parts = operands if len(operands) == self.operator.most else [listed(operands)]
        if beside:
            parts.append(f"{self.operator.beside}={beside[0] if len(beside) == 1 else listed(beside)}")
        parts += [
            f"{key}={name(value.label) if isinstance(value, Direction) else text(value)}"
            for key, value in options.items()
            if self._said(key)
        ]
        return f"{self.operator.name}({', '.join(parts)})"

    def _said(self, option: str) -> bool:
        """Return whether an option is something else than its default."""
        value, default = self.options[option], self.operator.defaults.get(option, REQUIRED)
        default = exact(default) if isinstance(default, float) else default
        return any(one != default for one in value) if isinstance(value, tuple) else value != default

    @cached_property
    def key(self) -> str:
        """Operator, operands and options."""
        sums = [sum_key(each) for each in (*self.operands, *self.beside)]
        options = sorted((name, repr(value)) for name, value in self.options.items())
        return f"{self.operator.name}({len(self.operands)}, {sums}, {options})"

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        """The inputs of every operand, each once."""
        found = {
            leaf.key: leaf
            for each in (*self.operands, *self.beside)
            for term in each.terms
            for leaf in term.leaf.leaves
        }
        return tuple(found.values())

    @property
    def weightings(self) -> tuple[Varying, ...]:
        """What makes its options vary from tensor to tensor."""
        flat = [
            one
            for value in self.options.values()
            for one in (value if isinstance(value, tuple) else (value,))
        ]
        return tuple(one for one in flat if isinstance(one, Varying))

    def mask_key(self, operand: int, name: str) -> int:
        """Return the number that random masks of an operand at tensor `name` start from.

        It is made of what the operand says, `ft − base`, and of the name of the tensor: of nothing else.
        """
        text = f"{self._names[operand]}\0{name}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """What the operands say; different ones that say the same, of folders of one name, are numbered."""
        known: dict[str, list[str]] = {}
        names = []
        for each in (*self.operands, *self.beside):
            text, key = expression_of(each), sum_key(each)
            same = known.setdefault(text, [])
            same += [key] * (key not in same)
            names.append(text if key == same[0] else f"{text}\0{same.index(key)}")
        return tuple(names)

    def at(self, name: str, depth: int) -> dict[str, Any]:
        """Return the options as `run` wants them at tensor `name` of a model of `depth` layers.

        Raises:
            RecipeError: a number that varies leaves its range there.
        """
        found: dict[str, Any] = {}
        for option in self.operator.options:
            value = self.options[option.name]
            if option.kind != "number":
                found[option.name] = value.array if isinstance(value, Direction) else value
                continue
            given = value if isinstance(value, tuple) else (value,)
            numbers = [value_at(one, name, depth) for one in given if isinstance(one, Fraction | Varying)]
            for one in numbers:
                check_range(self.operator, option, one, f" at {quoted(name)}")
            floats = tuple(map(float, numbers))
            found[option.name] = floats if option.each else floats[0]
        if self.operator.beside:
            found["operands"] = len(self.operands)
        return found


def make(
    operator: Operator, operands: Sequence[Linear], beside: Sequence[Linear] = (), /, **options: Any
) -> Made:
    """Return what `operator` makes of `operands`, nothing computed.

    Raises:
        RecipeError: an operand is of the wrong kind, or an option is unknown, missing or out of range.
    """
    for each in (*operands, *beside):
        if not isinstance(each, Linear):
            raise RecipeError(
                f"{operator.name}() takes models and vectors, not {text(each)}",
                hint="options are given by name: density=0.2",
            )
    sums = tuple(in_order(each) for each in operands)
    extra = tuple(in_order(each) for each in beside)
    point = _checked_kinds(operator, sums, extra)
    for name in options:
        if name not in {option.name for option in operator.options}:
            known = ", ".join(
                [option.name for option in operator.options] + [operator.beside] * bool(operator.beside)
            )
            raise RecipeError(f"{operator.name}() has no option {quoted(name)}; it has {known or 'none'}")
    settings = {
        option.name: setting(operator, option, options.get(option.name), len(sums))
        for option in operator.options
    }
    return Made(operator, sums, extra, settings, point)


def _checked_kinds(operator: Operator, operands: tuple[Sum, ...], beside: tuple[Sum, ...]) -> bool:
    count = len(operands)
    if count < operator.fewest or (operator.most and count > operator.most):
        raise RecipeError(f"{operator.name}() takes {_range(operator)}, not {count}")
    if bool(beside) != bool(operator.beside):
        raise RecipeError(
            f"{operator.name}() takes vectors as {operator.beside}="
            if operator.beside
            else f"{operator.name}() takes nothing beside its operands"
        )
    kinds = [each.kind for each in operands]
    wanted = operator.takes if operator.takes != "either" else kinds[0]
    for each, kind in zip(operands, kinds, strict=True):
        if kind != wanted:
            what = "models" if wanted == "checkpoint" else "vectors"
            given = "model" if kind == "checkpoint" else kind
            raise RecipeError(
                f"{operator.name}() takes {what}, and {each} is a {given}",
                hint="the difference of two models is a vector: model - base" if wanted == "vector" else "",
            )
    for each in beside:
        if each.kind != "vector":
            raise RecipeError(f"{operator.name}({operator.beside}=…) takes vectors, and {each} is a model")
    return wanted == "checkpoint"


def _range(operator: Operator) -> str:
    many = {"vector": "vectors", "checkpoint": "models", "either": "vectors or models"}[operator.takes]
    if operator.most == operator.fewest:
        return f"{operator.fewest} {many if operator.fewest != 1 else many[:-1]}"
    return f"{operator.fewest} or more {many}"


def in_order(total: Linear) -> Sum:
    """Return a sum with like terms collected, in an order that does not depend on how it was written.

    What is subtracted comes last. Labels and random masks are made of such sums.
    """

    def place(term: Term) -> tuple[bool, str, str, str]:
        return term.coefficient < 0, term.leaf.label, term.leaf.key, repr(term.weightings)

    return Sum(tuple(sorted(collect(total.terms).terms, key=place)))


def sum_key(total: Sum) -> str:
    """Return what makes two sums the same, in whatever order they are written."""
    parts = sorted((term.leaf.key, str(term.coefficient), repr(term.weightings)) for term in total.terms)
    return repr(parts)
