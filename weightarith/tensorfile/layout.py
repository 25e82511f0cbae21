"""Where every byte of a safetensors file will lie, known before the first one is written.

Equal inputs give equal bytes: tensors by dtype from the widest to the narrowest, then by name, as the
safetensors library writes them; metadata first and sorted; the header padded with spaces to 8 bytes.

https://github.com/huggingface/safetensors/blob/main/safetensors/src/tensor.rs (`prepare`)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from weightarith.errors import IncompatibleError, quoted
from weightarith.tensorfile.dtypes import DTYPES, DType
from weightarith.tensorfile.entries import LENGTH_BYTES, MAX_RANK, MAX_TENSORS, METADATA, flaw_of_name
from weightarith.tensorfile.header import MAX_HEADER
from weightarith.tensorfile.model import TensorInfo

ALIGNMENT = 8

_ORDER = {code: rank for rank, code in enumerate(DTYPES)}  # the table stands in the format's own order


@dataclass(frozen=True, eq=False)
class Layout:
    """A file to be: the `header` with its length in front, each tensor's place, and the `size` in bytes."""

    header: bytes
    tensors: dict[str, TensorInfo]
    size: int


def lay_out(tensors: Mapping[str, tuple[DType, tuple[int, ...]]], metadata: Mapping[str, str]) -> Layout:
    """Return the one layout of these tensors and this metadata; the order they come in does not matter.

    Raises:
        IncompatibleError: a name, a shape or a number of tensors that no reader would take back.
    """
    if len(tensors) > MAX_TENSORS:
        raise IncompatibleError(f"{len(tensors):,} tensors do not fit in one file of at most {MAX_TENSORS:,}")
    names = sorted(tensors, key=lambda name: (-_ORDER[tensors[name][0].code], name))
    entries: dict[str, object] = {METADATA: dict(sorted(metadata.items()))} if metadata else {}
    ends: list[int] = []
    end = 0
    for name in names:
        dtype, shape = tensors[name]
        begin, end = end, end + _size(name, dtype, shape)
        ends.append(end)
        entries[name] = {"dtype": dtype.code, "shape": shape, "data_offsets": (begin, end)}
    header = _encode(entries)
    starts = [0, *ends[:-1]]
    infos = {
        name: TensorInfo(*tensors[name], start=len(header) + start, stop=len(header) + stop)
        for name, start, stop in zip(names, starts, ends, strict=False)
    }
    return Layout(header, infos, len(header) + end)


def _size(name: str, dtype: DType, shape: tuple[int, ...]) -> int:
    if flaw := flaw_of_name(name):
        raise IncompatibleError(f"{quoted(name)} cannot name a tensor in a file: {flaw}")
    if len(shape) > MAX_RANK:
        raise IncompatibleError(
            f"tensor {quoted(name)} has {len(shape)} dimensions; at most {MAX_RANK} are read"
        )
    bits = prod(shape) * dtype.bits
    if bits % 8:
        raise IncompatibleError(
            f"tensor {quoted(name)} of {dtype.code} {list(shape)} takes {bits} bits, no whole number of bytes"
        )
    return bits // 8


def _encode(entries: Mapping[str, object]) -> bytes:
    try:
        text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise IncompatibleError(f"{METADATA} holds a lone surrogate, which is no text") from error
    text += b" " * (-len(text) % ALIGNMENT)
    if len(text) > MAX_HEADER:
        raise IncompatibleError(
            f"a header of {len(text):,} bytes does not fit in one file of at most {MAX_HEADER:,}"
        )
    return len(text).to_bytes(LENGTH_BYTES, "little") + text
