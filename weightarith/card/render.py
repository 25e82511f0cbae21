"""The card as text: front matter and sections, in the order of what a reader asks first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from weightarith.card.caution import cautions
from weightarith.card.facts import Facts
from weightarith.card.front import metadata, to_yaml
from weightarith.card.markdown import block, code, plain, table
from weightarith.card.numbers import number
from weightarith.card.parent import Parent
from weightarith.card.terms import coefficient_of
from weightarith.card.usage import checking, usage

CUT = "\n\n"
REVISION_SHOWN = 40  # characters
_WHAT = {
    "vector": "A displacement in weight space: added to its model, it changes what the model does.",
    "adapter": "A LoRA adapter.",
    "checkpoint": "A model, computed from the weights of others.",
    "recipe": "A recipe: how to compute a model or a vector from the weights of others.",
}
_SITE = "https://huggingface.co"


def render(facts: Facts) -> str:
    """Return the card, README.md."""
    sections = [
        f"# {plain(facts.repo.partition('/')[2] or facts.repo)}",
        *_introduction(facts),
        *_cautions(facts),
        usage(facts),
        _inputs(facts),
        *_recipe(facts),
        *_training(facts),
        *_numbers(facts),
        *_results(facts),
        checking(facts),
        *_notes(facts),
        f"Rendered from the receipt by weightarith {plain(str(facts.receipt.get('weightarith', '')))}.",
    ]
    return to_yaml(metadata(facts)) + "\n" + CUT.join(sections) + "\n"


def _introduction(facts: Facts) -> Iterator[str]:
    yield _WHAT[facts.kind]
    if facts.expression and facts.kind != "recipe":
        yield block(facts.expression, "text")
    if facts.kind == "vector" and facts.expression:
        yield "What is subtracted in it is what adding the vector moves a model away from."


def _cautions(facts: Facts) -> Iterator[str]:
    kind = "checkpoint" if facts.kind == "recipe" else facts.kind
    found = cautions(kind, facts.terms, facts.names)
    if found:
        yield (
            "> [!WARNING]\n> **This may make a model less safe or less honest.** "
            + "\n> ".join(found)
            + ("\n> That is told by the names of the inputs alone. Measure before you use it.")
        )


def _inputs(facts: Facts) -> str:
    found = facts.terms if facts.kind != "recipe" else []
    head = ("input", "kind", "from", "coefficient", "licence")
    rows = [
        (
            code(one.label) or "model it belongs to",
            one.kind or "–",
            _origin(one),
            plain(coefficient_of(one.label, found)) if one.label and found else "–",
            plain(str(one.licence)) if one.licence else one.note or "says nothing",
        )
        for one in facts.parents
    ]
    decision = f"Licence: {plain(str(facts.decision.licence))}, {plain(facts.decision.why)}."
    return CUT.join(["## Inputs", *([table(head, rows)] if rows else []), decision])


def _origin(one: Parent) -> str:
    if not one.repo:
        return "not published" + (f" ({plain(one.name)})" if one.name and one.name != one.label else "")
    at = f" at {code(one.revision[:REVISION_SHOWN])}" if one.revision else ""
    inside = f", {code(one.path)}" if one.path else ""
    restricted = f" ({one.restricted})" if one.restricted else ""
    return f"[{plain(one.repo)}]({_SITE}/{one.repo}){at}{inside}{restricted}"


def _recipe(facts: Facts) -> Iterator[str]:
    text = str(facts.receipt.get("recipe") or "")
    if not text:
        return
    yield "## Recipe"
    yield block(text, "yaml")
    params = facts.receipt.get("params")
    if isinstance(params, Mapping) and params:
        given = ", ".join(code(f"{name} = {value}") for name, value in params.items())
        yield f"Run with {given}."
    goal = facts.receipt.get("goal")
    if isinstance(goal, Mapping):
        wanted = ", ".join(
            f"{plain(key)} {plain(str(value))}" for key, value in goal.items() if key != "base"
        )
        yield f"The result was then compressed: {wanted}."


def _training(facts: Facts) -> Iterator[str]:
    if facts.training:
        yield "## Training"
        yield table(("", ""), [(plain(key), plain(str(value))) for key, value in facts.training.items()])
        yield "The training data are not published here; the hashes name them."


def _numbers(facts: Facts) -> Iterator[str]:
    rows = list(_figures(facts.receipt))
    if rows:
        yield "## Numbers"
        yield table(("", ""), rows)
    said = facts.receipt.get("warnings")
    if isinstance(said, list) and said:
        yield "Warnings when it was made:"
        yield "\n".join(f"- {plain(str(one))}" for one in said)


def _figures(receipt: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    numerics, change, counts = (_mapping(receipt.get(key)) for key in ("numerics", "change", "counts"))
    if numerics:
        yield "accumulated in", plain(str(numerics.get("accumulate", "")))
        yield "rounded", plain(str(numerics.get("rounding", "")))
    dtypes = sorted({str(one["dtype"]) for one in _tensors(receipt) if "dtype" in one})
    if dtypes:
        yield "stored as", plain(", ".join(dtypes))
    if change.get("gain") is not None:
        yield "norm of the change asked for", number(change.get("intended"), 6)
        yield "norm of the change left after rounding", number(change.get("realised"), 6)
        yield "realised change (1 is all of it)", number(change.get("gain"), 6)
        yield "cosine of the two", number(change.get("cosine"), 6)
        yield "elements changed", f"{change.get('elements_changed', 0):,}"
    if counts:
        yield "tensors", ", ".join(f"{number:,} {plain(fate)}" for fate, number in counts.items())
    yield from _kept(receipt)


def _kept(receipt: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what compression kept of the change."""
    energy, alone = receipt.get("energy"), receipt.get("adapter_energy")
    if "rank" in receipt:
        yield "rank", plain(str(receipt["rank"]))
    if alone is not None:
        yield "kept of the squared norm, in this adapter", number(alone, 6)
    elif energy is not None:
        yield "kept of the squared norm", number(energy, 6)
    if isinstance(receipt.get("residual"), Mapping):
        yield (
            "kept besides, in a file that is not published here",
            number(receipt["residual"].get("share"), 6),
        )


def _tensors(receipt: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for one in _mapping(receipt.get("tensors")).values() if isinstance(one, Mapping)]


def _results(facts: Facts) -> Iterator[str]:
    if not facts.measured:
        return
    yield "## Results"
    for one in facts.measured:
        yield one.title
        yield table(one.head, one.rows, numbers=len(one.head) - one.names)
        yield " ".join(one.notes)
    for name in facts.pictures:
        yield f"![{plain(name.rpartition('.')[0])}](./{name})"


def _notes(facts: Facts) -> Iterator[str]:
    if facts.notes:
        yield "## Left out"
        yield "\n".join(f"- {plain(note)}" for note in facts.notes)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
