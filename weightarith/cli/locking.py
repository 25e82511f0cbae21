"""lock, pull, verify, reproduce: the same inputs again, and outputs held against their receipts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from weightarith.proof import Verdict, Wanted

SAID = "what its receipt says"

_threads = click.option(
    "--threads", type=click.IntRange(0, 256), default=0, metavar="N",
    help="Worker threads; by default one a core, at most 16.",
)  # fmt: skip
_operators = click.option(
    "--operators", "files", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
    help="A Python file with operators that the recipe calls. The file is run.",
)  # fmt: skip
_json = click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")


def _inputs(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        label, equals, path = text.partition("=")
        if not equals or not label or not path:
            raise click.BadParameter(f"{text!r} is not of the form LABEL=PATH, such as base=./base")
        if label in found:
            raise click.BadParameter(f"{label!r} is given twice: as {found[label]} and as {path}")
        found[label] = path
    return found


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE",
    help="Where to write; by default beside the recipe, recipe.lock for recipe.yaml.",
)  # fmt: skip
@click.option("--check", is_flag=True, help="Write nothing; say what a lock made now would say otherwise.")
@click.option("--overwrite", is_flag=True, help="Replace a lock that says something else.")
@_operators
def lock(
    recipe: Path, output: Path | None, check: bool, overwrite: bool, files: tuple[Path, ...]
) -> None:  # fmt: skip
    """Pin every input of a recipe to the bytes that it has now.

    Of inputs on the Hub the commit is written, and what the Hub lists of their files; no weights are fetched.
    Those on the disk are hashed. merge --locked then refuses any other input. With --check the exit code is 9
    where an input has changed, such as a branch that moved on.
    """
    from weightarith import lock as locks
    from weightarith.cli.terminal import counted, printable, progress, tell
    from weightarith.operators.outside import load_operators

    path = output or locks.lock_path(recipe)
    operators = [each for file in files for each in load_operators(file)]
    before = locks.read_lock(path) if path.exists() or check else None
    with progress(locks.bytes_to_hash(recipe, operators)) as moved:
        made = locks.lock_of(recipe, operators=operators, progress=moved)
    drifted = locks.drift_between(before, made) if before is not None else []
    if check:
        _refuse_drift(path, drifted)
    elif drifted or before is None:
        locks.write_lock(path, made, overwrite=overwrite)
    files_pinned = sum(len(each.files) for each in made.inputs.values())
    told = f"{counted(len(made.inputs), 'input')}, {counted(files_pinned, 'file')}"
    tell(f"{printable(str(path))}: {told}{'' if drifted or before is None else ', as before'}")


def _refuse_drift(path: Path, drifted: list[str]) -> None:
    from weightarith.errors import VerificationError, quoted

    if drifted:
        told = "".join(f"\n  {each}" for each in drifted)
        raise VerificationError(
            f"inputs have changed since {quoted(str(path))} was written:{told}",
            hint="merge --locked still takes what is locked; to take the new: lock --overwrite",
        )


@click.command()
@click.argument("repository", metavar="REPO")
@click.option(
    "-o", "--output", "out", type=click.Path(path_type=Path), metavar="FOLDER",
    help="Copy it there, too; by default it is left in the Hub's cache.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Print what would be downloaded, and download nothing.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier output of weightarith.")
@_threads
@_json
def pull(
    repository: str, out: Path | None, dry_run: bool, overwrite: bool, threads: int, as_json: bool
) -> None:  # fmt: skip
    """Download from the Hub, and compare with the receipt.

    Printed is where it lies. REPO is org/name or hf://org/name, with @revision behind it or without.
    Safetensors files and small texts are taken, nothing else. What is in the Hub's cache already does not
    come again. What has no receipt is compared with the hashes that the Hub lists.
    """
    from weightarith import proof
    from weightarith.cli.terminal import print_json, progress, tell
    from weightarith.engine.devices import cores

    address = proof.repository_named(repository)
    if out is not None:
        proof.check_out(out, overwrite=overwrite)
    what = proof.wanted(address)
    if dry_run:
        _say_wanted(what, as_json=as_json)
        return
    path = proof.fetched(what)
    with progress(what.size) as moved:
        verdict = proof.check(what, path, threads=threads or cores(), progress=moved)
    hint = "remove it with hf cache rm, and pull again: it may have been damaged on the way"
    tell(_said(verdict, SAID, hint=hint))
    if out is not None:
        proof.copy_out(what, path, out, overwrite=overwrite)
    place = out or path
    if as_json:
        print_json({"path": str(place), "commit": what.listed.commit, **verdict.to_json()})
    else:
        click.echo(str(place))


def _say_wanted(what: Wanted, *, as_json: bool) -> None:
    from weightarith.cli.terminal import counted, escaped, print_json, size, tell

    listed = what.listed
    sizes = {name: listed.files[name].size for name in what.names}
    if as_json:
        told = {"repo": listed.address.repo, "commit": listed.commit, "bytes": what.size}
        print_json({**told, "files": sizes, "left": list(what.left)})
        return
    click.echo(f"would download {listed.pinned}: {counted(len(sizes), 'file')}, {size(what.size)}")
    for name, count in sizes.items():
        click.echo(f"  {escaped(name)}  {size(count)}")
    if what.left:
        tell(f"Note: not taken: {', '.join(map(escaped, what.left))}")


@click.command()
@click.argument("output", metavar="OUTPUT")
@click.option("--sha256", "sha256", is_flag=True, help="Hash whole files too, and compare with SHA-256.")
@click.option(
    "--deep", is_flag=True, help="Of an output on the Hub: download its weights and compare every tensor."
)
@_threads
@_json
def verify(output: str, sha256: bool, deep: bool, threads: int, as_json: bool) -> None:
    """Compare an output with its receipt.

    OUTPUT is a folder or a file that weightarith wrote, or a repository of the Hub. Every file's size, every
    tensor's checksum and every small file's SHA-256 are compared, and whatever lies beside them that the
    receipt does not know is named. On the Hub the hashes that it lists are compared, and no weights are
    downloaded. The exit code is 9 where anything differs.
    """
    from weightarith import proof
    from weightarith.cli.terminal import progress
    from weightarith.engine.devices import cores

    address, workers = proof.on_the_hub(output), threads or cores()
    if address is not None:
        verdict = proof.verify_published(address, deep=deep, sha256=sha256, threads=workers)
    elif deep:
        raise click.UsageError("--deep is for an output on the Hub; one on the disk is always read whole")
    else:
        path = Path(output)
        with progress(proof.bytes_to_read(path)) as moved:
            verdict = proof.verify(path, sha256=sha256, threads=workers, progress=moved)
    _say(verdict, SAID, as_json=as_json)


@click.command()
@click.argument("output", metavar="OUTPUT")
@click.option(
    "-o", "--output", "out", type=click.Path(path_type=Path), metavar="PATH",
    help="Where to keep what is made; by default it is made beside OUTPUT, compared and removed.",
)  # fmt: skip
@click.option(
    "--input", "given", multiple=True, callback=_inputs, metavar="LABEL=PATH",
    help="Where an input lies, or its id on the Hub, in place of what the receipt says; once for each.",
)  # fmt: skip
@_operators
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "torch"]), default="auto",
              show_default=True, help="Where to compute; torch is PyTorch on the CPU.")  # fmt: skip
@_threads
@_json
def reproduce(
    output: str, out: Path | None, given: dict[str, str], files: tuple[Path, ...], device: str, threads: int,
    as_json: bool,
) -> None:  # fmt: skip
    """Make an output again from its receipt, to the byte.

    OUTPUT is a folder or a file that weightarith wrote, or a repository of the Hub, of which no weights are
    downloaded. Inputs are looked for where the receipt says, and on the Hub at the commit that it names;
    before any work they are compared with what it says of them. The exit code is 9 where an input or the
    result differs.
    """
    from weightarith import proof
    from weightarith.cli.terminal import progress, warn
    from weightarith.saving import Run

    address, run = proof.on_the_hub(output), Run(device, threads)
    there = proof.published(address) if address is not None else None
    path = Path(output)
    others = proof.other_versions(
        there.receipts[0] if there is not None else proof.read_receipt(proof.receipts_of(path)[0])
    )
    another = f"it was made by another tool: {'; '.join(others)}" if others else ""
    warn(another)
    if there is not None:
        verdict = proof.reproduce_published(there, out, given=given, operators=files, run=run, bar=progress)
    else:
        verdict = proof.reproduce(path, out, given=given, operators=files, run=run, bar=progress)
    _say(verdict, "reproduced", as_json=as_json, hint=another)


def _say(verdict: Verdict, said: str, *, as_json: bool, hint: str = "") -> None:
    """Print a verdict; where something differs, raise the error that says what."""
    from weightarith.cli.terminal import print_json

    if as_json:
        print_json(verdict.to_json())
    told = _said(verdict, said, hint=hint)
    if not as_json:
        click.echo(told)


def _said(verdict: Verdict, said: str, *, hint: str = "") -> str:
    """Return a verdict as a line, its notes told; where something differs, raise the error that says what."""
    from weightarith.cli.terminal import counted, printable, size, tell

    for note in verdict.notes:
        tell(f"Note: {note}")
    verdict.check(said, hint=hint)
    parts = [counted(verdict.files, "file")]
    parts += [counted(verdict.tensors, "tensor")] * bool(verdict.tensors)
    parts += [size(verdict.read)] * bool(verdict.read)
    return f"{printable(verdict.what)}: {said}: {', '.join(parts)}"
