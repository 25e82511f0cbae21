"""interference: several vectors together, foretold and measured."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from weightarith.cli.options import Coefficient

if TYPE_CHECKING:
    from weightarith.evaluate import Suite
    from weightarith.interference import Part

RUN = "run.json"


class Exact(click.ParamType[tuple[Fraction, ...]]):
    """Numbers with commas between them, exact: `-1/2,0.5`."""

    name = "numbers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Fraction, ...]:
        """Return `value` as numbers."""
        if isinstance(value, tuple):
            return value
        return tuple(Coefficient().convert(part, param, ctx) for part in str(value).split(","))


@click.command()
@click.argument("base")
@click.argument("vectors", metavar="V W [X]...", nargs=-1, required=True)
@click.option(
    "--suite", required=True, metavar="SUITE,…",
    help="What is measured: suites of shipped sets, NAME[:WORD], or files.",
)  # fmt: skip
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path),
    help="The folder to write; a run that was killed goes on in it.",
)  # fmt: skip
@click.option(
    "--strengths", "--strength", type=Exact(), default="1", show_default=True, metavar="K,…",
    help="What every combination is multiplied by, one after the other.",
)  # fmt: skip
@click.option(
    "--weights", type=Exact(), metavar="A,…",
    help="What each of V, W, … is multiplied by beside the others, a number each.  [default: all 1]",
)  # fmt: skip
@click.option(
    "--ways", default="reject,ties", show_default=True, metavar="all|none|NAME,…",
    help="What operators make of them, too: reject, ties, project.",
)  # fmt: skip
@click.option(
    "--density", type=click.FloatRange(0, 1, min_open=True), default=0.2, show_default=True,
    help="The share of each vector that TIES keeps.",
)  # fmt: skip
@click.option(
    "--only", metavar="METRIC,…",
    help="Take these metrics of the suites alone; by default those that play a part.",
)  # fmt: skip
@click.option("--all-metrics", is_flag=True, help="Take every metric of the suites.")
@click.option(
    "--device", default="auto", show_default=True,
    help="Where to compute: cpu or cuda; auto takes a GPU if there is one.",
)  # fmt: skip
@click.option(
    "--dtype", type=click.Choice(["auto", "float32", "bfloat16", "float16"]), default="auto",
    show_default=True, help="Load the model as this; auto is how it is stored.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace what is finished; its measurements are used.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole result as JSON.")
def interference(
    base: str, vectors: tuple[str, ...], output: Path, overwrite: bool, as_json: bool, **asked: Any
) -> None:
    """Measure whether vectors stand in each other's way.

    V, W, … are vectors, adapters or folders written by `contrast`. Each is measured alone, in pairs and
    together; what is beyond the sum of the effects each has alone is told with a 95 % interval, beside what
    cosines, signs and subspaces foretell, and beside what reject and TIES change.

    OUT gets interference.json, interference.csv, interference and effects as PNG and SVG, and points/, a file
    a measurement; `report` shows it as a page.
    """
    from weightarith.cli.sweeping import kept, steps
    from weightarith.cli.terminal import print_json, printable, tell
    from weightarith.evaluate import prepare, read_suite
    from weightarith.interference import Settings, as_lines, check_out, combinations, ways_named
    from weightarith.interference import interference as look
    from weightarith.lm import load

    if asked["only"] and asked["all_metrics"]:
        raise click.UsageError("--only takes some metrics, and --all-metrics all: give one of them")
    settings = Settings(tuple(map(float, asked["strengths"])), ways_named(asked["ways"]), asked["density"])
    check_out(output, overwrite=overwrite)
    suites = [read_suite(name.strip()) for name in asked["suite"].split(",")]
    only = [_only(suite, asked) for suite in suites] if not asked["only"] else _named(suites, asked["only"])
    parts = _parts(base, vectors, asked["weights"])
    combinations(parts, settings.ways, density=settings.density)  # refused before the model is loaded
    model = load(base, dtype=asked["dtype"], device=asked["device"])
    tell("looking at the model as it is")
    prepared = [prepare(suite, model, names) for suite, names in zip(suites, only, strict=True)]
    with kept(output), steps() as told:
        document = look(model, parts, prepared, output, settings, overwrite=overwrite, told=told)
    if as_json:
        print_json(document)
        return
    click.echo("\n".join(printable(line) for line in as_lines(document)))
    tell(f"{printable(str(output))}: interference.json, interference.csv, interference.png, effects.png")


def _only(suite: Suite, asked: dict[str, Any]) -> set[str] | None:
    """Return the metrics of a suite that play a part; None, all, where that is asked for."""
    return None if asked["all_metrics"] else {name.partition(".")[0] for name in suite.named}


def _named(suites: Sequence[Suite], text: str) -> list[set[str]]:
    """Return of each suite the metrics among those named.

    Raises:
        RecipeError: a name is in no suite, or a suite has none of them.
    """
    from weightarith.errors import RecipeError, quoted
    from weightarith.recipe.caret import listed, nearest

    names = [name.strip() for name in text.split(",")]
    known = list(dict.fromkeys(metric for suite in suites for metric in suite.metrics))
    for name in names:
        if name not in known:
            raise RecipeError(
                f"no suite has a metric {quoted(name)}; there are {listed(known)}", hint=nearest(name, known)
            )
    found = [{name for name in names if name in suite.metrics} for suite in suites]
    for suite, metrics in zip(suites, found, strict=True):
        if not metrics:
            raise RecipeError(
                f"the suite {quoted(suite.name)} has none of {listed(names)}",
                hint="leave the suite out, or name one of its metrics",
            )
    return found


def _parts(base: str, texts: tuple[str, ...], weights: tuple[Fraction, ...] | None) -> list[Part]:
    from weightarith.cli.opening import labels_for, opened_model, opened_vector
    from weightarith.cli.terminal import warn
    from weightarith.errors import RecipeError
    from weightarith.interference import part
    from weightarith.provenance import foreign_base

    if weights is not None and len(weights) != len(texts):
        raise RecipeError(
            f"{len(weights)} weights for {len(texts)} vectors", hint="give a number for each, in their order"
        )
    model = opened_model(base, "base")
    found = []
    factors = weights or (Fraction(1),) * len(texts)
    for text, label, weight in zip(texts, labels_for(list(texts)), factors, strict=True):
        vector = opened_vector(_vector_of(text), label, base=model)
        warn(foreign_base(vector.source, model.source))
        found.append(part(vector, [file.path for file in vector.source.files], weight))
    return found


def _vector_of(text: str) -> str:
    """Return the vector of a run, and of anything else itself."""
    from weightarith.contrast.run import VECTOR
    from weightarith.hub import locate

    path = locate(text)
    return str(path / VECTOR) if (path / RUN).is_file() else text
