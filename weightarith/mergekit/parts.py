"""What is merged with what: every slice checked for its base, its number of models and its parameters.

Slices that are merged in the same way become one merge of whole models, each stacked from its layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from weightarith.errors import quoted
from weightarith.mergekit.document import Document
from weightarith.mergekit.parameters import Rule
from weightarith.mergekit.reference import Reference
from weightarith.mergekit.slices import Layered, Slice, Source
from weightarith.mergekit.values import Span, names_layer, rules_of

Rules = tuple[Rule, ...]
Strip = tuple[tuple[Reference, Layered | None], ...]
"""Models one after the other, each with the layers that are taken; None takes all."""


@dataclass(frozen=True)
class Part:
    """One merge.

    Attributes:
        base: what the operands are measured from, if anything.
        operands: the models merged.
        each: for every parameter of which each operand has its own, the rules of each.
        shared: the rules of every other parameter.
        spans: the layers of each operand, numbered as in its model; None for whole models.
        span: the layers, numbered as in the result.
    """

    base: Strip | None
    operands: tuple[Strip, ...]
    each: Mapping[str, tuple[Rules, ...]]
    shared: Mapping[str, Rules]
    spans: tuple[Span | None, ...]
    span: Span | None


def parts_of(document: Document) -> tuple[Part, ...]:
    """Return the merges that make the result, in the order of its layers.

    Raises:
        RecipeError: a base, a model or a parameter is missing, doubled or too many.
    """
    slices = document.body.slices
    counts = [source.layers.count if (source := one.sources[0]).layers else 0 for one in slices]
    starts = [0, *accumulate(counts)]
    parts = tuple(_part(one, start, document) for one, start in zip(slices, starts, strict=False))
    return (_stacked(parts),) if len(parts) > 1 and _alike(parts) else parts


def base_of(one: Slice, document: Document) -> Reference | None:
    """Return the base that a slice is merged on, None where its method has none."""
    return None if document.method.base == "none" else one.base or document.base


def _part(one: Slice, start: int, document: Document) -> Part:
    method = document.method
    _check_doubles(one)
    base = base_of(one, document)
    anchor = _base_source(one, base, document) if base else None
    if base is None:
        _check_no_base(one, document)
    operands = [source for source in one.sources if base is None or source.model != base]
    _check_count(len(operands), one, document)
    outer = [one.settings, document.body.settings, document.settings]
    each = {
        parameter.name: tuple(
            rules_of(parameter, [source.settings, *outer], source.place, quoted(str(source.model)))
            for source in operands
        )
        for parameter in method.parameters
        if parameter.each
    }
    shared = {
        parameter.name: rules_of(parameter, outer, document.place, method.name)
        for parameter in method.parameters
        if not parameter.each
    }
    first = one.sources[0].layers
    return Part(
        ((base, anchor.layers if anchor else None),) if base else None,
        tuple(((source.model, source.layers),) for source in operands),
        each,
        shared,
        tuple(_span(source) for source in operands),
        Span(start, first.count) if first else None,
    )


def _base_source(one: Slice, base: Reference, document: Document) -> Source | None:
    listed = [source for source in one.sources if source.model == base]
    if len(listed) > 1:
        raise listed[1].place.error(f"the base {quoted(str(base))} is listed twice, first in line "
                                    f"{listed[0].place.line}")  # fmt: skip
    if not listed and not document.body.of_models:
        raise one.place.error(
            f"no source of this slice is the base, {quoted(str(base))}",
            hint=f"a source of its layers: {{model: {base}, layer_range: [0, 16]}}",
        )
    return listed[0] if listed else None


def _check_no_base(one: Slice, document: Document) -> None:
    method, base = document.method, document.base
    if method.base == "needed":
        raise document.place.error(f"{method.name} needs a base_model", hint="base_model: …")
    if one.base:
        raise one.base.place.error(
            f"{method.name} has no base: this one would be ignored", hint="leave it out"
        )
    if base and document.body.of_models and not any(source.model == base for source in one.sources):
        raise base.place.error(
            f"{method.name} has no base, and {quoted(str(base))} is not listed: it would be merged in",
            hint="leave base_model out, or list it under models: with its parameters",
        )


def _check_doubles(one: Slice) -> None:
    seen: dict[tuple[Reference, Layered | None], Source] = {}
    for source in one.sources:
        before = seen.setdefault((source.model, source.layers), source)
        if before is not source:
            raise source.place.error(
                f"{quoted(str(source.model))} is listed twice, first in line {before.place.line}",
                hint="list it once, with the sum of the weights",
            )


def _check_count(count: int, one: Slice, document: Document) -> None:
    method = document.method
    if method.fewest <= count and (not method.most or count <= method.most):
        return
    many = f"{method.fewest}" if method.most == method.fewest else f"{method.fewest} or more"
    beside = f" beside the base {quoted(str(base))}" if (base := base_of(one, document)) else ""
    noun = "model" if many == "1" else "models"
    raise one.place.error(f"{method.name} takes {many} {noun}{beside}, not {count}")


def _span(source: Source) -> Span | None:
    return Span(source.layers.first, source.layers.count) if source.layers else None


def _alike(parts: tuple[Part, ...]) -> bool:
    """Return whether parts differ in their models and layers alone, and not in what is done with them."""
    first = parts[0]
    if any(len(part.operands) != len(first.operands) or (part.base is None) != (first.base is None)
           for part in parts):  # fmt: skip
        return False
    for name, rules in first.shared.items():
        if not _even(rules) or any(_said(part.shared[name]) != _said(rules) for part in parts):
            return False
    for name, all_rules in first.each.items():
        for number, rules in enumerate(all_rules):
            if not _even(rules) or any(_said(part.each[name][number]) != _said(rules) for part in parts):
                return False
            if names_layer(rules) and any(part.spans[number] != part.span for part in parts):
                return False
    return True


def _even(rules: Rules) -> bool:
    return all(rule.value.constant for rule in rules)


def _said(rules: Rules) -> list[tuple[str, tuple[str, ...]]]:
    return [(rule.part, rule.value.values) for rule in rules]


def _stacked(parts: tuple[Part, ...]) -> Part:
    first = parts[0]
    total = Span(0, sum(part.span.count for part in parts if part.span))
    operands = tuple(
        _strip([part.operands[number] for part in parts]) for number in range(len(first.operands))
    )
    base = _strip([part.base for part in parts if part.base]) if first.base else None
    return Part(base, operands, first.each, first.shared, (total,) * len(operands), total)


def _strip(pieces: list[Strip]) -> Strip:
    """Return strips one after the other, layers that go on in the same model taken at once."""
    joined: list[tuple[Reference, Layered | None]] = []
    for piece in pieces:
        model, layers = piece[0]
        before = joined[-1][1] if joined and joined[-1][0] == model else None
        if before and layers and before.stop == layers.first:
            joined[-1] = model, Layered(before.first, layers.stop)
        else:
            joined.append(piece[0])
    return tuple(joined)
