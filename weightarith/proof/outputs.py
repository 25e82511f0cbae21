"""Outputs wherever they are, on the disk or on the Hub: verified, made again, pulled; what Python offers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from weightarith.engine.devices import cores
from weightarith.errors import InvalidFileError, RecipeError, quoted
from weightarith.hub.address import Address, parse
from weightarith.proof.difference import Verdict
from weightarith.proof.pull import check, check_out, copy_out, fetched, wanted
from weightarith.proof.rebuild import reproduce, reproduce_published
from weightarith.proof.remote import on_the_hub, published, verify_published
from weightarith.proof.verify import verify
from weightarith.saving import Run


def verify_output(
    output: str | Path, *, sha256: bool = False, deep: bool = False, threads: int = 0
) -> Verdict:
    """Return what an output and its receipt have against each other; equal ones have no `differences`.

    Args:
        output: a folder or a file that weightarith wrote, or `org/name`, `hf://org/name@revision`.
        sha256: hash whole files too, where the receipt has their SHA-256.
        deep: of an output on the Hub, download its weights and compare every tensor; else what the Hub lists
            is compared, and no weight is downloaded.
        threads: at work at once; 0 is one a core.

    Raises:
        InvalidFileError: there is no receipt, or it is none.
        HubError: the Hub or the network did not deliver.
        RecipeError: `deep` of an output on the disk, which is always read whole.
    """
    address, workers = on_the_hub(str(output)), threads or cores()
    if address is not None:
        return verify_published(address, deep=deep, sha256=sha256, threads=workers)
    if deep:
        raise RecipeError("deep is for an output on the Hub; one on the disk is always read whole")
    return verify(Path(output), sha256=sha256, threads=workers)


def reproduce_output(
    output: str | Path, out: str | Path | None = None, *,
    inputs: Mapping[str, str | Path] | None = None, operators: Iterable[str | Path] = (),
    device: str = "auto", threads: int = 0,
) -> Verdict:  # fmt: skip
    """Make an output again from its receipt, and return what the two have against each other, to the byte.

    Args:
        output: a folder or a file that weightarith wrote, or a repository of the Hub, of which no weight is
            downloaded.
        out: where to keep what is made; None removes it when it was compared.
        inputs: paths of inputs, or their ids on the Hub, by label, in place of those in the receipt.
        operators: Python files with the operators that the recipe calls; they are run.
        device: `cpu`, `cuda`, `torch` (torch on the CPU) or `auto`.
        threads: worker threads on the CPU; 0 is one a core.

    Raises:
        VerificationError: an input is another one than the receipt names; nothing was made.
        UnsupportedError: the receipt holds no recipe.
        WeightArithError: see `weightarith.errors`.
    """
    address, run = on_the_hub(str(output)), Run(device, threads)
    given = {label: str(place) for label, place in (inputs or {}).items()}
    files, place = [Path(file) for file in operators], Path(out) if out is not None else None
    if address is not None:
        return reproduce_published(published(address), place, given=given, operators=files, run=run)
    return reproduce(Path(output), place, given=given, operators=files, run=run)


def pull_output(
    repo: str, out: str | Path | None = None, *, overwrite: bool = False, threads: int = 0
) -> Path:
    """Download safetensors files and small texts of a repository, and return the folder that they are in.

    Every byte is compared with the receipt among them, and where there is none with what the Hub lists.

    Args:
        repo: `org/name` or `hf://org/name`, with `@revision` behind it or without.
        out: a folder to copy them to; None leaves them in the Hub's cache.
        overwrite: replace an earlier output of weightarith at `out`.
        threads: at work at once; 0 is one a core.

    Raises:
        VerificationError: a file is not what its receipt or the Hub says; nothing is copied.
        HubError: the Hub or the network did not deliver.
        TargetError: `out` exists, or must not be written.
    """
    address = repository_named(repo)
    place = Path(out) if out is not None else None
    if place is not None:
        check_out(place, overwrite=overwrite)
    what = wanted(address)
    path = fetched(what)
    check(what, path, threads=threads or cores()).check("what its receipt says")
    if place is None:
        return path
    copy_out(what, path, place, overwrite=overwrite)
    return place


def repository_named(text: str) -> Address:
    """Return the address that `text` is.

    Raises:
        InvalidFileError: it is none.
    """
    found = parse(text)
    if found is None:
        raise InvalidFileError(
            f"{quoted(text)} names no repository of the Hub, expected org/name[@revision]",
            hint="hf://org/name@revision is the same, and may go on with /file-or-folder",
        )
    return found
