"""A lock made: what the Hub lists, and what the disk holds. No weight is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from weightarith.errors import InvalidFileError, WeightArithError, quoted
from weightarith.hub.address import Address, parse
from weightarith.hub.listing import Listing, listing
from weightarith.hub.wanted import chosen
from weightarith.lock.document import Lock, Pin, Pinned
from weightarith.lock.pins import files_at, pinned
from weightarith.mergekit.load import recipe_at
from weightarith.operators.operator import Operator
from weightarith.recipe.calls import functions_with
from weightarith.recipe.draft import read_draft
from weightarith.recipe.inputs import Declared
from weightarith.recipe.strictyaml import read_yaml
from weightarith.tensorfile.digest import sha256_of

Progress = Callable[[int], None]


def lock_path(recipe: Path) -> Path:
    """Return where the lock of a recipe lies: beside it, `recipe.lock` for `recipe.yaml`."""
    return recipe.with_suffix(".lock")


def declared_in(recipe: Path, operators: Iterable[Operator] = ()) -> tuple[Mapping[str, Declared], Path]:
    """Return the inputs that a recipe names, nothing opened, and what their paths are relative to.

    Raises:
        RecipeError: the recipe means nothing, with file, line and column.
    """
    text, folder, source = recipe_at(
        recipe, stream=True
    )  # of a model that mergekit names, headers are enough
    return read_draft(read_yaml(text, source), folder, {}, functions_with(operators)).inputs, folder


def place_of(where: str, folder: Path) -> Path | Address:
    """Return what a recipe means by `where`: a path, which wins where it is there, or a place on the Hub.

    Raises:
        InvalidFileError: it is neither.
    """
    path = folder / where
    try:
        if where.startswith((".", "/")) or path.exists():
            return path
    except OSError:  # too long for a path, and so no path
        pass
    found = parse(where)
    if found is None:
        raise InvalidFileError(f"no such file or folder: {quoted(where)}")
    return found


def lock_of(
    recipe: Path, *, operators: Iterable[Operator] = (), progress: Progress = lambda _read: None
) -> Lock:
    """Return the lock of a recipe in a file, of weightarith or of mergekit.

    Inputs on the Hub are listed, at the commit that their revision is now; those on the disk are hashed.

    Args:
        recipe: the file.
        operators: further ones, which the recipe may call by their names.
        progress: called with the bytes hashed so far.

    Raises:
        RecipeError: the recipe means nothing.
        InvalidFileError: an input is not there.
        HubError: the Hub does not list one.
    """
    declared, folder = declared_in(recipe, operators)
    places = {name: _pointed(each, folder) for name, each in declared.items()}
    done = 0

    def moved(count: int) -> None:
        nonlocal done
        done += count
        progress(done)

    pins = {}
    for name, place in places.items():
        with _pointing(declared[name]):
            pins[name] = _pin(declared[name].where, place, moved)
    return Lock(pins)


def bytes_to_hash(recipe: Path, operators: Iterable[Operator] = ()) -> int:
    """Return the bytes on the disk that `lock_of` hashes."""
    declared, folder = declared_in(recipe, operators)
    places = [_pointed(each, folder) for each in declared.values()]
    return sum(
        file.stat().st_size
        for place in places if isinstance(place, Path)
        for file in files_at(place).values()
    )  # fmt: skip


def _pointed(each: Declared, folder: Path) -> Path | Address:
    with _pointing(each):
        return place_of(each.where, folder)


@contextmanager
def _pointing(each: Declared) -> Iterator[None]:
    """Put the line of the recipe in front of an error."""
    try:
        yield
    except WeightArithError as error:
        raise type(error)(f"{each.place}: input {each.name}: {error.message}", hint=error.hint) from error


def _pin(where: str, place: Path | Address, progress: Progress) -> Pinned:
    if isinstance(place, Path):
        files = files_at(place)
        pins = {name: Pin(path.stat().st_size, sha256_of(path, progress)) for name, path in files.items()}
        return Pinned(where, _some(where, pins))
    listed = listing(place)
    pins = _some(where, pins_in(listed))
    return Pinned(where, pins, place.repo, place.revision, listed.commit, place.path)


def pins_in(listed: Listing) -> dict[str, Pin]:
    """Return the files that are pinned of an input on the Hub, by name, as the Hub lists them."""
    inside = {PurePosixPath(path).name: listed.files[path] for path in chosen(listed)}
    address = listed.address
    only = PurePosixPath(address.path).name if address.path in listed.files else ""
    entries = {name: inside[name] for name in pinned(inside, only)}
    return {
        name: Pin(entry.size, entry.sha256 or "", "" if entry.sha256 else entry.git_oid)
        for name, entry in entries.items()
    }


def _some(where: str, pins: dict[str, Pin]) -> dict[str, Pin]:
    if not pins:
        raise InvalidFileError(f"{quoted(where)} holds no file that a recipe could read")
    return pins
