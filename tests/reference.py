"""A second implementation of tensors on disk and of sums: naive, in float64, rounded once.

It shares no code with the package, so that both would have to be wrong in the same way.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

# Digits in the significand, least exponent of a normal number, largest number.
FORMATS = {
    "BF16": (8, -126, 2.0**127 * (2 - 2.0**-7)),
    "F16": (11, -14, 65504.0),
    "F32": (24, -126, 2.0**127 * (2 - 2.0**-23)),
    "F64": (53, -1022, float(np.finfo(np.float64).max)),
}
BITS = {"BF16": "<u2", "F16": "<u2", "F32": "<u4", "F64": "<u8", "I64": "<i8", "U8": "u1", "F8_E4M3": "u1"}


@dataclass(frozen=True)
class Raw:
    """One tensor as a file stores it."""

    code: str
    shape: tuple[int, ...]
    data: bytes

    @property
    def bits(self) -> NDArray[Any]:
        """The bits of each element."""
        return np.frombuffer(self.data, BITS[self.code])

    @property
    def values(self) -> Doubles:
        """The floats, exactly, in the tensor's shape."""
        if self.code == "BF16":
            exact: NDArray[Any] = (self.bits.astype("<u4") << np.uint32(16)).view("<f4")
        else:
            exact = np.frombuffer(self.data, {"F16": "<f2", "F32": "<f4", "F64": "<f8"}[self.code])
        with np.errstate(invalid="ignore"):  # a signalling NaN
            doubles: Doubles = exact.astype(np.float64)
        return doubles.reshape(self.shape)


def from_bits(bits: Any, code: str, shape: tuple[int, ...] | None = None) -> Raw:
    """Return the tensor with these bits."""
    array = np.asarray(bits).astype(BITS[code])
    return Raw(code, array.shape if shape is None else shape, array.tobytes())


def step(values: Doubles, code: str) -> Doubles:
    """Return one unit in the last place at each value."""
    digits, least, _ = FORMATS[code]
    unit: Doubles = np.ldexp(1.0, np.maximum(np.frexp(values)[1] - 1, least) - digits + 1)
    return unit


def rounded(values: Doubles, code: str) -> Doubles:
    """Return the nearest number of a format, ties to even: one rounding, from float64 on."""
    largest = FORMATS[code][2]
    if code == "F64":
        return values
    unit = step(values, code)  # a power of two, so that dividing by it is exact
    near = np.rint(values / unit) * unit
    return np.where(np.abs(near) > largest, np.copysign(np.inf, near), near)


def encode(values: Any, code: str) -> Raw:
    """Return values rounded to a format, as a file stores them."""
    exact = rounded(np.asarray(values, np.float64), code)
    if code == "BF16":
        return Raw(
            code, exact.shape, (exact.astype("<f4").view("<u4") >> np.uint32(16)).astype("<u2").tobytes()
        )
    return Raw(code, exact.shape, exact.astype({"F16": "<f2", "F32": "<f4", "F64": "<f8"}[code]).tobytes())


def total(terms: Iterable[tuple[float, Raw]]) -> Doubles:
    """Return `Σ coefficient · tensor` in float64."""
    scaled: Doubles = np.array([coefficient * raw.values for coefficient, raw in terms])
    return np.asarray(scaled.sum(axis=0))


def write(path: Path, tensors: Mapping[str, Raw], metadata: Mapping[str, str] | None = None) -> Path:
    """Write one safetensors file, tensors in the order given; return its path."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, raw in tensors.items():
        begin, end = end, end + len(raw.data)
        header[name] = {"dtype": raw.code, "shape": list(raw.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(raw.data for raw in tensors.values()))
    return path


def shard(folder: Path, tensors: Mapping[str, Raw], count: int, stem: str = "model") -> Path:
    """Write tensors dealt out over `count` files, with their index; return the folder."""
    places = {
        name: f"{stem}-{1 + n % count:05d}-of-{count:05d}.safetensors" for n, name in enumerate(tensors)
    }
    for file in set(places.values()):
        write(folder / file, {name: raw for name, raw in tensors.items() if places[name] == file})
    index = {"metadata": {}, "weight_map": places}
    (folder / f"{stem}.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def read(path: Path) -> dict[str, Raw]:
    """Return the tensors of one file, or of all files of a folder."""
    if path.is_dir():
        return {name: raw for file in sorted(path.glob("*.safetensors")) for name, raw in read(file).items()}
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    data = content[8 + length :]
    return {
        name: Raw(info["dtype"], tuple(info["shape"]), data[slice(*info["data_offsets"])])
        for name, info in header.items()
    }


def snapshot(folder: Path) -> dict[str, bytes | str]:
    """Return everything below a folder: contents of files, targets of links."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        found[name] = (
            str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else ""
        )
    return found
