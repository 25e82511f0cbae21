"""One merge as an expression: models, layers of models, and the operator that a merge method is here."""

from __future__ import annotations

from collections.abc import Iterator

from weightarith.mergekit.layout import Call, Expression, Items, Word, added, difference, scaled
from weightarith.mergekit.methods import LAMBDA, Method, Parameter
from weightarith.mergekit.naming import Input, Names
from weightarith.mergekit.parts import Part, Strip
from weightarith.mergekit.reference import Reference
from weightarith.mergekit.slices import Layered
from weightarith.mergekit.values import Value, expression_of, value_of

Option = tuple[str, Expression]

NUSLERP = {("true", "false"): "tensor", ("false", "false"): "row", ("false", "true"): "column"}
"""What a length is taken over, by nuslerp_flatten and nuslerp_row_wise, as mergekit does it."""


def combined(part: Part, method: Method, names: Names) -> Expression:
    """Return the expression of a merge."""
    base = _strip(part.base, names) if part.base else None
    models = tuple(_strip(each, names) for each in part.operands)
    if method.name == "passthrough":
        return _passed(models[0], _each(part, "scale")[0])
    if base is None or method.anchored:
        return _called(method, (base, *models) if base else models, part)
    moved = tuple(difference(model, base) for model in models)
    factor = expression_of(_shared(part, LAMBDA.name)) if LAMBDA.name in part.shared else Word("1")
    if method.name == "task_arithmetic" and _shared(part, "normalize") == "false":
        weights = map(expression_of, _each(part, "weight"))
        terms = [scaled(weight, each) for weight, each in zip(weights, moved, strict=True)]
        if len(terms) > 1 and factor != Word("1"):
            terms = [added(*terms)]
        return added(base, *(scaled(factor, term) for term in terms))
    return added(base, scaled(factor, _called(method, moved, part)))


def _passed(model: Expression, scale: Value) -> Expression:
    """Return a model, its weights multiplied by a number."""
    factor = expression_of(scale)
    if scaled(factor, model) == model:
        return model
    return Call("passthrough", (model,), (("scale", factor),))


def _called(method: Method, operands: tuple[Expression, ...], part: Part) -> Expression:
    options = tuple(option for each in method.parameters for option in _option(each, method, part))
    fixed = tuple((name, Word(text)) for name, text in method.fixed)
    return Call(method.operator, operands if method.spread else (Items(operands),), options + fixed)


def _option(parameter: Parameter, method: Method, part: Part) -> Iterator[Option]:
    if parameter is LAMBDA or parameter.only:
        return
    if method.name == "nuslerp" and parameter.kind == "flag":
        if parameter.name == "nuslerp_flatten":
            flags = _flag(part, "nuslerp_flatten"), _flag(part, "nuslerp_row_wise")
            yield "per", Word(f'"{NUSLERP[flags]}"')
    elif parameter.kind == "flag":
        yield parameter.keyword, Word(parameter.words[_flag(part, parameter.name) != "true"])
    elif not parameter.each:
        yield parameter.keyword, expression_of(_shared(part, parameter.name))
    else:
        values = _each(part, parameter.name)
        listed = parameter.default is None or len(set(values)) > 1
        numbers = tuple(map(expression_of, values if listed else values[:1]))
        yield parameter.keyword, Items(numbers) if listed else numbers[0]


def _each(part: Part, name: str) -> list[Value]:
    return [value_of(rules, span) for rules, span in zip(part.each[name], part.spans, strict=True)]


def _shared(part: Part, name: str) -> Value:
    return value_of(part.shared[name], part.span)


def _flag(part: Part, name: str) -> str:
    return part.shared[name][0].value.values[0]


def _strip(strip: Strip, names: Names) -> Expression:
    pieces = tuple(_taken(model, layers, names) for model, layers in strip)
    return pieces[0] if len(pieces) == 1 else Call("stack", pieces)


def _taken(model: Reference, layers: Layered | None, names: Names) -> Expression:
    whole: Expression = Word(names[Input(model.model)])
    if model.lora:
        whole = added(whole, Word(names[Input(model.lora, model.model)]))
    if layers is None:
        return whole
    last = layers.stop - 1
    span = f"{layers.first}-{last}" if last > layers.first else f"{last}"
    return Call("take", (whole, Word(f'"{span}"')))
