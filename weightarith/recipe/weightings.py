"""The `select:` and `schedule:` of a recipe: how much of a vector each tensor gets.

They belong to a name, an input or a `let:`, and hold wherever the name is used. Only a vector can be scaled
part by part: part of a model is no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from weightarith.algebra import Linear, Sum, collect
from weightarith.errors import quoted
from weightarith.recipe.bindings import Bindings
from weightarith.recipe.caret import listed, nearest
from weightarith.recipe.fields import listing, one_or_more, passage, table, text
from weightarith.recipe.functions import described
from weightarith.recipe.rules import Fail, layer_range, role, rules
from weightarith.recipe.strictyaml import Entry, Node, Place, Scalar
from weightarith.recipe.tokens import canonical
from weightarith.weighting import ONE, Rule, Schedule, Selection, Varying

SELECT = ("on", "layers", "role", "name", "scale")
SCHEDULE = ("on", "values", "elsewhere")


@dataclass
class Weightings:
    """Rules and schedule for each name, where they stand, and the params they were made from."""

    rules: dict[str, tuple[Rule, ...]] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    uses: dict[str, frozenset[str]] = field(default_factory=dict)

    def note(self, name: str, place: Place, uses: Iterable[str]) -> None:
        """Remember where something about `name` stands, and what it was made from."""
        self.places.setdefault(name, place)
        self.uses[name] = self.uses.get(name, frozenset()).union(uses)

    def applied(self, name: str, value: Linear | Fraction | Varying) -> Linear | Fraction | Varying:
        """Return `value`, scaled as the recipe says of `name`.

        Raises:
            RecipeError: `value` is no vector.
        """
        if name not in self.places:
            return value
        total = collect(value.terms) if isinstance(value, Linear) else value
        if not isinstance(total, Sum) or total.degree != 0:
            raise self.places[name].error(
                f"{name} is {described(total)}, and only a vector can be scaled part by part",
                hint="name a difference: {model: PATH, minus: base} among inputs, or a let",
            )
        if name in self.rules:
            total = total.weighted(Selection(self.rules[name]))
        return total.weighted(self.schedules[name]) if name in self.schedules else total


def read_weightings(
    select: Node | None, schedule: Node | None, bindings: Bindings, names: Iterable[str]
) -> Weightings:
    """Return what `select:` and `schedule:` say of `names`; a number may be an expression of the params.

    Raises:
        RecipeError: an entry is not as it should be, or is about a name that there is not.
    """
    found = Weightings()
    known = list(names)
    for entry in listing(select, "select") if select else ():
        _read_rule(entry, found, bindings, known)
    for entry in listing(schedule, "schedule") if schedule else ():
        _read_schedule(entry, found, bindings, known)
    return found


def _read_rule(node: Node, found: Weightings, bindings: Bindings, known: list[str]) -> None:
    entry = table(node, "an entry of select", SELECT, required=("on", "scale"))
    name, place = _on(entry["on"].value, known)
    scale, uses = bindings.number(passage(entry["scale"].value, "a number for scale"))
    layers = _texts(entry, "layers", "a layer or a range of layers")
    spans = [layer_range(item.text, _fail(item)) for item in layers]
    roles = [role(item.text, _fail(item)) for item in _texts(entry, "role", "a role")]
    pattern = text(entry["name"].value, "a pattern for name") if "name" in entry else ""
    found.rules[name] = found.rules.get(name, ()) + rules(scale, spans, roles, pattern)
    found.note(name, place, uses)


def _read_schedule(node: Node, found: Weightings, bindings: Bindings, known: list[str]) -> None:
    entry = table(node, "an entry of schedule", SCHEDULE, required=("on", "values"))
    name, place = _on(entry["on"].value, known)
    if name in found.schedules:
        raise place.error(f"{name} has a schedule already")
    values: list[Fraction] = []
    for item in listing(entry["values"].value, "values"):
        value, uses = bindings.number(passage(item, "a number"))
        values.append(value)
        found.note(name, place, uses)
    elsewhere = ONE
    if "elsewhere" in entry:
        elsewhere, uses = bindings.number(passage(entry["elsewhere"].value, "a number for elsewhere"))
        found.note(name, place, uses)
    found.schedules[name] = Schedule(tuple(values), elsewhere)


def _texts(entry: Mapping[str, Entry], key: str, what: str) -> Iterator[Scalar]:
    return one_or_more(entry[key].value, what) if key in entry else iter(())


def _on(node: Node, known: list[str]) -> tuple[str, Place]:
    name = canonical(text(node, "the name of an input or a let"))
    if name not in known:
        message = f"unknown name {quoted(name)}; this recipe has {listed(known)}"
        raise node.place.error(message, hint=nearest(name, known))
    return name, node.place


def _fail(item: Scalar) -> Fail:
    return lambda message, hint: item.place.error(message, hint=hint)
