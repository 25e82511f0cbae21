"""Expressions as they are laid out: on one line where they fit, else one operand a line, indented."""

from __future__ import annotations

from dataclasses import dataclass

WIDTH = 96
STEP = "  "


@dataclass(frozen=True)
class Word:
    """A name, a number or a text in quotes."""

    text: str


@dataclass(frozen=True)
class Call:
    """A function of operands, then of options."""

    function: str
    operands: tuple[Expression, ...]
    options: tuple[tuple[str, Expression], ...] = ()


@dataclass(frozen=True)
class Items:
    """A list."""

    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Product:
    """A number times something."""

    factor: Expression
    of: Expression


@dataclass(frozen=True)
class Chain:
    """Terms, each with its sign, `+` or `-`."""

    terms: tuple[tuple[str, Expression], ...]


Expression = Word | Call | Items | Product | Chain


def added(first: Expression, *others: Expression) -> Expression:
    """Return a sum; a term with a negative factor is subtracted."""
    return Chain((("+", first), *(_signed(other) for other in others))) if others else first


def difference(one: Expression, other: Expression) -> Expression:
    """Return `one - other`."""
    return Chain((("+", one), ("-", other)))


def scaled(factor: Expression, of: Expression) -> Expression:
    """Return `of` times a number, or `of` itself where the number is 1."""
    return of if isinstance(factor, Word) and _is_one(factor.text) else Product(factor, of)


def written(expression: Expression, width: int = WIDTH) -> list[str]:
    """Return the lines of an expression, none wider than `width` where that can be."""
    flat = "".join(_lines(expression, 0))
    return [flat] if len(flat) <= width else _lines(expression, width)


def _lines(expression: Expression, width: int) -> list[str]:
    """Return the lines of an expression, broken where a part of it is wider than `width`; 0 is no limit."""
    match expression:
        case Word(text):
            return [text]
        case Call(function, operands, options):
            named = [_joined([f"{name}="], _fitted(value, width)) for name, value in options]
            return _enclosed(
                f"{function}(", [*(_fitted(each, width) for each in operands), *named], ")", width
            )
        case Items(items):
            return _enclosed("[", [_fitted(each, width) for each in items], "]", width)
        case Product(factor, of):
            return _joined(_joined(_fitted(factor, width), ["*"]), _operand(of, width))
        case Chain(terms):
            first = _operand(terms[0][1], width)
            rest = [_joined([f"{sign} "], _operand(term, width)) for sign, term in terms[1:]]
            if not width:
                return [" ".join("".join(each) for each in (first, *rest))]
            return [line for each in (first, *rest) for line in each]


def _fitted(expression: Expression, width: int) -> list[str]:
    flat = _lines(expression, 0)
    if not width or len(flat[0]) + len(STEP) <= width:
        return flat
    return _lines(expression, max(width - len(STEP), 1))


def _operand(expression: Expression, width: int) -> list[str]:
    """Return the lines of a part of a chain or product, in parentheses where it is a chain itself."""
    lines = _fitted(expression, width)
    return _enclosed("(", [lines], ")", width) if isinstance(expression, Chain) else lines


def _enclosed(opening: str, parts: list[list[str]], closing: str, width: int) -> list[str]:
    flat = opening + ", ".join("".join(part) for part in parts) + closing
    if not width or (len(flat) <= width and all(len(part) == 1 for part in parts)):
        return [flat]
    lines = [opening]
    for number, part in enumerate(parts):
        comma = "," if number < len(parts) - 1 else ""
        lines += [STEP + line for line in part[:-1]] + [STEP + part[-1] + comma]
    return [*lines, closing]


def _joined(left: list[str], right: list[str]) -> list[str]:
    return [*left[:-1], left[-1] + right[0], *right[1:]]


def _signed(term: Expression) -> tuple[str, Expression]:
    if isinstance(term, Product) and isinstance(term.factor, Word) and term.factor.text.startswith("-"):
        return "-", scaled(Word(term.factor.text[1:]), term.of)
    return "+", term


def _is_one(text: str) -> bool:
    return text.rstrip("0").rstrip(".") == "1" if "." in text else text == "1"
