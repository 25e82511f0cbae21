"""What lies at a path, told by its files: a checkpoint, a vector or an adapter. Only headers are read."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from weightarith.adapter import ADAPTER_WEIGHTS, is_adapter, read_adapter, read_single_file
from weightarith.errors import InvalidFileError, UnsupportedError, quoted, some
from weightarith.hub.cached import origin
from weightarith.store.encodings import split_encoded
from weightarith.store.folder import (
    INDEX_SUFFIX,
    RESUME,
    SUFFIX,
    Tensors,
    read_sharded,
    read_single,
    weight_files,
)
from weightarith.store.foreign import refuse_foreign
from weightarith.store.gguf import refuse_gguf
from weightarith.store.naming import NAMES, OWN
from weightarith.store.quantised import refuse_quantised
from weightarith.store.site import DISK, Site
from weightarith.store.source import Kind, Source
from weightarith.store.vector import split_factors, vector_metadata
from weightarith.tensorfile.encoded import MARK
from weightarith.tensorfile.jsonfile import CONFIG_LIMIT, read_object
from weightarith.tensorfile.sniff import shown

KIND = "weightarith.kind"
ADAPTER_CONFIG = "adapter_config.json"
_PART = re.compile(r"-\d+-of-(\d+)\.safetensors$")
_FACTORS = (".lora_A", ".lora_B", ".lora_down.", ".lora_up.")
ADAPTER_FILES = (ADAPTER_CONFIG, ADAPTER_WEIGHTS, "adapter_model.bin")


def open_source(path: Path, kind: Kind | None = None, *, site: Site = DISK) -> Source:
    """Return what lies at `path`, opened by its headers: a folder, or a single safetensors file.

    A single file is what its metadata say, and a checkpoint where they say nothing. `kind` decides there, and
    in a folder that holds two things. An adapter passes for a vector, for it is a displacement. `site` is
    where the weights lie, if not on the disk.

    Raises:
        InvalidFileError: nothing is there, or a file is not what its name, header or index says.
        UnsupportedError: what is there is of another kind than asked for, or in a layout that is not read.
    """
    opened = _open_folder(path, kind, site) if site.is_folder(path) else _open_file(path, kind, site)
    source = replace(opened, origin=origin(path))
    if kind is not None and source.kind != kind and (kind, source.kind) != ("vector", "adapter"):
        raise UnsupportedError(f"{shown(path)} is of kind {source.kind}, expected {kind}")
    return source


def _open_file(path: Path, kind: Kind | None, site: Site) -> Source:
    if path.name.endswith(INDEX_SUFFIX) or path.name == ADAPTER_CONFIG:
        raise InvalidFileError(
            f"{shown(path)} holds no tensors", hint=f"give its folder: {shown(path.parent)}"
        )
    refuse_gguf(path)
    tensors = read_single(path, site)
    said = tensors.files[0].metadata.get(KIND)
    if said is None and is_adapter(tensors.stored):
        return _single_adapter(path, tensors)
    if said == "vector" or (said is None and kind == "vector"):
        return _vector(path, tensors)
    config = path.parent / "config.json"
    # Beside any other name it may be the config of another model.
    return _checkpoint(
        path, tensors, config if path.name == "model.safetensors" and config.exists() else None
    )


def _open_folder(folder: Path, kind: Kind | None, site: Site) -> Source:
    names = site.names(folder)
    weights = weight_files(names)
    adapter = not names.isdisjoint(ADAPTER_FILES)
    if adapter and weights and kind not in ("checkpoint", "adapter"):
        raise InvalidFileError(
            f"{shown(folder)} holds an adapter and {some(weights, 3)}: which of them is meant is not clear",
            hint="move one of them to a folder of its own",
        )
    if adapter and (kind != "checkpoint" or not weights):
        return _adapter(folder, site)
    if not weights:
        refuse_foreign(folder, names)
        raise InvalidFileError(
            f"{shown(folder)} holds no {SUFFIX} file; it holds {some(sorted(names), 5) or 'nothing'}",
            hint="give the folder of a model, a vector or an adapter",
        )
    tensors = _read_weights(folder, names, weights, site)
    first = tensors.files[0]
    if len(tensors.files) == 1 and KIND not in first.metadata and is_adapter(tensors.stored):
        return _single_adapter(folder, tensors)
    if first.path.name.startswith("vector") or first.metadata.get(KIND) == "vector":
        return _vector(folder, tensors)
    return _checkpoint(folder, tensors, folder / "config.json" if "config.json" in names else None)


def _read_weights(folder: Path, names: frozenset[str], weights: list[str], site: Site) -> Tensors:
    for stem in ("model", "vector"):
        if f"{stem}{INDEX_SUFFIX}" in names:
            return read_sharded(folder / f"{stem}{INDEX_SUFFIX}", site)
    if len(weights) > 1:
        raise InvalidFileError(
            f"{shown(folder)} holds {len(weights)} safetensors files and no model{INDEX_SUFFIX} "
            f"that says how they belong together: {some(weights, 3)}",
            hint="finish the download, or give the one file that is meant",
        )
    part = _PART.search(weights[0])
    if part:
        raise InvalidFileError(
            f"{shown(folder / weights[0])} is one of {int(part[1]):,} files, and there is no "
            f"model{INDEX_SUFFIX}",
            hint=RESUME,
        )
    return read_single(folder / weights[0], site)


def _checkpoint(path: Path, tensors: Tensors, config_file: Path | None) -> Source:
    config = read_object(config_file, CONFIG_LIMIT) if config_file else None
    for file in tensors.files:
        said = file.metadata.get(KIND, "checkpoint")
        if said != "checkpoint":
            raise UnsupportedError(f"{shown(file.path)} says it is a {quoted(said)}, expected a checkpoint")
    _refuse_bare_adapter(path, tensors)
    refuse_quantised(path, config, tensors.stored)
    marked = next((name for name in tensors.stored if MARK in name), None)
    if marked is not None:
        raise InvalidFileError(
            f"{shown(path)} holds {quoted(marked)}, a name of vectors, and its header does not say it is one",
            hint="say that it is a vector where it is named as an input",
        )
    return Source(path, "checkpoint", tensors.files, tensors.stored, config=config)


def _vector(path: Path, tensors: Tensors) -> Source:
    metadata = vector_metadata(tensors)
    plain, encoded = split_encoded(path, tensors.stored, metadata)
    dense, factors = split_factors(path, plain)
    return Source(
        path, "vector", tensors.files, dense, factors, metadata=metadata, encoded=encoded,
        own_names=metadata.get(NAMES) == OWN,
    )  # fmt: skip


def _adapter(folder: Path, site: Site) -> Source:
    weights = folder / ADAPTER_WEIGHTS
    found = read_adapter(folder, (lambda: site.headers([weights])[0]) if site.holds(weights) else None)
    return Source(folder, "adapter", (found.file,), {}, found.factors, found.replaced, found.config)


def _single_adapter(path: Path, tensors: Tensors) -> Source:
    """Return an adapter of kohya's, ComfyUI's or diffusers' making; without factors it is a vector."""
    (file,) = tensors.files
    found = read_single_file(file)
    kind: Kind = "adapter" if found.factors else "vector"
    return Source(path, kind, (file,), found.dense, found.factors, metadata=file.metadata, own_names=True)


def _refuse_bare_adapter(path: Path, tensors: Tensors) -> None:
    name = next((name for name in tensors.stored if any(mark in name for mark in _FACTORS)), None)
    if name is not None:
        raise InvalidFileError(
            f"{shown(path)} holds the LoRA factor {quoted(name)}: its scale stands in {ADAPTER_CONFIG}",
            hint=f"give the adapter's folder, which holds both: {shown(path.parent)}",
        )
