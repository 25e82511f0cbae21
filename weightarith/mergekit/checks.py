"""Numbers that mergekit computes with, and that come out wrong: refused before anything is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from weightarith.errors import quoted
from weightarith.mergekit.document import Document
from weightarith.mergekit.methods import Method, Parameter
from weightarith.mergekit.parameters import Settings, numbers_of
from weightarith.mergekit.parts import Part, Rules
from weightarith.mergekit.refusals import unsupported
from weightarith.mergekit.slices import Slice
from weightarith.mergekit.values import Span, unmet
from weightarith.wording import shown

NORMALIZE = ("normalize", "normalize_weights")
DIFFERENCE = "a difference of models is a vector: weightarith diff A B, or A - B in a recipe"


def check_numbers(part: Part, method: Method) -> None:
    """Refuse weights that cannot be normalised and densities that are none.

    Raises:
        RecipeError: with the place of the number.
    """
    weights = part.each.get("weight", ())
    if any(_said(part, name) == "true" for name in NORMALIZE) or method.name == "nuslerp":
        _check_sum(weights, method)
    if _said(part, "normalize") == "false" and method.name == "linear":
        _check_mean(weights)
    if _said(part, "normalize") == "true" and method.base == "needed":
        _check_signs(weights, method)
    for rule in (rule for rules in part.each.get("density", ()) for rule in rules):
        if any(not 0 <= number <= 1 for number in numbers_of([rule])):
            raise rule.place.error("a density is between 0 and 1, the share of the numbers that is kept")
    if "epsilon" in part.each:
        _check_reach(part.each["density"], part.each["epsilon"])
    for parameter in method.parameters:
        _check_alike(part, parameter)
    if _said(part, "nuslerp_row_wise") == "true" and _said(part, "nuslerp_flatten") == "true":
        raise part.shared["nuslerp_row_wise"][0].place.error(
            "nuslerp_row_wise is ignored while tensors are flattened", hint="nuslerp_flatten: false"
        )


def check_filters(document: Document) -> None:
    """Refuse filters that name a layer where no slice has such a layer.

    Raises:
        RecipeError: with the place of the rule.
    """
    for settings, slices in _scopes(document):
        for name, setting in settings.items():
            parameter = document.method.parameter(name)
            spans = _sources(slices) if parameter and parameter.each else _results(slices, document)
            for rule in setting.rules if spans else ():
                if unmet(rule, spans):
                    raise rule.place.error(f"no slice has a layer with {quoted(rule.part)} in its names")
    for one in document.body.slices:
        for source in one.sources:
            spans = [Span(source.layers.first, source.layers.count)] if source.layers else []
            for rule in (rule for setting in source.settings.values() for rule in setting.rules):
                if spans and unmet(rule, spans):
                    raise rule.place.error(f"no layer of this source has {quoted(rule.part)} in its names")


def _said(part: Part, name: str) -> str:
    rules = part.shared.get(name)
    return rules[0].value.values[0] if rules else ""


def _check_sum(weights: Sequence[Rules], method: Method) -> None:
    if _total(weights) == 0:
        raise weights[0][0].place.error(
            f"the weights add up to 0, and {method.name} divides by their sum",
            hint=DIFFERENCE if method.name == "linear" else "other weights",
        )


def _check_mean(weights: Sequence[Rules]) -> None:
    """Refuse weights that make something else of models than a model; what varies is checked in the run."""
    total = _total(weights)
    if total not in (None, 1):
        raise weights[0][0].place.error(
            f"the weights add up to {shown(total)}, and without normalize models make a model only at 1",
            hint=DIFFERENCE
            if total == 0
            else "parameters: {normalize: true}; or task_arithmetic and a base_model",
        )


def _total(weights: Sequence[Rules]) -> Fraction | None:
    """Return what the weights of all models add up to, None where they vary."""
    if not weights or any(len(rules) > 1 or not rules[0].value.constant for rules in weights):
        return None
    return sum((number for rules in weights for number in numbers_of(rules)), Fraction(0))


def _check_reach(densities: Sequence[Rules], epsilons: Sequence[Rules]) -> None:
    """Refuse chances of being kept, density ± epsilon, that are none; a density of 0 or 1 has no chances."""
    for rules, others in zip(densities, epsilons, strict=True):
        reach = max(numbers_of(others))
        for rule in rules:
            if any(0 < number < 1 and not reach < number < 1 - reach for number in numbers_of([rule])):
                raise rule.place.error(
                    f"density ± epsilon must lie between 0 and 1, and epsilon is {float(reach):g}",
                    hint="a smaller epsilon",
                )


def _check_alike(part: Part, parameter: Parameter) -> None:
    if parameter.alike:
        first, *others = ([(rule.part, rule.value) for rule in rules] for rules in part.each[parameter.name])
        for said, rules in zip(others, part.each[parameter.name][1:], strict=True):
            if said != first:
                what = f"{parameter.name} that differs from model to model"
                raise unsupported(rules[0].place, what, f"parameters: {{{parameter.name}: …}} at the top")


def _check_signs(weights: Sequence[Rules], method: Method) -> None:
    for rule in (rule for rules in weights for rule in rules):
        if any(number < 0 for number in numbers_of([rule])):
            raise rule.place.error(
                f"a negative weight, and {method.name} divides by the sum of weights: "
                "that turns its sign back, or makes the change many times too large",
                hint="parameters: {normalize: false}",
            )


def _scopes(document: Document) -> Iterator[tuple[Settings, tuple[Slice, ...]]]:
    slices = document.body.slices
    yield document.settings, slices
    yield document.body.settings, slices
    for one in slices:
        yield one.settings, (one,)


def _sources(slices: Sequence[Slice]) -> list[Span]:
    return [
        Span(source.layers.first, source.layers.count)
        for one in slices
        for source in one.sources
        if source.layers
    ]


def _results(slices: Sequence[Slice], document: Document) -> list[Span]:
    spans: list[Span] = []
    start = 0
    for one in document.body.slices:
        first = one.sources[0].layers
        if first:
            spans += [Span(start, first.count)] if one in slices else []
            start += first.count
    return spans
