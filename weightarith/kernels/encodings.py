"""Displacements in fewer bits, decoded block by block and encoded row by row; numpy alone.

What a block decodes to depends on the stored bytes and nothing else. Where every block of a tensor is
decoded, whatever their sizes, every flaw of its bytes is found.

Liu et al. (2024), "BitDelta", section 3.1, https://arxiv.org/abs/2402.10193; Dettmers et al. (2022),
"LLM.int8()", section 2, https://arxiv.org/abs/2208.07339
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Read = Callable[[str, int, memoryview], None]
"""`read(part, start, buffer)` fills a buffer with the bytes of a part of a displacement, from `start` on."""

_DTYPES = {
    "U8": "u1",
    "I8": "i1",
    "I32": "<i4",
    "I64": "<i8",
    "F16": "<f2",
    "BF16": "<u2",
    "F32": "<f4",
    "F64": "<f8",
}
_SHORT = 1024  # places that are read at once in a search; more are halved by reading one
_STEPS = 127  # of an int8 in each direction; -128 is not used


class EncodedTensor(Protocol):
    """What is asked of an encoded displacement: `tensorfile.encoded.Encoded` answers it."""

    @property
    def name(self) -> str:
        """The name of the tensor it moves."""
        ...

    @property
    def kind(self) -> str:
        """`sign`, `int8` or `sparse`."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the displacement."""
        ...

    def code(self, part: str) -> str:
        """Return the dtype of a part."""
        ...

    def length(self, part: str) -> int:
        """Return the elements of a part."""
        ...

    def flaw(self, part: str, why: str) -> Exception:
        """Return the error for a part that holds what it must not."""
        ...


def decode_block(encoded: EncodedTensor, start: int, count: int, read: Read) -> Doubles:
    """Return elements `start … start + count` of a displacement, counted row by row, in float64 (count).

    Args:
        encoded: the displacement, its parts of the dtypes and shapes its kind needs.
        start: the first element.
        count: how many; the block lies within the tensor.
        read: where the bytes of its parts come from.

    Raises:
        InvalidFileError: a scale is negative or not finite, padding is not zero, or places are out of order,
            twice or outside the tensor; whatever `encoded.flaw` makes of it.
    """
    if count == 0:
        return np.empty(0)
    decoder = {"sign": _decode_sign, "int8": _decode_int8, "sparse": _decode_sparse}[encoded.kind]
    return decoder(encoded, start, count, read)


def _decode_sign(encoded: EncodedTensor, start: int, count: int, read: Read) -> Doubles:
    first, last = start // 8, -(-(start + count) // 8)
    bits = np.unpackbits(_load(encoded, "sign", first, last - first, read), bitorder="little")
    if start + count == math.prod(encoded.shape) and bits[start + count - 8 * first :].any():
        raise encoded.flaw("sign", "has bits after those of its last element, expected zeros")
    scale = float(_scales(encoded, 0, 1, read)[0])
    return np.where(bits[start - 8 * first :][:count].view(np.bool_), scale, -scale)


def _decode_int8(encoded: EncodedTensor, start: int, count: int, read: Read) -> Doubles:
    columns = encoded.shape[-1] if encoded.shape else 1
    first, last = start // columns, -(-(start + count) // columns)
    scales = _scales(encoded, first, last - first, read)
    steps = _load(encoded, "", start, count, read)
    rows = np.arange(start, start + count) // columns - first
    numbers: Doubles = scales[rows] * steps
    return numbers


def _decode_sparse(encoded: EncodedTensor, start: int, count: int, read: Read) -> Doubles:
    # The first block takes what comes before it, and the last what comes after, to refuse it; between
    # two blocks the same search says where one ends and the other begins. So no place is in none of them.
    kept = encoded.length("idx")
    whole = start + count == math.prod(encoded.shape)
    first = _search(encoded, start, kept, read) if start else 0
    last = kept if whole else _search(encoded, start + count, kept, read)
    places = _load(encoded, "idx", first, last - first, read).astype(np.int64)
    found = np.zeros(count)
    if places.size:
        _expect_places(encoded, places, start, count)
        found[places - start] = _load(encoded, "val", first, last - first, read)
    return found


def _expect_places(encoded: EncodedTensor, places: NDArray[np.int64], start: int, count: int) -> None:
    fallen = places[1:] <= places[:-1]
    if fallen.any():
        at = int(np.argmax(fallen))
        raise encoded.flaw(
            "idx", f"has {places[at + 1]} after {places[at]}, expected places in rising order, none twice"
        )
    if places[0] < start or places[-1] >= start + count:
        wrong = int(places[0] if places[0] < start else places[-1])
        elements = math.prod(encoded.shape)
        why = "out of order" if 0 <= wrong < elements else f"expected 0 to {elements - 1}"
        raise encoded.flaw("idx", f"has the place {wrong}, {why}")


def _search(encoded: EncodedTensor, place: int, kept: int, read: Read) -> int:
    """Return how many stored places come before `place`; it never falls as `place` rises, in order or not."""
    low, high = 0, kept
    while high - low > _SHORT:
        middle = (low + high) // 2
        if _load(encoded, "idx", middle, 1, read)[0] < place:
            low = middle + 1
        else:
            high = middle
    reached = _load(encoded, "idx", low, high - low, read) >= place
    return low + int(np.argmax(reached)) if reached.any() else high


def _scales(encoded: EncodedTensor, first: int, count: int, read: Read) -> Doubles:
    scales: Doubles = _load(encoded, "scale", first, count, read)
    wrong = ~(np.isfinite(scales) & (scales >= 0))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise encoded.flaw("scale", f"is {scales[at]} at {first + at}, expected a finite number, 0 or more")
    return scales


def _load(encoded: EncodedTensor, part: str, first: int, count: int, read: Read) -> NDArray[Any]:
    """Return elements of a part: floats in float64, integers as they are stored."""
    code = encoded.code(part)
    raw = np.empty(count, _DTYPES[code])
    if count:
        read(part, first * raw.itemsize, raw.data.cast("B"))
    if code == "BF16":
        raw = (raw.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return raw.astype(np.float64) if raw.dtype.kind == "f" else raw


def row_magnitudes(rows: Doubles) -> Doubles:
    """Return the sum of absolute values of each row, (rows) of (rows, columns)."""
    sums: Doubles = np.abs(np.ascontiguousarray(rows)).sum(axis=1)
    return sums


def sign_scale(magnitudes: Iterable[float], count: int) -> np.float32:
    """Return the scale of a sign encoding: the mean absolute value, which makes the error smallest.

    Args:
        magnitudes: the sums of absolute values of every row, in any order; they are added up exactly.
        count: elements of the tensor.
    """
    return np.float32(math.fsum(magnitudes) / count if count else 0.0)


def pack_signs(values: Doubles) -> NDArray[np.uint8]:
    """Return a bit for each value, 1 above zero, eight to a byte, the first in the lowest bit.

    A block begins at a multiple of 8 elements of its tensor, and so only the last may end off one.
    """
    return np.packbits(values > 0, bitorder="little")


def quantise_rows(rows: Doubles) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return the number of steps nearest to each value, (rows, columns), and the step of each row, (rows).

    The step is the row's largest absolute value over 127, rounded to float32, and the error of a value at
    most half a step and a millionth, as long as the step is above 1e-38.
    """
    largest = np.abs(rows).max(axis=1, initial=0.0)
    with np.errstate(over="ignore"):  # an infinite scale is refused by whoever reads it
        scales = (largest / _STEPS).astype(np.float32)
    divisors = np.where(scales > 0, scales, 1)  # next to a step of 0, whatever the row holds is 0
    steps = rows / divisors[:, None].astype(np.float64)
    return np.clip(np.rint(steps, out=steps), -_STEPS, _STEPS, out=steps).astype(np.int8), scales


def nonzero_places(values: Doubles, start: int) -> tuple[NDArray[np.int64], Doubles]:
    """Return where a block that starts at element `start` of its tensor is not zero, and its values there."""
    places = np.flatnonzero(values)
    return places + start, values[places]


def encode(values: Doubles, kind: str) -> dict[str, NDArray[Any]]:
    """Return the parts of a whole displacement, by what stands after `::`.

    `idx` is of int64 and `val` of float64, still to be cut to the dtypes of the file.

    Args:
        values: the displacement, finite numbers of any shape.
        kind: `sign`, `int8` or `sparse`.
    """
    rows = values.reshape(math.prod(values.shape[:-1]), values.shape[-1] if values.ndim else 1)
    if kind == "sign":
        scale = sign_scale(row_magnitudes(rows), values.size)
        return {"sign": pack_signs(rows.reshape(-1)), "scale": np.asarray(scale)}
    if kind == "int8":
        steps, scales = quantise_rows(rows)
        return {"": steps.reshape(values.shape), "scale": scales.reshape(values.shape[:-1])}
    places, kept = nonzero_places(rows.reshape(-1), 0)
    return {"idx": places, "val": kept}
