"""The inputs that a receipt names, found again and held against what it says of them.

Where an input lies is looked for in this order: where the caller says, where the receipt says, in the
repository and at the commit of the Hub that the receipt names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightarith.errors import InvalidFileError, RecipeError, WeightArithError, quoted, some
from weightarith.hub import Address, locate
from weightarith.proof.account import is_plain
from weightarith.proof.difference import Difference, absent, by_text
from weightarith.provenance import sha256_in_cache
from weightarith.receipt import Receipt
from weightarith.recipe.inputs import Given
from weightarith.tensorfile.digest import sha256_of
from weightarith.tensorfile.header import read_header

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Input:
    """One input as a receipt has it.

    Attributes:
        label: what it is called in the output.
        name: what it is called in the recipe.
        path: where it lay.
        files: size and hashes of its files, by name.
        origin: its place on the Hub, if it was from there.
    """

    label: str
    name: str
    path: str
    files: Mapping[str, Mapping[str, Any]]
    origin: Address | None

    @property
    def hashed_bytes(self) -> int:
        """Bytes of the files that are hashed to compare them."""
        sizes = (each.get("bytes") for each in self.files.values() if each.get("sha256"))
        return sum(size for size in sizes if isinstance(size, int))


def inputs_of(receipt: Receipt, where: str) -> list[Input]:
    """Return the inputs that a receipt names; layers taken of one are left out, for it is named too.

    Raises:
        InvalidFileError: an entry is not what a receipt has.
    """
    entries = receipt.get("inputs")
    if not isinstance(entries, list):
        raise InvalidFileError(f"{where} names no inputs")
    whole = [each for each in entries if not (isinstance(each, dict) and "layers" in each)]
    return [_input(each, where) for each in whole]


def _input(entry: object, where: str) -> Input:
    told = entry if isinstance(entry, dict) else {}
    label, path, files, hub = (
        told.get("label"), told.get("path", ""), told.get("files"), told.get("hub"),
    )  # fmt: skip
    if not isinstance(label, str) or not isinstance(path, str) or not isinstance(files, dict):
        raise InvalidFileError(f"{where}: an input is not what a receipt has")
    if not all(is_plain(name) and isinstance(each, dict) for name, each in files.items()):
        raise InvalidFileError(f"{where}: the files of input {quoted(label)} are not what a receipt has")
    origin = None
    if isinstance(hub, dict):
        repo, commit, inside = hub.get("repo"), hub.get("commit"), hub.get("path", "")
        if not all(isinstance(each, str) for each in (repo, commit, inside)) or ".." in str(inside):
            raise InvalidFileError(f"{where}: the origin of input {quoted(label)} is not what a receipt has")
        origin = Address(str(repo), str(commit), str(inside))
    return Input(label, str(told.get("name", label)), path, files, origin)


def find_inputs(inputs: Iterable[Input], given: Mapping[str, str], near: Path) -> dict[str, Given]:
    """Return where inputs lie, by their names in the recipe.

    Args:
        inputs: as `inputs_of` returns them.
        given: paths or ids on the Hub, by label or name, in place of what the receipt says.
        near: the folder of the output, which relative paths may have been relative to the parent of.

    Raises:
        RecipeError: `given` names no input.
        InvalidFileError: an input is not to be found; all of them are named.
    """
    inputs = list(inputs)
    known = {name for each in inputs for name in (each.label, each.name)}
    for name in given:
        if name not in known:
            raise RecipeError(f"no input is called {quoted(name)}; inputs are {some(sorted(known))}")
    found: dict[str, Given] = {}
    missing = {}
    for each in inputs:
        try:
            path = _place(each, given.get(each.label) or given.get(each.name), near)
            found[each.name] = Given(path, each.label, each.origin)
        except WeightArithError as error:
            missing[each.label] = error
    if missing:
        told = "".join(f"\n  {label}: {error.message}" for label, error in missing.items())
        first = next(iter(missing))
        raise InvalidFileError(
            f"inputs are not where the receipt says:{told}",
            hint=f"say where each is: --input {quoted(first + '=PATH')}",
        )
    return found


def _place(each: Input, given: str | None, near: Path) -> Path:
    if given is not None:
        return locate(given)
    recorded = Path(each.path)
    for path in (recorded, near.parent / recorded):
        if each.path and path.exists():
            return path
    if each.origin is None:
        raise InvalidFileError(f"no such file or folder: {quoted(each.path)}")
    return locate(str(each.origin))


def changed(
    inputs: Iterable[Input], places: Mapping[str, Given], progress: Progress = lambda _read: None
) -> Iterator[Difference]:
    """Yield what differs in the files of inputs; whole files are hashed only where the receipt has a hash.

    The files of a difference are called by the label of their input: `base/model.safetensors`.
    """
    read = [0]

    def moved(count: int) -> None:
        read[0] += count
        progress(read[0])

    for each in inputs:
        place = places[each.name].path
        for name, told in each.files.items():
            path = place / name if place.is_dir() else place
            yield from _changed(f"{each.label}/{name}", path, told, moved)


def _changed(shown: str, path: Path, told: Mapping[str, Any], progress: Progress) -> Iterator[Difference]:
    if not path.is_file():
        yield absent(shown)
        return
    size = by_text(shown, "bytes", told.get("bytes"), path.stat().st_size)
    if size:
        yield from size
        return
    if told.get("header_sha256"):
        yield from by_text(
            shown, "SHA-256 of the header", told["header_sha256"], read_header(path).header_sha256
        )
    if told.get("sha256"):
        found = sha256_in_cache(path) or sha256_of(path, progress)
        yield from by_text(shown, "SHA-256", told["sha256"], found)
