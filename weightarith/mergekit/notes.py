"""What a reader of the recipe should know where mergekit's meaning is not plain, a comment each."""

from __future__ import annotations

from collections.abc import Iterator

from weightarith.errors import quoted
from weightarith.mergekit.document import Document
from weightarith.mergekit.parameters import Rule
from weightarith.mergekit.parts import Part, base_of
from weightarith.mergekit.reference import Weights
from weightarith.mergekit.values import numbered


def notes(document: Document, parts: tuple[Part, ...]) -> Iterator[str]:
    """Yield comments, each of one line or more, in a fixed order."""
    method = document.method
    if document.dtype:
        yield (
            f"dtype: {document.dtype} is what mergekit computes in as well; here everything is computed in\n"
            "float64 and rounded once, when it is written."
        )
    if document.base is None and len(set(_models(document))) > 1:
        yield (
            "No base_model: config and tokenizer come from the first model. mergekit takes those of any,\n"
            "and may take another's in the next run."
        )
    curves = [rule.value for part in parts for rule in _rules(part)]
    if not all(curve.constant for curve in curves):
        yield (
            "gradient: from the first layer to the last, straight lines between; `elsewhere` is for tensors\n"
            "outside the layers. mergekit gives them all the first value, final norm and head too."
        )
    yield from _open_filters(parts)
    yield from _idle_base(document)
    if ("seed", "0") in method.fixed:
        yield "seed: the masks are as likely as mergekit's, and not the same: they depend on the seed alone."
    if method.name == "sce":
        yield (
            "sce: models are weighed by the energy of what they change. mergekit weighs them all alike\n"
            "where mean squares add up to less than 1e-6, as they do in most fine-tunes."
        )
    if method.name == "nuslerp" and parts[0].shared["nuslerp_flatten"][0].value.values == ("false",):
        yield "per: mergekit's nuslerp_row_wise means columns where it is true, and rows where it is false."


def _models(document: Document) -> list[Weights]:
    return [source.model.model for one in document.body.slices for source in one.sources]


def _rules(part: Part) -> Iterator[Rule]:
    for rules in part.shared.values():
        yield from rules
    for all_rules in part.each.values():
        for rules in all_rules:
            yield from rules


def _open_filters(parts: tuple[Part, ...]) -> Iterator[str]:
    seen: set[str] = set()
    for part in parts:
        for rule in _rules(part):
            try:
                layer = numbered(rule.part)
            except ValueError:
                continue
            if layer and layer.after is None and rule.part not in seen:
                seen.add(rule.part)
                yield (
                    f"filter {quoted(rule.part)}: a part of a name, so layers {layer.number}, "
                    f"{layer.number}0, {layer.number}1, … all have it."
                )


def _idle_base(document: Document) -> Iterator[str]:
    """Yield a comment for a base that is listed with parameters of its own: it is no operand."""
    for one in document.body.slices:
        base = base_of(one, document)
        for source in one.sources:
            if base and source.model == base and source.settings:
                given = " and ".join(source.settings)
                yield f"{given} of {quoted(str(base))}: without effect, the base does not differ from itself."
                return
