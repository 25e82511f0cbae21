"""An adapter folder as a loader meets it: its config as it stands, tensor names, shapes, and nothing judged.

Only headers are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from weightarith.adapter.portable import CONFIG, TENSORS
from weightarith.adapter.portable_base import WEIGHT, Base
from weightarith.adapter.trained import PREFIX
from weightarith.errors import InvalidFileError, UnsupportedError, quoted
from weightarith.store.folder import weight_files
from weightarith.store.open import open_source
from weightarith.store.site import names_in
from weightarith.tensorfile.header import read_header
from weightarith.tensorfile.jsonfile import CONFIG_LIMIT, read_object
from weightarith.tensorfile.model import TensorInfo
from weightarith.tensorfile.sniff import shown

_FACTOR = re.compile(
    rf"(?P<prefix>{re.escape(PREFIX)})?(?P<module>.+?)"
    r"\.(?:lora_(?P<side>[AB])\.weight|lora_embedding_(?P<embedding>[AB]))"
)
# Checkpoints and the classes that run them begin some names in different ways.
_SPELLINGS = ("model.language_model.", "language_model.model.", "model.")


@dataclass(frozen=True)
class Factors:
    """The two factors of one module, as they are stored."""

    module: str
    a: tuple[int, ...]
    b: tuple[int, ...]
    embedding: bool

    @property
    def rank(self) -> int:
        """The rank of the product."""
        return self.a[0]

    @property
    def end(self) -> str:
        """The last part of the module's path."""
        return self.module.rpartition(".")[2]


@dataclass(frozen=True, eq=False)
class Folder:
    """What is known of an adapter folder without reading a number of its tensors.

    Attributes:
        path: where it is.
        config: adapter_config.json.
        tensors: what adapter_model.safetensors holds.
        factors: its pairs, by the path of the module.
        others: the names of tensors that are no factor.
        bare: the names of factors that do not begin as PEFT's do.
        files: every file of the folder.
        base: the model it is for, None where it was not given; without shapes where only config.json was.
    """

    path: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, TensorInfo]
    factors: Mapping[str, Factors]
    others: tuple[str, ...]
    bare: tuple[str, ...]
    files: frozenset[str]
    base: Base | None

    @property
    def model_type(self) -> str:
        """The kind of the base, as its config.json names it; empty where that is not known."""
        return str((self.base.config if self.base else {}).get("model_type") or "")

    def lacking(self) -> Iterator[Factors]:
        """Yield the pairs whose module the base does not have; nothing where its tensors are not known."""
        if self.base is None or not self.base.shapes:
            return
        for pair in self.factors.values():
            if not any(spelling in self._weights for spelling in _spellings(pair.module)):
                yield pair

    def shape(self, pair: Factors) -> tuple[int, ...] | None:
        """Return the shape of the weight that a pair moves, as (out, in); None where it is not known."""
        found = next((self._weights[one] for one in _spellings(pair.module) if one in self._weights), None)
        turned = pair.embedding or (self.base is not None and self.base.transposed)
        return found[::-1] if found is not None and turned else found

    @cached_property
    def _weights(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the base's weights, by the paths of their modules."""
        if self.base is None:
            return {}
        shapes = self.base.shapes.items()
        return {self.base.module(name): shape for name, shape in shapes if name.endswith(WEIGHT)}


def read_folder(path: Path, base: Path | None = None) -> Folder:
    """Return what an adapter folder holds, whatever it is worth.

    Args:
        path: a folder with adapter_config.json and adapter_model.safetensors.
        base: the folder of the model it is for; its config.json is needed, its weights help.

    Raises:
        InvalidFileError: a file is missing or damaged, or a factor stands alone.
        UnsupportedError: the tensors are in a pickle, which is not opened.
    """
    if path.is_file():
        raise InvalidFileError(
            f"{shown(path)} is a file, expected the folder of a PEFT adapter",
            hint="a vector becomes one with: weightarith compress V --rank R --format peft -o DIR",
        )
    files = names_in(path)
    if CONFIG not in files:
        raise InvalidFileError(
            f"{shown(path)} holds no {CONFIG}: it is no adapter", hint="give the folder of a PEFT adapter"
        )
    if TENSORS not in files:
        raise _without_tensors(path, files)
    config = read_object(path / CONFIG, CONFIG_LIMIT)
    tensors = read_header(path / TENSORS).tensors
    factors, others, bare = _sorted(path / TENSORS, tensors)
    return Folder(path, config, tensors, factors, others, bare, files, _base(base) if base else None)


def _without_tensors(path: Path, files: frozenset[str]) -> Exception:
    if "adapter_model.bin" in files:
        return UnsupportedError(
            f"{shown(path / 'adapter_model.bin')} is a pickle, which is never loaded here",
            hint="load it once with PEFT, in an isolated place, and save_pretrained() it as safetensors",
        )
    return InvalidFileError(
        f"{shown(path)} is an adapter without {quoted(TENSORS)}", hint="finish the download, or save it again"
    )


def _sorted(
    path: Path, tensors: Mapping[str, TensorInfo]
) -> tuple[dict[str, Factors], tuple[str, ...], tuple[str, ...]]:
    sides: dict[str, dict[str, tuple[int, ...]]] = {}
    embeddings, others, bare = set(), [], []
    for name, info in tensors.items():
        found = _FACTOR.fullmatch(name)
        if found is None:
            others.append(name)
            continue
        sides.setdefault(found["module"], {})[found["side"] or found["embedding"]] = info.shape
        if found["embedding"]:
            embeddings.add(found["module"])
        if found["prefix"] is None:
            bare.append(name)
    for module, pair in sides.items():
        if len(pair) < 2 or any(len(shape) < 2 for shape in pair.values()):
            raise InvalidFileError(
                f"{shown(path)} holds no whole pair of factors for {quoted(module)}, "
                "expected a matrix A and a matrix B"
            )
    factors = {
        module: Factors(module, pair["A"], pair["B"], module in embeddings) for module, pair in sides.items()
    }
    return factors, tuple(others), tuple(bare)


def _base(path: Path) -> Base:
    names = names_in(path)
    if "config.json" not in names:
        raise InvalidFileError(f"{shown(path)} holds no config.json", hint="give the folder of a model")
    config = read_object(path / "config.json", CONFIG_LIMIT)
    if not weight_files(names):
        return Base({}, config)
    source = open_source(path, "checkpoint")
    return Base({name: stored.info.shape for name, stored in source.tensors.items()}, config)


def _spellings(module: str) -> list[str]:
    for begins in _SPELLINGS:
        if module.startswith(begins):
            return [module, *(other + module.removeprefix(begins) for other in _SPELLINGS)]
    return [module]
