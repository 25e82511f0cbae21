"""What a name of a model means: a path that is there, a snapshot in the Hub's cache, or a download."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from glob import escape
from pathlib import Path
from typing import Any

from weightarith.errors import HubError, InvalidFileError, StorageError, quoted
from weightarith.hub import cached
from weightarith.hub.address import SCHEME, Address, parse
from weightarith.hub.listing import Listing, listing
from weightarith.hub.session import online, patiently, talking
from weightarith.hub.wanted import chosen, wanted

INDEX = "model.safetensors.index.json"


def locate(text: str) -> Path:
    """Return the local path that `text` means: one that is there, or a model's snapshot in the Hub's cache.

    `org/name` and `org/name@revision` name repositories; a path of that name wins, unless `hf://` stands
    before it. A revision is a branch, a tag, or a commit, which may be cut to its first 7 characters or more.
    What is in the cache is not asked for again, also where a branch has moved since; what is not is
    downloaded, unless HF_HUB_OFFLINE=1.

    Raises:
        HubError: the repository, or that revision of it, is not in the cache, and could not be downloaded.
        InvalidFileError: no such path, and no name of a repository either.
        StorageError: it does not fit on the disk.
        UnsupportedError: its weights are no safetensors files.
    """
    place = place_of(text)
    return place if isinstance(place, Path) else snapshot(place) / place.path


def place_of(text: str) -> Path | Address:
    """Return what `locate` does, or the address of what is on the Hub and would have to be downloaded.

    Raises:
        HubError: the repository, or that revision of it, is not in the cache, and HF_HUB_OFFLINE=1.
        InvalidFileError: no such path, and no name of a repository either.
    """
    path, address = _expanded(text), parse(text)
    if text.startswith(SCHEME):
        if address is None:
            raise InvalidFileError(
                f"{quoted(text)} names no repository of the Hub, expected {SCHEME}org/name[@revision][/path]"
            )
        return _found(address)
    if text and _is_there(path):
        return path
    if address is None:
        raise _no_such(text, path)
    near = _is_there(path.parent)  # then `runs/tpyo` is a slip of the pen and no repository
    try:
        return _found(address, download=not near)
    except HubError:
        if near:
            raise _no_such(text, path) from None
        raise


def snapshot(address: Address, *, weights: bool = True) -> Path:
    """Download what can be read here of a repository into the Hub's cache; return its folder there.

    `address.path` narrows it to a folder, or to a file and the small files beside it. What is in the cache
    already does not come again. On a terminal a bar shows bytes, rate and the time left.

    Raises:
        HubError: the Hub or the network did not deliver.
        StorageError: it does not fit on the disk.
        UnsupportedError: its weights are no safetensors files.
    """
    from huggingface_hub import constants, snapshot_download

    held = listing(address)
    names = chosen(held, weights=weights)
    _check_space(held, names)
    with talking(f"downloading {address.repo} at {quoted(address.revision)}"):
        folder = patiently(
            lambda: snapshot_download(
                address.repo, revision=held.commit, allow_patterns=[escape(name) for name in names],
                cache_dir=constants.HF_HUB_CACHE, tqdm_class=_bars(), library_name="weightarith",
            )
        )  # fmt: skip
        cached.remember(address, held.commit)
    return Path(folder)


def _found(address: Address, *, download: bool = True) -> Path | Address:
    """Return the path of an address in the cache; the address where it has to be downloaded and may be."""
    missing: HubError | None = None
    try:
        held = cached.snapshot(address, wanted(address.path))
    except HubError as error:
        missing = error
    else:
        there = _is_there(held.folder / address.path)
        if there and (not online() or (held.whole and _has_weights(held.folder / address.path))):
            return held.folder / address.path
        missing = cached.not_cached(address)
    if not (download and online()):
        raise missing
    return address


def _has_weights(path: Path) -> bool:
    """Return whether weights are there, and all that an index names: else a download was broken off."""
    if path.is_file():
        return True
    if not (path / INDEX).is_file():
        return next(path.glob("*.safetensors"), None) is not None
    try:
        index: Any = json.loads((path / INDEX).read_bytes())
        return all((path / str(name)).is_file() for name in set(index["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return True  # what is wrong with it, whoever opens it says


def _check_space(held: Listing, names: Iterable[str]) -> None:
    folder = cached.repository_folder(held.address.repo)
    there = folder / "snapshots" / held.commit
    needed = sum(held.files[name].size for name in names if not (there / name).exists())
    place = next((one for one in (folder, *folder.parents) if one.exists()), Path("/"))
    free = shutil.disk_usage(place).free
    if needed > free:
        raise StorageError(
            f"{held.address.repo} needs {needed:,} bytes in the Hub's cache, and {free:,} are free there",
            hint="make room (hf cache prune), or put the cache elsewhere: HF_HUB_CACHE=DIR",
        )


def _bars() -> type | None:
    """Return a progress bar that shows nothing where nobody looks on, None for the usual one."""
    if sys.stderr is not None and sys.stderr.isatty():
        return None
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    class Silent(tqdm):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **(options | {"disable": True}))  # type: ignore[no-untyped-call]

    return Silent


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # ~somebody, and nobody has that name
        return Path(text)


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except PermissionError:  # whoever opens it gets the error that says so
        return True
    except (OSError, ValueError):
        return False
    return True


def _no_such(text: str, path: Path) -> InvalidFileError:
    parent = path.parent
    try:
        near = get_close_matches(path.name, [entry.name for entry in parent.iterdir()], 1)
        hint = f"did you mean {quoted(str(parent / near[0]))}?" if near else ""
    except (OSError, ValueError):
        hint = f"the folder {quoted(str(parent))} is not there either"
    return InvalidFileError(
        f"no such file or folder: {quoted(text)}",
        hint=hint or f"give a path, or a model of the Hub as {SCHEME}org/name",
    )
