"""Displacements stored in fewer bits: which tensors one is made of, and what each of them must look like.

| kind | tensors of `N` | displacement |
|---|---|---|
| `sign` | `N::sign` U8, `N::scale` F32 | ±scale; bits row by row, lowest first, 1 is + |
| `int8` | `N` I8, `N::scale` F32 a row | scale · N |
| `sparse` | `N::idx` I32 or I64, `N::val` | `val` at the places `idx` counted row by row, in order; else 0 |

Kind and shape of each stand in the header, under `weightarith.encodings`. A row runs along the last axis.

Liu et al. (2024), "BitDelta", section 3.1, https://arxiv.org/abs/2402.10193; Dettmers et al. (2022),
"LLM.int8()", section 2, https://arxiv.org/abs/2208.07339
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal

from weightarith.errors import IncompatibleError, InvalidFileError, quoted
from weightarith.tensorfile.dtypes import ARITHMETIC, DTYPES, DType
from weightarith.tensorfile.entries import MAX_RANK, flaw_of_name
from weightarith.tensorfile.jsonfile import CONFIG_LIMIT, parse_object
from weightarith.tensorfile.model import Stored
from weightarith.tensorfile.sniff import shown

Kind = Literal["sign", "int8", "sparse"]
Shape = tuple[int, ...]

KEY = "weightarith.encodings"
MARK = "::"
PARTS: dict[Kind, tuple[str, ...]] = {
    "sign": ("sign", "scale"),
    "int8": ("", "scale"),
    "sparse": ("idx", "val"),
}
"""What stands after `::` in the names of each kind's tensors; "" is the name itself."""

MAIN: dict[Kind, str] = {"sign": "sign", "int8": "", "sparse": "val"}
"""The part of each kind that says the most."""

WIDE = 2**31
"""From so many elements on, places do not fit in I32."""

_LARGEST = 2**63 - 1


@dataclass(frozen=True, eq=False)
class Encoded:
    """One displacement in a packed form: `shape` is its own, `parts` are by what stands after `::`."""

    name: str
    kind: Kind
    shape: Shape
    parts: Mapping[str, Stored]

    @property
    def count(self) -> int:
        """Elements of the displacement."""
        return prod(self.shape)

    @property
    def is_double(self) -> bool:
        """Whether it holds numbers of float64."""
        return any(stored.info.dtype.code == "F64" for stored in self.parts.values())

    @property
    def nbytes(self) -> int:
        """Bytes that its parts take in their files."""
        return sum(stored.info.nbytes for stored in self.parts.values())

    def code(self, part: str) -> str:
        """Return the dtype of a part, as the format spells it."""
        return self.parts[part].info.dtype.code

    def length(self, part: str) -> int:
        """Return the elements of a part."""
        return self.parts[part].info.count

    def flaw(self, part: str, why: str) -> InvalidFileError:
        """Return the error for a part that holds what it must not."""
        return InvalidFileError(
            f"{shown(self.parts[part].file.path)}: {quoted(tensor_name(self.name, part))} {why}",
            hint="make the vector again: the file is not what its header says",
        )


def tensor_name(name: str, part: str) -> str:
    """Return the name in the file of a part of the displacement `name`."""
    return f"{name}{MARK}{part}" if part else name


def parts_of(
    kind: Kind, shape: Shape, *, kept: int = 0, values: str = "F32"
) -> dict[str, tuple[DType, Shape]]:
    """Return dtype and shape of each tensor that stores a displacement of `shape`, by part.

    Args:
        kind: the encoding.
        shape: of the displacement.
        kept: elements that a sparse one stores.
        values: the dtype of those.
    """
    count = prod(shape)
    if kind == "sign":
        return {"sign": (DTYPES["U8"], (-(-count // 8),)), "scale": (DTYPES["F32"], ())}
    if kind == "int8":
        return {"": (DTYPES["I8"], shape), "scale": (DTYPES["F32"], shape[:-1])}
    places = DTYPES["I32" if count <= WIDE else "I64"]
    return {"idx": (places, (kept,)), "val": (DTYPES[values], (kept,))}


def encodings_text(encoded: Mapping[str, tuple[Kind, Shape]]) -> str:
    """Return the metadata value for `KEY` that tells kind and shape of each displacement, sorted by name.

    Raises:
        IncompatibleError: there are so many that no reader would take the header.
    """
    entries = {name: {"enc": kind, "shape": list(shape)} for name, (kind, shape) in encoded.items()}
    text = json.dumps(entries, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    if len(text) > CONFIG_LIMIT:
        raise IncompatibleError(
            f"{KEY} of {len(entries):,} tensors takes {len(text):,} characters, at most {CONFIG_LIMIT:,} fit",
            hint="leave the smaller tensors dense",
        )
    return text


def read_encodings(text: str, where: str) -> dict[str, tuple[Kind, Shape]]:
    """Return kind and shape by name, as `encodings_text` wrote them.

    Args:
        text: the metadata value.
        where: what to call the file in messages.

    Raises:
        InvalidFileError: not such a text, or an encoding that is not known.
    """
    told = f"{where}: {KEY} in its header"
    if len(text) > CONFIG_LIMIT:
        raise InvalidFileError(f"{told} has {len(text):,} characters, at most {CONFIG_LIMIT:,} are read")
    return {name: _entry(name, entry, told) for name, entry in parse_object(text, told).items()}


def _entry(name: str, entry: object, told: str) -> tuple[Kind, Shape]:
    if MARK in name or (flaw := flaw_of_name(name)):
        raise InvalidFileError(
            f"{told} names {quoted(name)}: {flaw if MARK not in name else f'{MARK} in it'}"
        )
    if not isinstance(entry, dict) or entry.keys() != {"enc", "shape"}:
        raise InvalidFileError(f"{told} says of {quoted(name)} something else than enc and shape")
    kind, shape = entry["enc"], entry["shape"]
    known: Kind | None = next((one for one in PARTS if one == kind), None)
    if known is None:
        raise InvalidFileError(
            f"{told} says that {quoted(name)} is {str(kind)[:40]!r}, expected one of {', '.join(PARTS)}",
            hint="a newer weightarith may read it",
        )
    sizes = isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)
    if not sizes or len(shape) > MAX_RANK or prod(size or 1 for size in shape) > _LARGEST:
        raise InvalidFileError(f"{told} gives {quoted(name)} a shape that no tensor has: {str(shape)[:60]}")
    return known, tuple(shape)


def check_parts(encoded: Encoded) -> None:
    """Refuse an encoded displacement whose tensors are not of the dtypes and shapes that its kind needs.

    Raises:
        InvalidFileError: names the tensor, what it is and what was expected.
    """
    kept = encoded.length("idx") if encoded.kind == "sparse" else 0
    values = encoded.code("val") if encoded.kind == "sparse" else "F32"
    expected = parts_of(encoded.kind, encoded.shape, kept=kept, values=values)
    for part, (dtype, shape) in expected.items():
        info = encoded.parts[part].info
        codes = {dtype.code, "I64"} if part == "idx" else {dtype.code}
        if part == "val":
            codes = set(ARITHMETIC)
        if info.dtype.code not in codes or info.shape != shape:
            raise encoded.flaw(
                part,
                f"is {info.dtype.code} {list(info.shape)}, expected {' or '.join(sorted(codes))} "
                f"{list(shape)} for a {encoded.kind} encoding of {list(encoded.shape)}",
            )
    if kept > encoded.count:
        raise encoded.flaw("idx", f"has {kept:,} places, and {list(encoded.shape)} has {encoded.count:,}")
