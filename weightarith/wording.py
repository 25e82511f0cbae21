"""Numbers and sums in words: `base + 1.5·v`, and what to say of a sum that has no meaning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction


def shown(number: Fraction) -> str:
    """Return `number` as people write it: 1.5, or 1/3 where no short decimal is equal to it."""
    try:
        decimal = f"{float(number):.12g}"
    except OverflowError:
        return str(number)
    return decimal if Fraction(decimal) == number else str(number)


def shown_sum(parts: Iterable[tuple[Fraction, str]]) -> str:
    """Return `a + 1.5·b − c` for coefficients and labels, `0` for none."""
    text = ""
    for number, label in parts:
        sign = "−" if number < 0 else "+"
        size = "" if abs(number) == 1 else f"{shown(abs(number))}·"
        text += f" {sign} {size}{label}" if text else f"{'−' if number < 0 else ''}{size}{label}"
    return text or "0"


def diagnosis(total: str, models: Sequence[tuple[Fraction, str]]) -> str:
    """Return what is wrong with a sum, said of the models in it and what they are multiplied by."""
    if len(models) == 1:
        number, label = models[0]
        return f"{label} is only subtracted" if number == -1 else f"{shown(number)}·{label} is a scaled model"
    if all(number == 1 for number, _ in models):
        return f"this adds {'two' if len(models) == 2 else len(models)} models"
    return f"{total} mixes models without meaning"


def remedy(summands: Sequence[tuple[Fraction, str]]) -> str:
    """Return what to write instead of a sum of these models."""
    models = {label: number for number, label in summands}
    origin = "base" if "base" in models else next(iter(models))
    others = [label for label in models if label != origin]
    if not others and models[origin] < 0:
        return f"a model minus it: model - {origin}"
    if not others:
        return f"scale a difference instead: {origin} + k*(model - {origin})"
    if any(number != 1 for number in models.values()):
        signed = (("-" if models[label] < 0 else "+", abs(models[label]), label) for label in others)
        return origin + "".join(f" {sign} {shown(size)}*({label} - {origin})" for sign, size, label in signed)
    mean = f"0.5*({' + '.join(models)})" if len(models) == 2 else f"({' + '.join(models)})/{len(models)}"
    if origin == "base":
        return f"{mean}, or base{''.join(f' + k*({label} - base)' for label in others)}"
    return f"{mean}, or {origin}{''.join(f' + ({label} - base)' for label in others)}"
