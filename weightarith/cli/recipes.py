"""merge and explain: recipes run, and recipes read aloud."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import click

from weightarith.cli.options import Writing, streaming, writing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightarith.engine.plan import Plan
    from weightarith.lock import Held
    from weightarith.operators.operator import Operator
    from weightarith.receipt import Asked
    from weightarith.recipe import Recipe
    from weightarith.recipe.inputs import Given


def _params(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name or not value:
            raise click.BadParameter(f"{text!r} is not of the form NAME=NUMBER, such as k=1.5")
        if name in found:
            raise click.BadParameter(f"{name!r} is given twice: as {found[name]} and as {value}")
        found[name] = value
    return found


_recipe = click.argument("recipe", type=click.Path(path_type=Path))
_parameters = click.option(
    "-p", "--param", "params", multiple=True, callback=_params, metavar="NAME=NUMBER",
    help="Set one of the recipe's params, in place of the value it has there; once for each.",
)  # fmt: skip


_operators = click.option(
    "--operators", "files", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
    help="A Python file with operators of your own, which the recipe may call. The file is run.",
)  # fmt: skip


@click.command()
@_recipe
@_parameters
@_operators
@click.option("--locked", is_flag=True, help="Refuse inputs that are not those of the recipe's lock.")
@click.option(
    "--lock", type=click.Path(path_type=Path), metavar="FILE",
    help="The lock, where it is not beside the recipe; it goes with --locked.",
)  # fmt: skip
@streaming
@writing(output_required=False)
def merge(
    recipe: Path, params: dict[str, str], files: tuple[Path, ...], locked: bool, lock: Path | None,
    stream: bool, writing: Writing,
) -> None:  # fmt: skip
    """Run a recipe.

    RECIPE is a YAML file of named inputs and one expression of them, such as base + 1.5·(pos − neg). Paths
    in a recipe are relative to its folder; -o is relative to where you are, and replaces the output of the
    recipe. A mergekit document is run as it is; see convert.

    Where the output of the recipe names a repository, hub: org/name, the result is pushed to it, as by push.
    Where it names no path beside it, every file is sent as soon as it is made, and nothing is kept here.
    """
    from weightarith.cli.talk import with_overrides, write_output
    from weightarith.cli.terminal import tell, warn

    if lock is not None and not locked:
        raise click.UsageError("--lock goes with --locked")
    operators = _opened(files)
    held = _held(recipe, lock, operators, stream=stream) if locked else None
    read = _loaded(recipe, params, operators, held.places if held is not None else {}, stream=stream)
    warn(*read.warnings)
    asked = _asked(read, params, files, held.sha256 if held is not None else {})
    if read.destination is not None and writing.output is None:
        from weightarith.cli.delivering import deliver

        deliver(read, read.destination, writing, asked)
        return
    if read.destination is not None:
        tell(f"Note: nothing is pushed to {read.destination.repo}: -o replaces the recipe's output")
    output = with_overrides(read.output, writing)
    write_output(read.total, output, writing, policy=read.policy, asked=asked)


@click.command()
@_recipe
@_parameters
@_operators
@streaming
@click.option("--json", "as_json", is_flag=True, help="Print what becomes of every tensor as JSON.")
def explain(
    recipe: Path, params: dict[str, str], files: tuple[Path, ...], stream: bool, as_json: bool
) -> None:
    """Print what a recipe does to every tensor.

    That is the coefficient of every input in it; only headers are read. Tensors that get the same are one
    line: {0-3,7} stands for layers, * for all that a layer or a part of it holds.
    """
    from weightarith.cli.terminal import warn
    from weightarith.engine.build import build_plan
    from weightarith.engine.settings import Output

    read = _loaded(recipe, params, _opened(files), {}, stream=stream)
    plan = build_plan(read.total, read.output or Output(Path("result")), policy=read.policy)
    warn(*read.warnings, *plan.warnings)
    if as_json:
        _print_json(plan, read.expression)
    else:
        _print(plan, read.expression)


@click.command()
@click.argument("document", metavar="MERGEKIT_YAML", type=click.Path(path_type=Path))
def convert(document: Path) -> None:
    """Print a mergekit document as a recipe.

    merge runs either; the recipe says what the document leaves unsaid. Only headers are read, and only where
    the number of layers matters.
    """
    from weightarith.mergekit import convert as converted

    click.echo(converted(document), nl=False)


def _opened(files: tuple[Path, ...]) -> list[Operator]:
    from weightarith.operators.outside import load_operators

    return [each for file in files for each in load_operators(file)]


def _held(recipe: Path, lock: Path | None, operators: list[Operator], *, stream: bool) -> Held:
    """Return the inputs of a recipe as they are locked."""
    from weightarith.cli.terminal import progress
    from weightarith.lock import bytes_held, held, lock_path, read_lock

    path = lock or lock_path(recipe)
    found = read_lock(path)
    with progress(bytes_held(found)) as moved:
        return held(recipe, found, str(path), operators=operators, stream=stream, progress=moved)


def _asked(
    read: Recipe, params: dict[str, str], files: tuple[Path, ...], hashes: Mapping[Path, str]
) -> Asked:
    """Return what the receipt says that the run was asked for."""
    from weightarith.receipt import Asked

    operators = {file.name: sha256(file.read_bytes()).hexdigest() for file in files}
    inputs, directions = tuple(read.inputs.values()), tuple(read.directions.values())
    return Asked(read.text, params, operators, inputs=inputs, directions=directions, sha256=hashes)


def _loaded(
    recipe: Path, params: dict[str, str], operators: list[Operator], places: Mapping[str, Given], *,
    stream: bool,
) -> Recipe:  # fmt: skip
    from weightarith.mergekit import load_recipe

    return load_recipe(recipe, params, operators=operators, given=places, stream=stream)


def _print(plan: Plan, expression: str) -> None:
    from weightarith.cli.talk import say_beside
    from weightarith.cli.terminal import counted, escaped
    from weightarith.engine.explain import grouped

    click.echo(f"{plan.kind}: {' '.join(expression.split())}")
    lines = [
        (escaped(line.names), counted(line.count, "tensor"), f"{line.fate}: {line.reason}")
        for line in grouped(plan.ledger)
    ]
    names, counts = (max((len(line[column]) for line in lines), default=0) for column in (0, 1))
    for name, count, fate in lines:
        click.echo(f"  {name:<{names}}  {count:>{counts}}  {fate}")
    say_beside(plan)


def _print_json(plan: Plan, expression: str) -> None:
    from weightarith.cli.talk import beside
    from weightarith.cli.terminal import print_json

    tensors: dict[str, dict[str, str]] = {}
    for entry in plan.ledger:
        if entry.name in tensors:  # left out of two inputs, for two reasons
            tensors[entry.name]["value"] += f"; {entry.reason}"
        else:
            tensors[entry.name] = {"fate": entry.fate, "value": entry.reason}
    found = {"kind": plan.kind, "expression": expression, "sum": str(plan.total), "tensors": tensors}
    print_json(found | beside(plan))
