"""The tensors of a PEFT LoRA folder: each is a factor, a trained weight, or an error that names it.

The change of one weight is `scale · B @ A`, and it is kept as its two factors.

Hu et al. (2022), "LoRA", section 4.1, https://arxiv.org/abs/2106.09685
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightarith.adapter.config import MERGE_FIRST, Settings, read_settings
from weightarith.adapter.trained import PREFIX, summable, trained_weights
from weightarith.errors import InvalidFileError, UnsupportedError, quoted
from weightarith.tensorfile.factored import Factored, Matrix
from weightarith.tensorfile.header import read_header
from weightarith.tensorfile.model import Stored, TensorFile
from weightarith.tensorfile.sniff import shown

ADAPTER_WEIGHTS = "adapter_model.safetensors"
_FACTOR = re.compile(r"(?P<module>.+)\.(?:lora_(?P<side>[AB])\.weight|lora_embedding_(?P<embedding>[AB]))")


@dataclass(frozen=True, eq=False)
class AdapterContents:
    """What an adapter does to the weights of its base, by their names.

    A name may be in both `factors` and `replaced`: PEFT saves the weight below a LoRA on an embedding, which
    may have grown. The new weight is then `replaced + scale · B @ A`. `copies` are tensors that PEFT saves
    twice and does not load; they are named here to account for them.
    """

    factors: Mapping[str, Factored]
    replaced: Mapping[str, Stored]
    copies: tuple[str, ...]
    config: Mapping[str, Any]
    file: TensorFile


@dataclass(frozen=True)
class _Sides:
    a: str
    b: str
    embedding: bool


def read_adapter(folder: Path, header: Callable[[], TensorFile] | None = None) -> AdapterContents:
    """Return the displacements and trained weights in the PEFT LoRA folder `folder`, by headers only.

    Args:
        folder: with adapter_config.json in it.
        header: reads that of the weights, where they do not lie in the folder.

    Raises:
        InvalidFileError: a file is missing or malformed, a factor stands alone, or has another rank than
            configured.
        UnsupportedError: no LoRA, a variant that is no plain product, a pickle, or a tensor not understood.
    """
    config, weights = folder / "adapter_config.json", folder / ADAPTER_WEIGHTS
    _expect_files(folder, (config,) if header is not None else (config, weights))
    settings = read_settings(config)
    file = header() if header is not None else read_header(weights)
    pairs, others = _sort(file)
    factors = {
        f"{module}.weight": _factored(file, settings, module, sides) for module, sides in pairs.items()
    }
    replaced, copies = trained_weights(file, settings, others, factors)
    if not factors and not replaced:
        raise InvalidFileError(f"{shown(weights)} holds no tensor: the adapter changes nothing")
    return AdapterContents(factors, replaced, copies, settings.raw, file)


def _expect_files(folder: Path, files: Iterable[Path]) -> None:
    missing = [needed for needed in files if not needed.exists()]
    if folder / ADAPTER_WEIGHTS in missing and (folder / "adapter_model.bin").exists():
        raise UnsupportedError(
            f"{shown(folder / 'adapter_model.bin')} is a pickle, which is never loaded here",
            hint="load it once with PEFT, in an isolated place, and save_pretrained() it as safetensors",
        )
    for needed in missing:
        raise InvalidFileError(
            f"{shown(folder)} is an adapter without {quoted(needed.name)}",
            hint="finish the download, or save it again",
        )


def _sort(file: TensorFile) -> tuple[dict[str, _Sides], list[str]]:
    """Return the names of the factors by module, and the names of all other tensors."""
    sides: dict[tuple[str, bool], dict[str, str]] = {}
    others = []
    for name in file.tensors:
        if not name.startswith(PREFIX):
            raise UnsupportedError(
                f"{shown(file.path)} holds {quoted(name)}, expected names that begin with {quoted(PREFIX)}",
                hint="save the adapter with PEFT's save_pretrained()",
            )
        found = _FACTOR.fullmatch(name, len(PREFIX))
        if found is None:
            others.append(name)
        else:
            pair = sides.setdefault((found["module"], bool(found["embedding"])), {})
            pair[found["side"] or found["embedding"]] = name
    pairs: dict[str, _Sides] = {}
    for (module, embedding), pair in sides.items():
        if len(pair) < 2 or module in pairs:
            what = "twice" if module in pairs else "without its other factor"
            raise InvalidFileError(f"{shown(file.path)} holds {quoted(min(pair.values()))} {what}")
        pairs[module] = _Sides(pair["A"], pair["B"], embedding)
    return pairs, others


def _factored(file: TensorFile, settings: Settings, module: str, sides: _Sides) -> Factored:
    a, b = _matrix(file, sides.a), _matrix(file, sides.b)
    (rank, _), (_, inner), wanted = a.shape, b.shape, settings.rank_at(module)
    if rank != inner or rank != wanted:
        raise InvalidFileError(
            f"{shown(file.path)}: {quoted(sides.a)} is {list(a.shape)} and {quoted(sides.b)} is "
            f"{list(b.shape)}, expected (rank, in) and (out, rank) of the rank {wanted} that "
            f"{settings.path.name} gives this module",
            hint="the two files may be of different adapters",
        )
    scale = settings.scale_at(module)
    if sides.embedding or settings.transposed:  # the weight is stored (in, out): (B @ A)ᵀ = Aᵀ @ Bᵀ
        return Factored(Matrix(a.stored, transposed=True), Matrix(b.stored, transposed=True), scale)
    return Factored(b, a, scale)


def _matrix(file: TensorFile, name: str) -> Matrix:
    stored = summable(file, name)
    shape = stored.info.shape
    if len(shape) > 2:
        raise UnsupportedError(
            f"{shown(file.path)}: the factor {quoted(name)} is {list(shape)}, expected a matrix: "
            "LoRA on convolutions and on fused experts is not supported",
            hint=MERGE_FIRST,
        )
    if len(shape) < 2 or 0 in shape:
        raise InvalidFileError(
            f"{shown(file.path)}: the factor {quoted(name)} is {list(shape)}, expected a matrix",
            hint="it may be one part of a tensor that was sharded in training: save it again, gathered",
        )
    return Matrix(stored)
