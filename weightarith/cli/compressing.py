"""compress: a vector with fewer numbers, as a vector, as an adapter folder, or as a GGUF adapter."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import click

from weightarith.cli.options import Coefficient, Writing, writing

if TYPE_CHECKING:
    from weightarith.lowrank import Decomposed, Goal, Job, Laid

WORST = 3
"""Tensors of which the least is kept that are named."""


@click.command()
@click.argument("vector")
@click.option(
    "--rank", type=click.IntRange(1, 1 << 20), metavar="R",
    help="Singular directions that are kept of every matrix, at most.",
)  # fmt: skip
@click.option(
    "--energy", type=Coefficient(), metavar="E",
    help="In place of a rank: keep as few directions of a matrix as hold this share of its squared norm.",
)  # fmt: skip
@click.option(
    "--max-rank", type=click.IntRange(1, 1 << 20), metavar="R",
    help="Most directions of a matrix, where --energy would take more.",
)  # fmt: skip
@click.option(
    "--format", "format_", type=click.Choice(["vector", "peft", "gguf"]), default="vector", show_default=True,
    help="What to write: a vector, a PEFT adapter folder, or a GGUF adapter for llama.cpp and Ollama.",
)  # fmt: skip
@click.option(
    "--base", metavar="DIR",
    help="The model an adapter is for; needed where VECTOR names none that is in the Hub's cache.",
)  # fmt: skip
@writing(encoding=False)
def compress(
    vector: str, rank: int | None, energy: Fraction | None, max_rank: int | None, format_: Any,
    base: str | None, writing: Writing,
) -> None:  # fmt: skip
    """Write a vector in two thin factors for each matrix.

    VECTOR is a vector file or folder, or an adapter folder. Its factors, if it has some, stay as they are
    where the rank allows it; what is no matrix stays whole, and so does a matrix that its factors would not
    make smaller.

    An adapter is a folder that PEFT, vLLM, SGLang and llama.cpp read alike, and with --format gguf a file
    that ends in .gguf. What no LoRA carries (norms, biases, embeddings, the head) goes to a vector beside it,
    OUT-residual.safetensors. Decompositions are made on the CPU; --dry-run makes them, too.
    """
    from weightarith.engine.settings import SHARD_BYTES
    from weightarith.lowrank import Goal

    if writing.output is None:  # the option is required
        raise click.UsageError("say where to write: -o PATH")
    _check_options(rank, energy, max_rank, format_, base, writing)
    goal = Goal(
        writing.output, format_, rank or max_rank or 0, energy or 0, writing.dtype,
        writing.shard_size or SHARD_BYTES, writing.overwrite,
    )  # fmt: skip
    _carry_out(_prepared(vector, goal, base), writing)


def _check_options(
    rank: int | None, energy: Fraction | None, max_rank: int | None, format_: str, base: str | None,
    writing: Writing,
) -> None:  # fmt: skip
    if (rank is None) == (energy is None):
        raise click.UsageError("say how far to compress: either --rank R or --energy E")
    if max_rank is not None and energy is None:
        raise click.UsageError("--max-rank goes with --energy")
    if energy == 0:
        raise click.UsageError("--energy 0 keeps nothing; a share is above 0, and at most 1")
    if base is not None and format_ == "vector":
        raise click.UsageError("--base goes with --format peft or gguf: a vector needs none")
    if writing.device in ("cuda", "torch"):
        raise click.UsageError(
            f"--device {writing.device}: this command decomposes on the CPU; "
            "in a recipe, compress(v, rank=32) runs on any device"
        )
    if writing.shard_size is not None and format_ != "vector":
        raise click.UsageError("--shard-size goes with --format vector: an adapter is one file")


def _prepared(vector: str, goal: Goal, base: str | None) -> Job:
    from weightarith.algebra import Checkpoint
    from weightarith.cli.opening import described, labels_for, opened, opened_vector
    from weightarith.errors import RecipeError, quoted
    from weightarith.lowrank import prepare

    if base is None:
        (label,) = labels_for([vector])
        return prepare(opened_vector(vector, label), goal)
    label, model_label = labels_for([vector, base])
    model = opened(base, model_label)
    if not isinstance(model, Checkpoint):
        raise RecipeError(
            f"{quoted(base)} is {described(model)}, expected a model",
            hint="--base is the model that the vector was measured from",
        )
    return prepare(opened_vector(vector, label, model), goal, model)


def _carry_out(job: Job, writing: Writing) -> None:
    from contextlib import nullcontext

    from weightarith.cli.terminal import print_json, progress, warn
    from weightarith.lowrank import Scratch, decompose, lay_out, record, write

    room = nullcontext() if writing.dry_run else Scratch.beside(job.goal.path)
    with room as scratch:
        with progress(job.read_bytes) as moved:
            done = decompose(job, scratch, threads=writing.threads, progress=moved)
        laid = lay_out(job, done)
        found = record(job, done, laid)
        warn(*found["warnings"])
        if not writing.dry_run:
            with progress(laid.write_bytes) as moved:
                found = write(job, done, laid, found, threads=writing.threads, progress=moved)
    if writing.as_json:
        print_json({"output": str(job.goal.path), **found})
    _say(job, done, laid, found, writing)


def _say(job: Job, done: Decomposed, laid: Laid, found: dict[str, Any], writing: Writing) -> None:
    """Print the summary: to stderr, or to stdout where it is all there is, with --dry-run."""
    from weightarith.cli.terminal import printable, tell

    if writing.dry_run and writing.as_json:
        return
    would = "would write " if writing.dry_run else ""
    lines = [f"{would}{printable(str(job.goal.path))}: {found['expression']}"]
    lines += [f"  {line}" for line in (*_facts(job, done, laid, found), *_least_kept(done))]
    for line in lines:
        (click.echo if writing.dry_run else tell)(line)


def _facts(job: Job, done: Decomposed, laid: Laid, found: dict[str, Any]) -> list[str]:
    from weightarith.cli.terminal import counted, printable, size

    whole = len(done.found) - len(found["tensors"])
    rest = f", {whole:,} whole" if whole else ""
    same = ", just as they came" if all(one["exact"] for one in found["tensors"].values()) else ""
    ranks = sorted({one["rank"] for one in found["tensors"].values()})
    span = f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {ranks[0]} to {ranks[-1]}" if ranks else "none"
    held = f"{counted(len(found['tensors']), 'tensor')} in factors of {span}" if ranks else "no factors"
    lines = [f"{held}{same if ranks else ''}{rest}; {size(sum(found['files'].values()))}"]
    kept = f"energy kept: {found['energy']:.6g} of the squared norm, which is {done.norm**2:.6g}"
    if laid.portable is not None:
        kept = f"energy in the adapter, all of rank {found['rank']}: {found['adapter_energy']:.6g}"
        kept += f"; with the residual {found['energy']:.6g}" if found["residual"] else ""
    lines.append(kept)
    if found.get("residual"):
        lines += _residual(found["residual"], printable(str(job.residual)))
    if found["no_low_rank_form"]:
        lines.append(f"no low-rank form: {_named(found['no_low_rank_form'])}")
    return lines


def _residual(residual: dict[str, Any], path: str) -> list[str]:
    from weightarith.cli.terminal import counted, size

    whys: dict[str, list[dict[str, Any]]] = {}
    for one in residual["tensors"].values():
        whys.setdefault(one["why"], []).append(one)
    held = counted(len(residual["tensors"]), "tensor")
    lines = [
        f"residual: {path}, {held} with {residual['share']:.3g} of the squared norm, "
        f"{size(residual['bytes'])}"
    ]
    for why, each in sorted(whys.items()):
        lines.append(f"  {why} ×{len(each)}: {sum(one['share'] for one in each):.3g}")
    return lines


def _least_kept(done: Decomposed) -> list[str]:
    """Return the tensors of which the least is kept, and how sure the errors are."""
    from weightarith.cli.terminal import escaped
    from weightarith.operators.sketch import TOLERANCE

    lossy = {name: one for name, one in done.found.items() if one.error}
    if not lossy:
        return []
    worst = sorted(lossy, key=lambda name: (lossy[name].energy, name))[:WORST]
    each = (f"{escaped(name)} {lossy[name].energy:.4g} at rank {lossy[name].rank}" for name in worst)
    lines = [f"least kept: {', '.join(each)}"]
    excess = max(one.excess for one in lossy.values())
    if excess > TOLERANCE:
        lines.append(f"errors are estimated to be at most {excess:.2%} above the smallest possible")
    return lines


def _named(names: list[str]) -> str:
    from weightarith.errors import some

    return f"{len(names):,} {'matrix' if len(names) == 1 else 'matrices'}, {some(names, WORST)}"
