"""A look at interference as rows: one line a number in CSV, one line a combination for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from itertools import combinations as choose
from typing import Any

from weightarith.sweep.tables import aligned, number_of

COLUMNS = (
    "suite", "combination", "way", "of", "strength", "outcome", "unit", "value", "low", "high", "n",
    "effect", "effect_low", "effect_high", "effect_p",
    "beyond_sum_of_effects", "beyond_low", "beyond_high", "beyond_p",
    "against_sum", "against_low", "against_high", "against_p",
)  # fmt: skip
BESIDE = (("effects", "effect"), ("additivity", "beyond"), ("against_sum", "against"))

Document = Mapping[str, Any]


def as_csv(document: Document) -> str:
    """Return every number, one a line: value, effect, and how far that is from the sum of those alone."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for suite in document["suites"]:
        for name, found in suite["base"].items():
            first = {"suite": suite["suite"], "combination": "base", "way": "base", "strength": 0.0}
            writer.writerow(
                {**first, "outcome": name, "unit": suite["outcomes"][name]["unit"], **_plain(found)}
            )
        for point in suite["points"]:
            writer.writerows(_rows(suite, point))
    return text.getvalue()


def _rows(suite: Document, point: Document) -> Iterator[dict[str, Any]]:
    for name, found in point["estimates"].items():
        row = {
            "suite": suite["suite"], "combination": point["combination"], "way": point["way"],
            "of": "; ".join(point["of"]), "strength": point["strength"], "outcome": name,
            "unit": suite["outcomes"][name]["unit"], **_plain(found),
        }  # fmt: skip
        for part, prefix in BESIDE:
            beside = point.get(part, {}).get(name)
            if beside is not None:
                full = {"effect": "effect", "beyond": "beyond_sum_of_effects", "against": "against_sum"}
                ends = {f"{prefix}_{key}": beside[key] for key in ("low", "high", "p")}
                row |= _plain({full[prefix]: beside["difference"], **ends})
        yield row


def _plain(found: Document) -> dict[str, Any]:
    return {key: "" if value is None else value for key, value in found.items()}


def as_lines(document: Document) -> list[str]:
    """Return what people read: the geometry, then by suite and strength effects and what is beyond them."""
    lines = [f"{document['base']}: {', '.join(document['vectors'])} together", ""]
    lines += _geometry(document)
    for suite in document["suites"]:
        for strength in document["strengths"]:
            lines += ["", *_effects(suite, strength)]
    return lines


def _geometry(document: Document) -> Iterator[str]:
    found, labels = document["geometry"], document["vectors"]
    yield from aligned([("vector", "norm"), *((label, f"{found['norms'][label]:.4g}") for label in labels)])
    yield ""
    rows: list[tuple[str, ...]] = [
        ("foretold", "cosine", "by layer", "same sign", "writing", "by chance", "reading", "by chance")
    ]
    for place, (one, other) in enumerate(choose(range(len(labels)), 2)):
        each = found["overlap"][place]
        layers = [layer["cosine"][one][other] for layer in found["layers"].values()]
        known = [cosine for cosine in layers if cosine is not None]
        span = f"{signed(min(known))} to {signed(max(known))}" if known else NONE
        share = found["signs"]["agreement"][one][other]
        chance = each["by_chance"]
        rows.append((
            f"{labels[one]}, {labels[other]}", signed(found["cosine"][one][other]), span, percent(share),
            *(f"{number:.4f}" if number is not None else NONE for number in
              (each["writing"], chance["writing"], each["reading"], chance["reading"])),
        ))  # fmt: skip
    yield from aligned(rows)
    yield ""
    made = [(one["label"], f"{one['norm']:.4g}") for one in document["combinations"] if one["way"] != "alone"]
    yield from aligned([("combination", "norm"), *made])


def shown(suite: Document) -> list[str]:
    """Return the outcomes people look at first: those that play a part in the suite, or else all."""
    named = [name for name, one in suite["outcomes"].items() if one["parts"]]
    return named or list(suite["outcomes"])


def _effects(suite: Document, strength: float) -> Iterator[str]:
    names = shown(suite)
    yield f"{suite['suite']}, strength {number_of(strength)}: effects, and what is beyond their sum"
    rows: list[tuple[str, ...]] = [("", *names)]
    rows.append(("base", *(value_of(suite, name) for name in names)))
    for point in suite["points"]:
        if point["strength"] != strength:
            continue
        rows.append((point["combination"], *(effect_of(suite, point, "effects", name) for name in names)))
        if "additivity" in point:
            cells = (effect_of(suite, point, "additivity", name) for name in names)
            rows.append(("  beyond the sum", *cells))
    yield from aligned(rows)
    for one in suite["felt"]:
        if one["strength"] == strength:
            yield (
                f"cosine felt by {one['outcome']} of {' and '.join(one['of'])}: {signed(one['value'])} "
                f"[{signed(one['low'])}, {signed(one['high'])}]"
            )
    for one in suite["left_out"]:
        if one["strength"] == strength:
            yield f"left out: {one['outcome']} of {one['combination']}: {one['why']}"


NONE = "–"


def value_of(suite: Document, name: str) -> str:
    """Return a number of the model itself."""
    value = suite["base"][name]["value"]
    if value is None:
        return NONE
    return percent(value) if is_share(suite, name) else f"{value:.4g}".replace("-", "−")


def effect_of(suite: Document, point: Document, part: str, name: str) -> str:
    """Return an effect, or what is beyond a sum of effects, with its interval; shares in points."""
    found = point.get(part, {}).get(name)
    if found is None or found["difference"] is None:
        return NONE
    times = 100 if is_share(suite, name) else 1
    value, low, high = (found[key] * times for key in ("difference", "low", "high"))
    return f"{signed(value)} [{signed(low)}, {signed(high)}]"


def is_share(suite: Document, name: str) -> bool:
    """Return whether an outcome is a share, whose changes are told in points."""
    return bool(suite["outcomes"][name]["kind"] == "share")


def signed(value: float | None) -> str:
    """Return a number in three digits with its sign, a dash where there is none."""
    if value is None:
        return NONE
    return f"{value:+.3g}".replace("-", "−")


def percent(value: float | None) -> str:
    """Return a share in per cent."""
    return NONE if value is None else f"{100 * value:.3g} %"
