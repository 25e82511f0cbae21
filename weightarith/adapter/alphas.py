"""The alphas that single-file adapters store as tensors: the only numbers read when a file is opened.

Each takes at most eight bytes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping

from weightarith.adapter.config import LARGEST
from weightarith.errors import InvalidFileError, quoted
from weightarith.tensorfile.model import Stored, TensorFile, TensorInfo
from weightarith.tensorfile.reader import Reader, opened
from weightarith.tensorfile.sniff import shown

_FORMATS = {"F64": "<d", "F32": "<f", "F16": "<e", "I64": "<q", "I32": "<i", "I16": "<h"}


def read_alphas(file: TensorFile, names: Mapping[str, str]) -> dict[str, float]:
    """Return the alpha of each module, given the name of the tensor that stores it.

    Raises:
        InvalidFileError: it is no single finite number, or the file changed since its header was read.
    """
    if not names:
        return {}
    needed = [[Stored(file, file.tensors[name])] for name in names.values()]
    with opened([file], needed) as files:
        reader = files[id(file)]
        found = {module: _number(reader, file.tensors[name], name) for module, name in names.items()}
        reader.check_unchanged()
    return found


def _number(reader: Reader, info: TensorInfo, name: str) -> float:
    where, code = shown(reader.file.path), info.dtype.code
    if info.count != 1 or len(info.shape) > 1 or code not in (*_FORMATS, "BF16"):
        raise InvalidFileError(
            f"{where} stores {quoted(name)} as {code} {list(info.shape)}, expected a single number"
        )
    data = bytearray(info.nbytes)
    reader.read_into(data, info.start)
    # A bfloat16 is the upper half of a float32.
    value = float(struct.unpack(_FORMATS.get(code, "<f"), (bytes(2) if code == "BF16" else b"") + data)[0])
    if not math.isfinite(value) or abs(value) >= LARGEST:
        raise InvalidFileError(f"{where}: {quoted(name)} is {value}, expected a finite number")
    return value
