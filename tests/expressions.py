"""Names for expressions to be about, and what a sum comes to."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from weightarith.algebra import Checkpoint, Linear, Number, Vector
from weightarith.store import Kind, Source


def leaf(label: str, kind: Kind = "vector") -> Linear:
    source = Source(Path("/nowhere") / label, kind, (), {})
    return Checkpoint(source, label) if kind == "checkpoint" else Vector(source, label)


BASE, FT = leaf("base", "checkpoint"), leaf("ft", "checkpoint")
V, W, POSITIVE, NEGATIVE = (leaf(name) for name in ("v", "w", "refusal+", "refusal-"))
NAMES: dict[str, Linear | Number] = {
    "base": BASE, "ft": FT, "v": V, "w": W, "refusal+": POSITIVE, "refusal-": NEGATIVE,
    "a": leaf("a"), "a+": leaf("a+"), "b": leaf("b"), "t": Fraction("0.3"), "日本": leaf("日本"),
}  # fmt: skip


def coefficients(total: Linear) -> dict[str, Fraction]:
    return {term.leaf.label: term.coefficient for term in total.terms if term.coefficient}
