"""The inputs of a recipe held against its lock, before a run: all that drifted is named, and refused.

A branch in the recipe then means the commit that the lock has of it, whatever it has become since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from weightarith.errors import VerificationError, quoted
from weightarith.hub import Address, locate
from weightarith.hub import place_of as found_at
from weightarith.hub.listing import listing
from weightarith.lock.document import Lock, Pin, Pinned
from weightarith.lock.make import declared_in, pins_in, place_of
from weightarith.lock.pins import files_at
from weightarith.operators.operator import Operator
from weightarith.recipe.inputs import Given
from weightarith.tensorfile.digest import git_oid_of, sha256_of

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Held:
    """Inputs that are what a lock says: where each lies, and the SHA-256 of their files by path."""

    places: Mapping[str, Given]
    sha256: Mapping[Path, str]


def held(
    recipe: Path, lock: Lock, where: str, *,
    operators: Iterable[Operator] = (), stream: bool = False, progress: Progress = lambda _read: None,
) -> Held:  # fmt: skip
    """Return the inputs of a recipe as its lock has them.

    Files in the Hub's cache are told by the name that the cache has for their content; others are hashed.
    Those that stay on the Hub are told by what it lists of them.

    Args:
        recipe: the file.
        lock: of the recipe.
        where: what errors call the lock.
        operators: further ones, which the recipe may call by their names.
        stream: whether the weights of inputs that are on the Hub, and not in its cache, stay there.
        progress: called with the bytes hashed so far.

    Raises:
        VerificationError: an input is another one than the lock's; all that differs is named.
        HubError: a locked commit is not in the cache and cannot be fetched.
    """
    declared, folder = declared_in(recipe, operators)
    said = {name: each.where for name, each in declared.items()}
    _refuse(
        _others(said, lock), where, "the recipe has changed: write the lock anew, weightarith lock RECIPE"
    )
    places = {
        name: _place(pinned, folder, stream=stream and declared[name].kind != "direction")
        for name, pinned in lock.inputs.items()
    }
    done = 0

    def moved(count: int) -> None:
        nonlocal done
        done += count
        progress(done)

    drifted = [
        each for name, pinned in lock.inputs.items() for each in _drift(name, pinned, places[name], moved)
    ]
    _refuse(
        drifted, where, "fetch or restore what was locked, or write the lock anew: weightarith lock RECIPE"
    )
    return Held({name: _given(place) for name, place in places.items()}, _hashes(lock, places))


def _hashes(lock: Lock, places: Mapping[str, Path | Address]) -> dict[Path, str]:
    """Return the locked hashes of files that are on this machine."""
    here = {name: place for name, place in places.items() if isinstance(place, Path)}
    return {
        _file(place, file): pin.sha256
        for name, place in here.items() for file, pin in lock.inputs[name].files.items() if pin.sha256
    }  # fmt: skip


def _given(place: Path | Address) -> Given:
    return Given(place) if isinstance(place, Path) else Given(Path(), afar=place)


def bytes_held(lock: Lock) -> int:
    """Return the bytes on the disk that `held` hashes."""
    return sum(pin.size for each in lock.inputs.values() if not each.repo for pin in each.files.values())


def drift_between(old: Lock, new: Lock) -> list[str]:
    """Return what a lock made now says otherwise than an earlier one, in words."""
    found = []
    for name in sorted({*old.inputs, *new.inputs}):
        before, now = old.inputs.get(name), new.inputs.get(name)
        if before is None or now is None:
            found.append(f"input {quoted(name)}: {'new' if before is None else 'gone'}")
            continue
        for key in ("where", "repo", "revision", "commit", "path"):
            found += _differs(f"input {name}: {key}", getattr(before, key), getattr(now, key))
        for file in sorted({*before.files, *now.files}):
            pins = [str(each.files.get(file, "no file")) for each in (before, now)]
            found += _differs(f"{name}/{file}", *pins)
    return found


def _differs(what: str, expected: str, found: str) -> list[str]:
    return (
        [f"{what}: expected {expected or 'nothing'}, found {found or 'nothing'}"] if expected != found else []
    )


def _others(said: Mapping[str, str], lock: Lock) -> Iterator[str]:
    for name, text in said.items():
        if name not in lock.inputs:
            yield f"input {quoted(name)} is not in the lock"
        elif lock.inputs[name].where != text:
            yield f"input {name}: expected {quoted(lock.inputs[name].where)}, found {quoted(text)}"
    yield from (f"input {quoted(name)} is not in the recipe" for name in lock.inputs if name not in said)


def _place(pinned: Pinned, folder: Path, *, stream: bool) -> Path | Address:
    """Return where an input lies; with `stream` the address of one that would have to be downloaded."""
    if pinned.repo:
        address = str(Address(pinned.repo, pinned.commit, pinned.path))
        return found_at(address) if stream else locate(address)
    place = place_of(pinned.where, folder)
    if isinstance(place, Address):  # the file or folder that was locked is gone
        raise VerificationError(f"{quoted(pinned.where)} was locked as a path, and is no longer there")
    return place


def _file(place: Path, name: str) -> Path:
    return place / name if place.is_dir() else place.with_name(name)


def _drift(name: str, pinned: Pinned, place: Path | Address, progress: Progress) -> Iterator[str]:
    """Yield what differs between an input and its pins; files that the lock has not count too."""
    if isinstance(place, Address):
        yield from _drift_afar(name, pinned, place)
        return
    if not place.exists():
        yield f"input {name}: no such file or folder: {quoted(str(place))}"
        return
    there = files_at(place)
    for file, pin in pinned.files.items():
        path = _file(place, file)
        if not path.is_file():
            yield f"{name}/{file}: expected {pin}, found no file"
            continue
        found = _found(path, pin, progress)
        if found != pin:
            yield f"{name}/{file}: expected {pin}, found {found}"
    for file in there:
        if file not in pinned.files:
            yield f"{name}/{file}: expected no file, found one"


def _drift_afar(name: str, pinned: Pinned, address: Address) -> Iterator[str]:
    """Yield what differs between what the Hub lists of an input and its pins."""
    listed = pins_in(listing(address))
    for file in sorted({*pinned.files, *listed}):
        expected, found = (str(each.get(file, "no file")) for each in (pinned.files, listed))
        yield from _differs(f"{name}/{file}", expected, found)


def _found(path: Path, pin: Pin, progress: Progress) -> Pin:
    """Return a file as a lock would pin it; a file of another size is not hashed."""
    size = path.stat().st_size
    if size != pin.size:
        return Pin(size, "not looked at")
    known = _name_in_cache(path)
    if pin.git:
        return Pin(size, "", known if len(known) == len(pin.git) else git_oid_of(path))
    return Pin(size, known if len(known) == len(pin.sha256) else sha256_of(path, progress))


def _name_in_cache(path: Path) -> str:
    """Return what the Hub's cache calls the content of a file, nothing for a file elsewhere."""
    try:
        blob = path.readlink()
    except (OSError, ValueError):
        return ""
    return blob.name if blob.parent.name == "blobs" else ""


def _refuse(drifted: Iterable[str], where: str, hint: str) -> None:
    told = "".join(f"\n  {each}" for each in drifted)
    if told:
        raise VerificationError(f"inputs are not those of {where}:{told}", hint=hint)
