"""The parents of what is published: inputs of its receipt and the model it belongs to, and what they say.

A vector or an adapter made on this machine says nothing of a licence; the model that it was measured from
does, and stands in for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from weightarith.card.licence import licence_of
from weightarith.card.parent import Parent
from weightarith.errors import WeightArithError
from weightarith.hub.about import CARD, About, about, front_matter
from weightarith.hub.address import DEFAULT_REVISION, Address, parse
from weightarith.proof.recorded import Input, inputs_of
from weightarith.provenance import plain_label, plain_name, recorded_base
from weightarith.publish.subject import Subject
from weightarith.store import open_source

_MADE_OF = "that of its model"
_LARGEST = 1 << 20
_DISPLACEMENTS = ("vector", "adapter")


def parents_of(subject: Subject) -> list[Parent]:
    """Return the parents, base first; the Hub is asked about those that are on it.

    Raises:
        HubError: the Hub did not answer.
        InvalidFileError: the receipt's inputs are not what a receipt has.
    """
    receipt = subject.receipt
    inputs = inputs_of(receipt, "its receipt") if receipt.get("inputs") is not None else []
    kinds = [str(each.get("kind", "")) for each in receipt.get("inputs") or []]
    found = [_of_input(each, kind, subject) for each, kind in zip(inputs, kinds, strict=True)]
    bases = [_of_base(subject.base)] + [_of_base(_recorded(each)) for each in inputs]
    for base in bases:
        if base is not None and not any(_is_same(base, one) for one in found):
            found.append(base)
    places = {each.label: Path(each.path) for each in inputs if each.path}
    known = [informed(one, places.get(one.label)) for one in found]
    return sorted(_excused(known), key=lambda one: _rank(one, subject))


def _of_input(each: Input, kind: str, subject: Subject) -> Parent:
    if each.origin is not None:
        return on_the_hub(each.label, kind, each.origin)
    made = subject.training and each.path == each.label  # a side of the contrast that made it
    note = "a side of the contrast" if made else ""
    return Parent(each.label, kind, name=plain_label(each.path), note=note, asked=not made)


def on_the_hub(label: str, kind: str, address: Address) -> Parent:
    """Return a parent that is on the Hub, at its branch or tag where no commit is known."""
    revision = address.revision if address.revision != DEFAULT_REVISION else ""
    return Parent(label, kind, address.repo, revision, address.path)


def _of_base(told: Mapping[str, str]) -> Parent | None:
    """Return the model that a vector or an adapter says it belongs to, None where it says none."""
    name = told.get("name", "")
    revision = told.get("revision") or DEFAULT_REVISION
    address = parse(told.get("repo") or name)
    if address is not None:
        return on_the_hub("", "checkpoint", Address(address.repo, revision))
    return Parent("", "checkpoint", name=plain_name(name)) if name else None


def _recorded(each: Input) -> dict[str, str]:
    """Return what an input on this machine says of its model, nothing where it is gone."""
    if each.origin is not None or not each.path or not Path(each.path).exists():
        return {}
    try:
        source = open_source(Path(each.path))
    except WeightArithError:
        return {}
    return recorded_base(source) if source.kind in _DISPLACEMENTS else {}


def _is_same(base: Parent, one: Parent) -> bool:
    if one.kind != "checkpoint":
        return False
    if base.repo:
        return base.repo == one.repo
    return base.name in (one.label, one.name, one.repo, one.repo.rpartition("/")[2])


def informed(one: Parent, place: Path | None = None) -> Parent:
    """Return a parent with what its card says, asked of the Hub or read beside it."""
    if one.repo:
        told = about(Address(one.repo, one.revision or DEFAULT_REVISION))
        licence = licence_of(told.card, one.repo)
        return replace(one, licence=licence, private=told.private, gated=told.gated, seen=told.seen)
    return replace(one, licence=licence_of(_card_beside(place).card)) if place is not None else one


def _card_beside(place: Path) -> About:
    card = place / CARD
    try:
        return About(front_matter(card.read_text(encoding="utf-8", errors="replace")[:_LARGEST]))
    except OSError:
        return About()


def _excused(found: list[Parent]) -> Iterator[Parent]:
    """Yield the parents, those not asked for a licence that were made here of a model that is listed."""
    models = any(one.kind == "checkpoint" for one in found)
    for one in found:
        made_here = not one.repo and one.kind in (*_DISPLACEMENTS, "direction")
        if made_here and one.licence is None and models and one.asked:
            yield replace(one, asked=False, note=_MADE_OF)
        else:
            yield one


def _rank(one: Parent, subject: Subject) -> tuple[bool, ...]:
    """Return what parents are sorted by: the base, the model that deltas are measured from, other models."""
    anchor = str(subject.receipt.get("anchor") or "")
    base = _of_base(subject.base)
    is_base = one.label == "base" or (base is not None and one.kind == "checkpoint" and _is_same(base, one))
    is_named_base = one.kind == "checkpoint" and is_base
    return (not is_named_base, one.label != anchor or not anchor, one.kind != "checkpoint")


def restricted(parents: Iterable[Parent]) -> list[Parent]:
    """Return the parents that not everybody may have."""
    return [one for one in parents if one.restricted]


def names_of(parents: Iterable[Parent], receipt: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return by the label of each input what else it is called: in the recipe, and where it lies."""
    called = {str(each.get("label")): str(each.get("name", "")) for each in receipt.get("inputs") or []}
    return {
        one.label: tuple(
            name
            for name in (called.get(one.label, ""), one.repo.rpartition("/")[2], one.path, one.name)
            if name
        )
        for one in parents
        if one.label
    }
