"""What is not in both models alike: tensors missing or added, other shapes and dtypes, heads, NaN."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from weightarith.audit.finding import Finding, percent
from weightarith.audit.look import Look
from weightarith.audit.reading import Reading
from weightarith.errors import some


def structure(reading: Reading, skip: frozenset[str]) -> Iterator[Finding]:
    """Yield what differs between the names, shapes and dtypes of two models.

    Args:
        reading: all tensors.
        skip: names of tensors that are explained, such as layers that are copies.
    """
    laid = reading.laid
    for kind, lone, verb in (("missing", laid.missing, "lacks"), ("added", laid.added, "has, and")):
        names = sorted(name for name in lone if name not in skip)
        if names:
            other = "" if kind == "missing" else f" {laid.base.label} lacks"
            yield Finding(
                kind, names[0] if len(names) == 1 else f"{len(names)} tensors",
                f"{laid.other.label} {verb}{other}: {some(names, 5)}", "the two are not laid out alike",
                tuple(names), numbers={"count": len(names)},
            )  # fmt: skip
    for name, (before, after) in sorted(laid.reshaped.items()):
        rows = reading.looks.get(name)
        common = (
            f"; of the {rows.pair.shape[0]:,} rows in common {rows.moved.count if rows.moved else 0:,} moved"
            if rows is not None
            else ""
        )
        yield Finding(
            "shape", name, f"{list(before)} before, {list(after)} after{common}", "its shape is another",
            (name,),
        )  # fmt: skip
    yield from _dtypes(reading)
    yield from _heads(reading)
    for name in reading.differing:
        yield Finding("buffer", name, "its bytes differ", "it holds no weights that training moves", (name,))


def nonfinite(reading: Reading) -> Iterator[Finding]:
    """Yield a finding for each tensor that holds NaN or infinity where it held a number, or was not."""
    for one in (*reading.looks.values(), *reading.lone.values()):
        before, after, new = one.nonfinite
        if new and one.pair.after is not None:
            what = "elements are" if after > 1 else "element is"
            yield Finding(
                "nonfinite", one.name, f"{after:,} {what} NaN or infinite",
                f"{before:,} were before" if one.pair.before is not None else "the tensor is new",
                (one.name,), numbers={"before": before, "after": after},
            )  # fmt: skip


def _dtypes(reading: Reading) -> Iterator[Finding]:
    retyped = reading.laid.retyped
    for (before, after), count in sorted(Counter(retyped.values()).items()):
        names = [name for name, codes in retyped.items() if codes == (before, after)]
        looks = [reading.looks[name] for name in names if name in reading.looks]
        moved = sum(bool(one.changed) for one in looks)
        lost = (
            f"; {moved} of them changed, by {percent(_median(looks))} (median)"
            if moved
            else ", all values kept"
        )
        yield Finding(
            "dtype", names[0] if count == 1 else f"{count} tensors", f"{before} before, {after} after{lost}",
            f"{some(names, 3)}: stored in another dtype", tuple(names),
            numbers={"before": before, "after": after, "count": count},
        )  # fmt: skip


def _median(looks: list[Look]) -> float:
    return float(np.median([one.relative for one in looks if one.changed]))


def _heads(reading: Reading) -> Iterator[Finding]:
    laid = reading.laid
    for head, embedding in laid.aliases.items():
        one = reading.looks.get(head)
        if one is not None and one.changed:
            stored = laid.other if head in laid.other.source.tensors else laid.base
            yield Finding(
                "head", head,
                f"{stored.label} stores a head that is no copy of {embedding}: it differs by "
                f"{percent(one.relative)}",
                "the other model ties its head to the embedding", (head,),
                numbers={"relative": one.relative},
            )  # fmt: skip
    if laid.models and laid.base.source.tied != laid.other.source.tied:
        before, after = (leaf.source.tied for leaf in (laid.base, laid.other))
        yield Finding(
            "head", "config.json", f"head and embedding are {_tied(before)} before, {_tied(after)} after",
            "tie_word_embeddings differs",
        )  # fmt: skip


def _tied(tied: bool) -> str:
    return "tied" if tied else "apart"
