"""project, reject, trim, dare, abliterate: operators of one line, and operators, the list of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import click

from weightarith.cli.options import Coefficient, Writing, writing

if TYPE_CHECKING:
    from weightarith.algebra import Vector
    from weightarith.operators.operator import Operator, Option

_over = click.option(
    "--over", type=click.Choice(["tensor", "model"]), default="tensor", show_default=True,
    help="What the measure is taken over: each tensor by itself, or the whole model.",
)  # fmt: skip
_density = click.option(
    "--density", type=Coefficient(), required=True, metavar="D", help="Share of the elements that stays."
)


def _opened(texts: Sequence[str]) -> list[Vector]:
    from weightarith.cli.opening import labels_for, opened_vector

    return [opened_vector(text, label) for text, label in zip(texts, labels_for(list(texts)), strict=True)]


@click.command()
@click.argument("vector", metavar="V")
@click.option(
    "--onto", metavar="U", multiple=True, required=True,
    help="A vector to project onto; several span a space, whatever their order.",
)  # fmt: skip
@_over
@writing()
def project(vector: str, onto: tuple[str, ...], over: str, writing: Writing) -> None:
    """Write the part of V that lies along other vectors.

    It is the nearest sum of multiples of them, found for each tensor, or once for the whole model. What is
    left of V without it, reject writes.
    """
    from weightarith.cli.talk import write
    from weightarith.operators.projection import PROJECT

    first, *others = _opened([vector, *onto])
    write(PROJECT(first, onto=others, over=over), writing)


@click.command()
@click.argument("vector", metavar="V")
@click.argument("others", metavar="U...", nargs=-1, required=True)
@_over
@writing()
def reject(vector: str, others: tuple[str, ...], over: str, writing: Writing) -> None:
    """Write V without its part along other vectors.

    What is left is at right angles to each U: tensor by tensor, or over the whole model.
    """
    from weightarith.cli.talk import write
    from weightarith.operators.projection import REJECT

    first, *onto = _opened([vector, *others])
    write(REJECT(first, onto=onto, over=over), writing)


@click.command()
@click.argument("vector", metavar="V")
@_density
@_over
@writing()
def trim(vector: str, density: Fraction, over: str, writing: Writing) -> None:
    """Write V with its largest elements only, the others zero."""
    from weightarith.cli.talk import write
    from weightarith.operators.trim import TRIM

    write(TRIM(*_opened([vector]), density=density, over=over), writing)


@click.command()
@click.argument("vector", metavar="V")
@_density
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, metavar="S",
    help="Of the random choice; the same seed always keeps the same elements.",
)  # fmt: skip
@writing()
def dare(vector: str, density: Fraction, seed: int, writing: Writing) -> None:
    """Write V with elements dropped at random.

    What stays is divided by the density, so that the vector is the same in expectation.
    """
    from weightarith.cli.talk import write
    from weightarith.operators.dare import DARE

    write(DARE(*_opened([vector]), density=density, seed=seed), writing)


@click.command()
@click.argument("model")
@click.option(
    "--direction", required=True, metavar="FILE",
    help="A safetensors file of one tensor, with a number for each element of the residual stream.",
)  # fmt: skip
@click.option(
    "--strength", type=Coefficient(), default="1", show_default=True, metavar="K",
    help="How much of the direction is taken out; 1 is all of it.",
)  # fmt: skip
@click.option(
    "--norms", type=click.Choice(["row", "column"]),
    help="Lengths that are given back; column leaves nothing along the direction, row a little.",
)  # fmt: skip
@writing(encoding=False)
def abliterate(model: str, direction: str, strength: Fraction, norms: str | None, writing: Writing) -> None:
    """Write MODEL without a direction in its residual stream.

    It is taken out of every matrix that writes to the stream: embeddings, outputs of attention,
    down-projections of MLPs and experts, and their biases.
    """
    from weightarith.adapter.portable_base import CONV1D
    from weightarith.cli.opening import labels_for, opened_model
    from weightarith.cli.talk import write
    from weightarith.hub import locate
    from weightarith.operators.abliterate import ABLITERATE
    from weightarith.operators.direction import open_direction

    label, name = labels_for([model, direction])
    leaf = opened_model(model, label)
    turned = (leaf.source.config or {}).get("model_type") in CONV1D
    made = ABLITERATE(
        leaf, direction=open_direction(locate(direction), name), strength=strength, norms=norms or "",
        layout="conv1d" if turned else "linear",
    )  # fmt: skip
    write(made, writing)


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print names, options and sources as JSON.")
def operators(name: str | None, as_json: bool) -> None:
    """List the operators of recipes, or describe one.

    Each is a function in expressions, as in ties([v, w], density=0.2), and in Python, as weightarith.ties.
    """
    from difflib import get_close_matches

    from weightarith.cli.terminal import print_json
    from weightarith.errors import RecipeError, quoted
    from weightarith.operators.table import COMBINING, DIRECTING, OPERATORS, SHRINKING

    if name is not None and name not in OPERATORS:
        near = get_close_matches(name, OPERATORS, 1)
        raise RecipeError(
            f"no operator is called {quoted(name)}",
            hint=f"did you mean {near[0]}?" if near else "weightarith operators lists all of them",
        )
    if as_json:
        wanted = OPERATORS.values() if name is None else [OPERATORS[name]]
        print_json({each.name: _described(each) for each in wanted})
    elif name is not None:
        click.echo("\n".join(_page(OPERATORS[name])))
    else:
        groups = {"Combine": COMBINING, "Direct": DIRECTING, "Shrink": SHRINKING}
        click.echo("\n".join(_listed(groups)))


def _listed(groups: Mapping[str, Sequence[Operator]]) -> list[str]:
    width = max(len(each.name) for group in groups.values() for each in group)
    lines = []
    for title, group in groups.items():
        lines.append(f"{title}:")
        lines += [f"  {each.name:<{width}}  {each.summary}" for each in group]
    return lines


def _page(operator: Operator) -> list[str]:
    about = _described(operator)
    lines = [about["call"], f"  {about['summary']}", f"  takes {about['takes']}"]
    rows = [(option.name, _told(option)) for option in operator.options]
    width = max((len(name) for name, _ in rows), default=0)
    lines += [f"  {name:<{width}}  {told}" for name, told in rows]
    return [*lines, f"  source: {about['source']}"]


def _told(option: Option) -> str:
    """Return what an option takes, what it is where it is not given, and what it does."""
    kind = {"whole": "whole number", "flag": "true or false"}.get(option.kind, option.kind)
    parts = [" or ".join(filter(None, option.choices)) if option.choices else kind + _range(option)]
    parts += ["one for all or a list"] * option.each
    if option.default is None:
        parts.append("required")
    elif option.default != "":
        parts.append(f"by default {_written(option.default)}")
    return f"{', '.join(parts)}: {option.help}"


def _range(option: Option) -> str:
    low, high = (_written(end) for end in (option.low, option.high))
    if option.low == float("-inf"):
        return "" if option.high == float("inf") else f" up to {high}"
    return f" from {low}" if option.high == float("inf") else f" {low} to {high}"


def _written(value: float | str | bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, int | float) else value


def _described(operator: Operator) -> dict[str, Any]:
    return {
        "call": _call(operator),
        "summary": operator.summary,
        "takes": _takes(operator),
        "beside": operator.beside or None,
        "options": {option.name: _as_json(option) for option in operator.options},
        "source": operator.source,
    }


def _as_json(option: Option) -> dict[str, Any]:
    return {
        "kind": option.kind,
        "required": option.default is None,
        "default": option.default,
        "low": option.low if option.low != float("-inf") else None,
        "high": option.high if option.high != float("inf") else None,
        "each": option.each,
        "choices": [word for word in option.choices if word],
        "help": option.help,
    }


def _call(operator: Operator) -> str:
    parts = list("abcdefgh"[: operator.most]) or ["[a, b, …]"]
    parts += [f"{operator.beside}=[u, …]"] * bool(operator.beside)
    parts += [f"{option.name}=…" for option in operator.options]
    return f"{operator.name}({', '.join(parts)})"


def _takes(operator: Operator) -> str:
    one, many = {
        "vector": ("vector", "vectors"),
        "checkpoint": ("model", "models"),
        "either": ("vector or model", "vectors or models"),
    }[operator.takes]
    found = f"{operator.fewest} {one if operator.fewest == operator.most == 1 else many}"
    if operator.most > operator.fewest:
        found = f"{operator.fewest} to {operator.most} {many}"
    elif not operator.most:
        found = f"{operator.fewest} or more {many}"
    return f"{found}, and vectors as {operator.beside}=" if operator.beside else found
