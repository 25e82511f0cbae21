"""A second reading of the recipes that documents become, on models of one number a tensor.

Expressions are read by Python's own parser, and only what the comparison needs is computed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from weightarith.recipe.strictyaml import Scalar, Table, read_yaml

Model = dict[str, float]
Number = Callable[[str, int], float]

LAYER = re.compile(r"(?<=layers\.)[0-9]+(?=\.)")


def result(recipe: str, models: Mapping[str, Model]) -> Model:
    """Return what a recipe makes; `models` has the numbers of each path."""
    document = read_yaml(recipe, "recipe.yaml")
    assert isinstance(document, Table)
    names: dict[str, Any] = {"true": True, "false": False}
    names |= {name: models[text] for name, text in _texts(document, "inputs").items()}
    for name, text in _texts(document, "let").items():
        names[name] = computed(text, names)
    expression = document.entries["expression"].value
    assert isinstance(expression, Scalar)
    made = computed(expression.text, names)
    assert isinstance(made, dict)
    return made


def tree(expression: str) -> ast.expr:
    """Return the syntax tree of an expression; what is written in lines is one expression all the same."""
    return ast.parse(f"({expression})", mode="eval").body


def computed(expression: str, names: Mapping[str, Any]) -> Any:
    return _value(tree(expression), names)


def layer_of(name: str) -> int | None:
    found = LAYER.search(name)
    return int(found[0]) if found else None


def _texts(document: Table, key: str) -> dict[str, str]:
    if key not in document.entries:
        return {}
    table = document.entries[key].value
    assert isinstance(table, Table)
    return {
        name: entry.value.text for name, entry in table.entries.items() if isinstance(entry.value, Scalar)
    }


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return names[name]
        case ast.List(elts=items):
            return [_value(item, names) for item in items]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, names)
        case ast.BinOp(left=left, op=op, right=right):
            one, other = _value(left, names), _value(right, names)
            if isinstance(op, ast.Mult):
                return _weighted(one, other)
            sign = 1 if isinstance(op, ast.Add) else -1
            return {name: one[name] + sign * other[name] for name in one}
        case ast.Call(func=ast.Name(id=function), args=args, keywords=keywords):
            options = {option.arg: _value(option.value, names) for option in keywords if option.arg}
            return FUNCTIONS[function](*(_value(arg, names) for arg in args), **options)
    raise NotImplementedError(ast.dump(node))


def _depth(model: Model) -> int:
    return 1 + max(layer for name in model if (layer := layer_of(name)) is not None)


def _at(number: Any, name: str, model: Model) -> float:
    return float(number(name, _depth(model)) if callable(number) else number)


def _weighted(number: Any, model: Model) -> Model:
    return {name: _at(number, name, model) * value for name, value in model.items()}


def _gradient(*values: float, elsewhere: float) -> Number:
    def at(name: str, depth: int) -> float:
        layer = layer_of(name)
        if layer is None or len(values) == 1:
            return elsewhere if layer is None else values[0]
        place = layer / (depth - 1) * (len(values) - 1)
        low = min(int(place), len(values) - 2)
        return values[low] + (place - low) * (values[low + 1] - values[low])

    return at


def _where(pattern: str, inside: Any, otherwise: Any) -> Number:
    def at(name: str, depth: int) -> float:
        chosen = inside if fnmatchcase(name, pattern) else otherwise
        return float(chosen(name, depth) if callable(chosen) else chosen)

    return at


def _take(model: Model, layers: str) -> Model:
    ends = [int(end) for end in layers.split("-")]
    first, last = ends[0], ends[-1]
    kept: Model = {}
    for name, value in model.items():
        layer = layer_of(name)
        if layer is None:
            kept[name] = value
        elif first <= layer <= last:
            kept[LAYER.sub(str(layer - first), name)] = value
    return kept


def _stack(*models: Model) -> Model:
    made: Model = {}
    start = 0
    for model in models:
        for name, value in model.items():
            layer = layer_of(name)
            if layer is not None:
                made[LAYER.sub(str(start + layer), name)] = value
            elif model is models[0] or not name.startswith("model.embed"):
                made[name] = value
        start += _depth(model)
    return made


def _linear(models: list[Model], weights: list[Any], normalize: bool) -> Model:
    made: Model = {}
    for name in models[0]:
        numbers = [_at(weight, name, models[0]) for weight in weights]
        total = sum(number * model[name] for number, model in zip(numbers, models, strict=True))
        made[name] = total / sum(numbers) if normalize else total
    return made


def _slerp(one: Model, other: Model, t: Any, compat: str) -> Model:
    assert compat == "mergekit"
    return {name: one[name] + _at(t, name, one) * (other[name] - one[name]) for name in one}


def _passthrough(model: Model, scale: Any) -> Model:
    return _weighted(scale, model)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "gradient": _gradient,
    "where": _where,
    "take": _take,
    "stack": _stack,
    "linear": _linear,
    "task_arithmetic": _linear,
    "passthrough": _passthrough,
    "slerp": _slerp,
}
