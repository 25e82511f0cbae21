"""What `compare` found, for people: numbers in columns, a matrix where there are pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import click

from weightarith.cli.terminal import counted, escaped

PAIRS = 6
"""Pairs whose cosines are listed group by group; of more there is JSON."""

Cells = list[list[str]]


def print_findings(found: Mapping[str, Any]) -> None:
    """Print what was found of vectors, or of two models."""
    labels = found["labels"]
    things = f"{counted(2, 'model')} and their difference" if found["compared"] == "models" else ""
    click.echo(f"{things or counted(len(labels), 'vector')}, {counted(found['tensors'], 'tensor')}")
    _print_norms(found)
    if len(labels) > 1:
        _print_matrix("cosine", labels, found["cosine"], "{:+.4f}")
        _print_matrix("dot", labels, found["dot"], "{:.6g}")
    if "groups" in found:
        _print_groups(found)
    for label, sides in found.get("runs", {}).items():
        _print_sides(label, sides)
    for label in found.get("sides_discarded", ()):
        click.echo(f"{escaped(label)}: its two sides were discarded, only their difference is there")
    if "signs" in found:
        _print_matrix("share of elements moved the same way", labels, found["signs"]["agreement"], "{:.4f}")
    for key, show in (
        ("spectrum", _print_spectrum),
        ("overlap", _print_overlap),
        ("realised", _print_realised),
    ):
        if key in found:
            show(found[key])


def _print_norms(found: Mapping[str, Any]) -> None:
    held = found["embeddings_and_head"]
    rows = [[f"{place} {escaped(label)}", _number(norm), _percent(held[label])]
            for place, (label, norm) in enumerate(found["norms"].items(), 1)]  # fmt: skip
    _print_columns([["", "norm", "in embeddings and head"], *rows])


def _print_matrix(title: str, labels: Sequence[str], table: Sequence[Sequence[Any]], form: str) -> None:
    """Print a square of numbers; columns go by the numbers of the rows."""
    click.echo(title)
    names = [f"{place} {escaped(label)}" for place, label in enumerate(labels, 1)]
    heads = ["", *(str(place) for place in range(1, len(labels) + 1))]
    rows = [[name, *(_shown(cell, form) for cell in row)] for name, row in zip(names, table, strict=True)]
    _print_columns([heads, *rows])


def _print_groups(found: Mapping[str, Any]) -> None:
    labels = found["labels"]
    pairs = list(combinations(range(len(labels)), 2))
    listed = pairs if len(pairs) <= PAIRS else []
    heads = [found["by"], *(f"norm {place}" for place in range(1, len(labels) + 1))]
    heads += [f"cos {one + 1},{other + 1}" for one, other in listed]
    rows = [
        [escaped(group), *map(_number, each["norms"].values()),
         *(_shown(each["cosine"][one][other], "{:+.4f}") for one, other in listed)]
        for group, each in found["groups"].items()
    ]  # fmt: skip
    click.echo(f"by {found['by']}")
    _print_columns([heads, *rows])
    if not listed and pairs:
        click.echo(f"  (the cosines of {len(pairs)} pairs: --json)")


def _print_sides(label: str, sides: Mapping[str, Any]) -> None:
    click.echo(f"{escaped(label)}: its two sides")
    facts = {
        "cosine of the two": _shown(sides["cosine"], "{:+.4f}"),
        "norm, positive": _number(sides["positive"]),
        "norm, negative": _number(sides["negative"]),
        "their ratio": _shown(sides["ratio"], "{:.4g}"),
        "what both share, ‖τ⁺ + τ⁻‖/2": _number(sides["drift"]),
        "what tells them apart, ‖τ⁺ − τ⁻‖/2": _number(sides["behaviour"]),
    }
    _print_columns([[key, value] for key, value in facts.items()])


def _print_spectrum(found: Mapping[str, Any]) -> None:
    click.echo("spectrum, medians over matrices")
    heads = ["", "matrices", "effective rank", "stable rank", "directions for 90 %"]
    rows = [
        [escaped(label), str(one["matrices"]), _shown(one["effective_rank"], "{:.2f}"),
         _shown(one["stable_rank"], "{:.2f}"), _shown(one["rank_for_90_percent"], "{}")]
        for label, one in found.items()
    ]  # fmt: skip
    _print_columns([heads, *rows])


def _print_overlap(found: Sequence[Mapping[str, Any]]) -> None:
    click.echo("overlap of the strongest directions, mean squared cosine of principal angles")
    heads = ["", "writing", "by chance", "reading", "by chance"]
    rows = [
        [" and ".join(map(escaped, one["of"])),
         *(_shown(number, "{:.4f}") for side in ("writing", "reading")
           for number in (one[side], one["by_chance"][side]))]
        for one in found
    ]  # fmt: skip
    _print_columns([heads, *rows])


def _print_realised(found: Mapping[str, Any]) -> None:
    click.echo(f"left of base + {found['strength']:g}·v in {found['dtype']}")
    heads = ["", "intended", "realised", "gain", "cosine", "elements changed"]
    rows = [
        [escaped(label), _number(one["intended"]), _number(one["realised"]), _shown(one["gain"], "{:.4f}"),
         _shown(one["cosine"], "{:.4f}"), f"{one['changed']:,}"]
        for label, one in _listed(found["vectors"])
    ]  # fmt: skip
    _print_columns([heads, *rows])


def _listed(vectors: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return each vector, and behind it its groups, where there are some."""
    rows: list[tuple[str, Mapping[str, Any]]] = []
    for label, one in vectors.items():
        rows.append((label, one))
        rows += [(f"{label}, {group}", each) for group, each in one.get("by", {}).items()]
    return rows


def _print_columns(rows: Cells) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for first, *others in rows:
        cells = [f"{first:<{widths[0]}}"]
        cells += [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        click.echo(f"  {'  '.join(cells)}".rstrip())


def _shown(number: Any, form: str) -> str:
    return "–" if number is None else form.format(number)


def _number(number: float | None) -> str:
    return "too large for a float64" if number is None else f"{number:.6g}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.3g} %"
