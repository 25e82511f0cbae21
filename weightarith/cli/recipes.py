"""merge and explain: recipes run, and recipes read aloud."""

from __future__ import annotations

from pathlib import Path

import click

from weightarith.cli.options import Writing, writing


def _params(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"{text!r} is not of the form NAME=NUMBER, such as k=1.5")
        found[name.strip()] = value.strip()
    return found


_recipe = click.argument("recipe", type=click.Path(path_type=Path))
_parameters = click.option(
    "-p", "--param", "params", multiple=True, callback=_params, metavar="NAME=NUMBER",
    help="Set one of the recipe's params.",
)  # fmt: skip


@click.command()
@_recipe
@_parameters
@writing(output_required=False)
def merge(recipe: Path, params: dict[str, str], writing: Writing) -> None:
    """Run RECIPE, a YAML file of named inputs and one expression such as `base + 1.5·(pos − neg)`.

    Paths in a recipe are relative to its folder; -o is relative to where you are, and wins.
    """
    from weightarith.cli.talk import warn, with_overrides, write_output
    from weightarith.recipe import load_recipe

    read = load_recipe(recipe, params)
    warn(*read.warnings)
    output = with_overrides(read.output, writing)
    write_output(read.total, output, writing, policy=read.policy, recipe=read.text)


@click.command()
@_recipe
@_parameters
@click.option("--json", "as_json", is_flag=True, help="Print every tensor's line as JSON.")
def explain(recipe: Path, params: dict[str, str], as_json: bool) -> None:
    """Print the coefficient every tensor will get from RECIPE; only headers are read."""
    import json

    from weightarith.cli.talk import warn
    from weightarith.engine.build import build_plan
    from weightarith.engine.explain import grouped
    from weightarith.engine.settings import Output
    from weightarith.recipe import load_recipe

    read = load_recipe(recipe, params)
    plan = build_plan(read.total, read.output or Output(Path("result")), policy=read.policy)
    warn(*read.warnings, *plan.warnings)
    if as_json:
        lines = {entry.name: {"fate": entry.fate, "value": entry.reason} for entry in plan.ledger}
        click.echo(json.dumps({"kind": plan.kind, "expression": str(plan.total), "tensors": lines}, indent=1))
        return
    click.echo(f"{plan.kind}: {plan.total}")
    for line in grouped(plan.ledger):
        click.echo(f"  {line.names}  {line.fate}: {line.reason}")
