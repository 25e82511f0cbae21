"""The names of a recipe, bound once each: `params:`, then `inputs:`, then `let:` line by line.

A name remembers which names it was made from, so that what is never used can be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from weightarith.errors import RecipeError, quoted
from weightarith.recipe.calls import FUNCTIONS, Function
from weightarith.recipe.caret import Passage, listed, nearest
from weightarith.recipe.evaluate import Named, Scope, number
from weightarith.recipe.fields import mapping, passage
from weightarith.recipe.lookup import names_in, read_expression
from weightarith.recipe.naming import declared_names
from weightarith.recipe.strictyaml import Node, Place
from weightarith.recipe.tokens import canonical
from weightarith.recipe.tree import Node as Tree


@dataclass
class Bindings:
    """Where every name is bound, what it is made from and, once that is known, what it stands for."""

    places: dict[str, Place] = field(default_factory=dict)
    uses: dict[str, frozenset[str]] = field(default_factory=dict)
    values: dict[str, Named] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=lambda: FUNCTIONS)

    def declare(self, name: str, place: Place, uses: Iterable[str] = ()) -> None:
        """Bind a name.

        Raises:
            RecipeError: it is bound already.
        """
        if name in self.places:
            raise place.error(f"{quoted(name)} is bound already, in line {self.places[name].line}")
        self.places[name], self.uses[name] = place, frozenset(uses)

    def read(self, text: Passage) -> Tree:
        """Return the syntax tree of an expression of the names bound so far."""
        return read_expression(text, self.places, "this recipe has", self.functions)

    def scope(self, text: Passage) -> Scope:
        """Return what evaluates `text`."""
        return Scope(text, self.values, self.functions)

    def number(self, text: Passage) -> tuple[Fraction, frozenset[str]]:
        """Return the number that an expression of params stands for, and the names in it."""
        tree = read_expression(text, self.values, "the params are", self.functions)
        return number(tree, self.scope(text)), names_in(tree)

    def unused(self, roots: Iterable[str]) -> list[str]:
        """Return the names that none of `roots` was made from, in order."""
        reached: set[str] = set()
        waiting = list(roots)
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting.extend(self.uses.get(name, ()))
        return [name for name in self.places if name not in reached]


def bind_params(bindings: Bindings, node: Node | None, overrides: Mapping[str, str]) -> None:
    """Bind the numbers of `params:`, those given with -p in place of the recipe's.

    Raises:
        RecipeError: a value is no number, or an override names no param.
    """
    entries = mapping(node, "params") if node else None
    names = declared_names(entries) if entries else {}
    given = {canonical(name): value for name, value in overrides.items()}
    for name in given:
        if name not in names:
            has = f"params are {listed(names)}" if names else "this recipe has no params"
            raise RecipeError(f"-p {quoted(name)}: no such param; {has}", hint=nearest(name, names))
    for name, entry in names.items():
        text = passage(entry.value, f"a number for param {name}")
        value, uses = bindings.number(_override(name, given[name]) if name in given else text)
        bindings.declare(name, entry.place, uses)
        bindings.values[name] = value


def _override(name: str, text: str) -> Passage:
    return Passage(text, lambda _offset: f"-p {name}: ")
