"""Encoded vectors for tests: written with the package's layout, decoded by loops that are written here."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.tiny import CODES, to_bfloat16
from weightarith.kernels.encodings import Doubles, decode_block, encode
from weightarith.store import Encoded
from weightarith.tensorfile.dtypes import DTYPES, DType
from weightarith.tensorfile.encoded import KEY, Kind, encodings_text, parts_of, tensor_name
from weightarith.tensorfile.layout import lay_out
from weightarith.tensorfile.reader import read_bytes

VECTOR = {"weightarith.kind": "vector", "weightarith.spec": "1"}
Parts = dict[str, tuple[str, NDArray[Any]]]
"""Tensors of a file by name: dtype and values, bfloat16 as its bits."""


def packed(name: str, kind: Kind, values: Doubles, val: str = "F32") -> Parts:
    """Return the tensors that store a displacement."""
    found = encode(values, kind)
    kept = found["idx"].size if kind == "sparse" else 0
    expected = parts_of(kind, values.shape, kept=kept, values=val)
    assert found.keys() == expected.keys()
    parts: Parts = {}
    for part, (dtype, shape) in expected.items():
        assert found[part].shape == shape
        parts[tensor_name(name, part)] = (dtype.code, found[part])
    return parts


def write(path: Path, parts: Mapping[str, tuple[str, NDArray[Any]]], metadata: Mapping[str, str]) -> Path:
    """Write tensors as one safetensors file; return its path."""
    layout = lay_out({n: (_dtype(code), values.shape) for n, (code, values) in parts.items()}, metadata)
    data = bytearray(layout.size)
    data[: len(layout.header)] = layout.header
    for name, (code, values) in parts.items():
        info = layout.tensors[name]
        data[info.start : info.stop] = _raw(code, values).tobytes()
    path.write_bytes(data)
    return path


def vector(path: Path, parts: Parts, encodings: Mapping[str, tuple[Kind, tuple[int, ...]]]) -> Path:
    """Write a vector file with its encodings in the header; return its path."""
    return write(path, parts, VECTOR | {KEY: encodings_text(encodings)})


def decoded(encoded: Encoded, block: int) -> Doubles:
    """Return a whole displacement, decoded so many elements at a time."""

    def read(part: str, start: int, buffer: memoryview) -> None:
        buffer[:] = read_bytes(encoded.parts[part])[start : start + len(buffer)]

    blocks = [
        decode_block(encoded, start, min(block, encoded.count - start), read)
        for start in range(0, encoded.count, block)
    ]
    return np.concatenate([np.empty(0), *blocks]).reshape(encoded.shape)


def naive(encoded: Encoded) -> Doubles:
    """Return a whole displacement, decoded one element at a time."""
    raw = {part: read_bytes(stored) for part, stored in encoded.parts.items()}
    numbers = {part: np.frombuffer(raw[part], CODES.get(encoded.code(part), "i1")) for part in raw}
    if encoded.kind != "sign" and "val" in raw and encoded.code("val") == "BF16":
        numbers["val"] = (numbers["val"].astype("<u4") << 16).view("<f4")
    found = np.zeros(prod(encoded.shape))
    columns = encoded.shape[-1] if encoded.shape else 1
    for i in range(0 if encoded.kind == "sparse" else found.size):
        if encoded.kind == "sign":
            bit = raw["sign"][i // 8] >> (i % 8) & 1
            found[i] = float(numbers["scale"][0]) * (1 if bit else -1)
        else:
            found[i] = float(numbers["scale"][i // columns]) * int(numbers[""][i])
    for place, value in zip(numbers.get("idx", ()), numbers.get("val", ()), strict=True):
        found[place] = float(value)
    return found.reshape(encoded.shape)


def _dtype(code: str) -> DType:
    return DTYPES[code]


def _raw(code: str, values: NDArray[Any]) -> NDArray[Any]:
    if code == "BF16" and values.dtype.kind == "f":
        return to_bfloat16(values)
    return values.astype("i1" if code == "I8" else CODES[code])
