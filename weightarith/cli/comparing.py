"""compare: how vectors lie to each other."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from weightarith.cli.options import Coefficient
from weightarith.errors import RecipeError

if TYPE_CHECKING:
    from weightarith.cli.comparands import Comparands
    from weightarith.geometry import Gram
    from weightarith.plots import Picture

DTYPES = ("bfloat16", "float16", "float32")


@click.command()
@click.argument("things", metavar="V [W]...", nargs=-1, required=True)
@click.option("--base", metavar="BASE", help="The model that models among V, W, … are measured from.")
@click.option(
    "--by", type=click.Choice(["layer", "role", "module"]), help="Say all of it for each group, too."
)
@click.option("--signs", is_flag=True, help="Say how often they move a weight the same way, too.")
@click.option("--spectrum", is_flag=True, help="Say how many directions each of them amounts to, too.")
@click.option(
    "--overlap", type=click.IntRange(1, 4096), metavar="N",
    help="Say how far the N strongest directions of each pair are the same, too.",
)  # fmt: skip
@click.option(
    "--realised", type=click.Choice(DTYPES), metavar="DTYPE",
    help=f"Say what is left of each once it is added to BASE and rounded to {', '.join(DTYPES)}, too.",
)  # fmt: skip
@click.option(
    "--strength", type=Coefficient(), default="1", show_default=True, metavar="K",
    help="What they are multiplied by for --realised.",
)  # fmt: skip
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Draw a picture, .png or .svg, too.",
)  # fmt: skip
@click.option(
    "--picture", type=click.Choice(["cosines", "layers", "spectrum"]), default="cosines", show_default=True,
    help="What is drawn: cosines as colours, norms by layer, or the share of the norm by direction.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace an earlier picture.")
@click.option(
    "--threads", type=click.IntRange(0, 256), default=0, metavar="N",
    help="Worker threads; by default one a core, at most 16.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print everything, with more digits, as JSON.")
def compare(things: tuple[str, ...], **asked: Any) -> None:
    """Print norms of vectors, and the cosine of each pair.

    V, W, … are vectors, adapters, folders written by `contrast`, or models, each of which counts as its
    difference from BASE. Two models without --base are compared as they are. Of a folder written by
    `contrast` it is told what its two sides share, too. Adapters stay factored, however large the model.
    """
    from weightarith.cli.comparands import comparands
    from weightarith.cli.compared import print_findings
    from weightarith.cli.terminal import print_json, printable, tell
    from weightarith.plots.save import check_picture, write_picture

    plot, overwrite, as_json = asked["plot"], asked["overwrite"], asked["as_json"]
    if plot is not None:
        check_picture(plot, overwrite=overwrite)
    given = comparands(things, asked["base"])
    _check(given, asked)
    products = _products(given, asked["threads"])
    found = _findings(given, products, asked)
    if as_json:
        print_json(found)
    else:
        print_findings(found)
    if plot is not None:
        write_picture(_drawn(found, asked["picture"]), plot)
        tell(printable(str(plot)))


def _check(given: Comparands, asked: dict[str, Any]) -> None:
    if asked["realised"] and given.base is None:
        raise RecipeError("what is left after rounding depends on the base", hint="name it: --base BASE")
    if asked["plot"] is not None and asked["picture"] == "layers" and asked["by"] != "layer":
        raise RecipeError("norms by layer are drawn, and not asked for", hint="add --by layer")
    pictured = asked["plot"] is not None and asked["picture"] == "spectrum"
    if given.weights and (asked["spectrum"] or asked["overlap"] or asked["signs"] or pictured):
        raise RecipeError(
            "spectrum, overlap and signs are those of displacements, and two models were given",
            hint="name the model they were trained from: --base BASE",
        )


def _products(given: Comparands, threads: int) -> Gram:
    from weightarith.cli.terminal import progress
    from weightarith.engine.together import plan_of_all
    from weightarith.geometry import apart_of, gram_of

    plan = plan_of_all(given.linears)
    with progress(plan.read_bytes) as moved:
        if given.weights:
            first, second = given.labels
            return apart_of(plan, (first, second), threads=threads, progress=moved)
        return gram_of(plan, given.labels, threads=threads, progress=moved)


def _findings(given: Comparands, products: Gram, asked: dict[str, Any]) -> dict[str, Any]:
    from weightarith.geometry.sides import sides
    from weightarith.geometry.told import told, told_by, told_sides

    kind, threads = asked["by"], asked["threads"]
    found: dict[str, Any] = {
        "labels": list(products.labels),
        "compared": "models" if given.weights else "vectors",
        **told(products),
    }
    if kind is not None:
        found |= {"by": kind, "groups": told_by(products, kind)}
    if given.sides:
        found["runs"] = {
            label: told_sides(sides(*both, threads=threads)) for label, both in given.sides.items()
        }
    if given.without:
        found["sides_discarded"] = list(given.without)
    return found | _more(given, asked)


def _more(given: Comparands, asked: dict[str, Any]) -> dict[str, Any]:
    """Return what is told only where it is asked for."""
    found: dict[str, Any] = {}
    if asked["signs"]:
        found["signs"] = _signs(given, asked["by"], asked["threads"])
    if asked["spectrum"] or (asked["plot"] is not None and asked["picture"] == "spectrum"):
        found["spectrum"] = _spectrum(given, asked["threads"])
    if asked["overlap"]:
        found["overlap"] = _overlap(given, asked["overlap"], asked["threads"])
    if asked["realised"]:
        found["realised"] = _realised(given, asked)
    return found


def _signs(given: Comparands, kind: str | None, threads: int) -> dict[str, Any]:
    from weightarith.cli.terminal import progress
    from weightarith.engine.together import plan_of_all
    from weightarith.geometry import signs_of
    from weightarith.geometry.told import told_signs

    plan = plan_of_all(given.linears)
    with progress(plan.read_bytes) as moved:
        return told_signs(signs_of(plan, given.labels, threads=threads, progress=moved), kind)


def _spectrum(given: Comparands, threads: int) -> dict[str, Any]:
    from weightarith.geometry import spectrum
    from weightarith.geometry.told import told_spectrum

    return {
        label: told_spectrum(spectrum(one, threads=threads))
        for label, one in zip(given.labels, given.linears, strict=True)
    }


def _overlap(given: Comparands, directions: int, threads: int) -> list[dict[str, Any]]:
    from itertools import combinations

    from weightarith.geometry import overlap
    from weightarith.geometry.told import told_overlap

    pairs = combinations(zip(given.labels, given.linears, strict=True), 2)
    return [
        {"of": [first, second], **told_overlap(overlap(one, other, directions=directions, threads=threads))}
        for (first, one), (second, other) in pairs
    ]


def _realised(given: Comparands, asked: dict[str, Any]) -> dict[str, Any]:
    from weightarith.geometry import realised
    from weightarith.geometry.told import told_realised

    if given.base is None:
        return {}
    strength: Fraction = asked["strength"]
    found = {
        label: realised(one, given.base, strength=strength, dtype=asked["realised"], threads=asked["threads"])
        for label, one in zip(given.labels, given.linears, strict=True)
    }
    told = {label: told_realised(each, asked["by"]) for label, each in found.items()}
    return {"dtype": asked["realised"], "strength": float(strength), "vectors": told}


def _drawn(found: dict[str, Any], picture: Literal["cosines", "layers", "spectrum"]) -> Picture:
    from weightarith.plots.heat import heat_map
    from weightarith.plots.vectors import kept_shares, layer_norms

    labels = found["labels"]
    if picture == "layers":
        groups = {layer: each["norms"] for layer, each in found["groups"].items()}
        return layer_norms(
            {label: {layer: norms[label] for layer, norms in groups.items()} for label in labels}
        )
    if picture == "spectrum":
        return kept_shares({label: each["kept"] for label, each in found["spectrum"].items()})
    values = [[float("nan") if number is None else number for number in row] for row in found["cosine"]]
    return heat_map(
        values, labels, labels, title="Cosine over all parameters", legend="cosine", limits=(-1, 1),
        diverging=True,
    )  # fmt: skip
