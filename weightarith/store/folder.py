"""A folder of safetensors files: one file, or shards whose index agrees with the disk both ways.

The names in an index are checked as text before anything is opened: each must be a plain file name. What it
leads to may be a symbolic link, for that is how snapshots in the Hub's cache look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightarith.errors import InvalidFileError, quoted, some
from weightarith.store.site import DISK, Site
from weightarith.tensorfile.jsonfile import INDEX_LIMIT, read_object
from weightarith.tensorfile.model import Stored, TensorFile
from weightarith.tensorfile.sniff import shown

SUFFIX = ".safetensors"
INDEX_SUFFIX = ".safetensors.index.json"
RESUME = "finish the download: hf download REPO --local-dir FOLDER"


@dataclass(frozen=True, eq=False)
class Tensors:
    """Tensors by name, and the files they lie in."""

    files: tuple[TensorFile, ...]
    stored: Mapping[str, Stored]


def weight_files(names: frozenset[str]) -> list[str]:
    """Return the safetensors files among `names` that hold the weights of a model in this layout, sorted.

    Left out: `adapter_model.safetensors`, which is an adapter's, and `consolidated*.safetensors`, the same
    weights once more under Mistral's own names, which transformers leaves aside too.
    """
    return sorted(
        name
        for name in names
        if name.endswith(SUFFIX)
        and name != "adapter_model.safetensors"
        and not name.startswith("consolidated")
    )


def read_single(path: Path, site: Site = DISK) -> Tensors:
    """Return what the safetensors file at `path` stores."""
    (file,) = site.headers([path])
    return Tensors((file,), {name: Stored(file, info) for name, info in file.tensors.items()})


def read_sharded(index: Path, site: Site = DISK) -> Tensors:
    """Return what the shards named by `index` store, in the order of the files' names.

    Raises:
        InvalidFileError: the index names what is no plain file, or a file or tensor that is not there; or
            the folder holds a tensor or a safetensors file that the index does not name.
    """
    folder = index.parent
    placed = _weight_map(index)
    shards = sorted(set(placed.values()))
    _match_files(index, shards, site)
    files = dict(zip(shards, site.headers(folder / shard for shard in shards), strict=True))
    _match_tensors(index, placed, files)
    stored = {name: Stored(file, info) for file in files.values() for name, info in file.tensors.items()}
    return Tensors(tuple(files.values()), stored)


def _weight_map(index: Path) -> dict[str, str]:
    found: Any = read_object(index, INDEX_LIMIT).get("weight_map")
    if not isinstance(found, dict) or not found:
        raise InvalidFileError(f"{shown(index)} has no weight_map from tensors to files")
    for name, shard in found.items():
        if not isinstance(shard, str) or not _is_plain(shard):
            found_there = quoted(shard) if isinstance(shard, str) else repr(shard)[:100]
            raise InvalidFileError(
                f"{shown(index)} places {quoted(name)} in {found_there}, "
                f"expected the plain name of a {SUFFIX} file",
                hint="do not use this download: an index never needs to point outside its folder",
            )
    return found


def _is_plain(name: str) -> bool:
    return (
        name.endswith(SUFFIX)
        and not name.startswith(".")
        and len(name) <= 255  # longer is no file name on any common system
        and name.isprintable()
        and not any(c in name for c in "/\\:")
    )


def _match_files(index: Path, shards: list[str], site: Site) -> None:
    present = site.names(index.parent)
    missing = [shard for shard in shards if shard not in present or not site.holds(index.parent / shard)]
    if missing:
        raise InvalidFileError(
            f"{shown(index)} names {len(shards)} files and {len(missing)} are missing: {some(missing, 3)}",
            hint=RESUME,
        )
    extra = sorted(set(weight_files(present)) - set(shards))
    if extra:
        raise InvalidFileError(
            f"{shown(index.parent)} holds {some(extra, 3)}, not named by {quoted(index.name)}: "
            "the index or the file is left from another model",
            hint="move what does not belong to the model out of the folder",
        )


def _match_tensors(index: Path, placed: Mapping[str, str], files: Mapping[str, TensorFile]) -> None:
    for name, shard in placed.items():
        if name not in files[shard].tensors:
            elsewhere = next((other for other, file in files.items() if name in file.tensors), None)
            raise InvalidFileError(
                f"{shown(index)} places {quoted(name)} in {quoted(shard)}, which does not hold it"
                + (f"; {quoted(elsewhere)} does" if elsewhere else ""),
                hint="index and files are of different versions: download them again together",
            )
    for shard, name in _stored_names(files):
        if placed.get(name) != shard:
            told = (
                f"the index places it in {quoted(placed[name])}" if name in placed else "the index lacks it"
            )
            raise InvalidFileError(
                f"{shown(index.parent / shard)} holds {quoted(name)}, and {told}",
                hint="index and files are of different versions: download them again together",
            )


def _stored_names(files: Mapping[str, TensorFile]) -> Iterator[tuple[str, str]]:
    return ((shard, name) for shard, file in files.items() for name in file.tensors)
