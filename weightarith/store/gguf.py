"""GGUF files that are no models: control vectors and adapters of llama.cpp, told by their first keys.

They are recognised to say what they are; nothing of them is read as weights.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from weightarith.errors import UnsupportedError, quoted
from weightarith.tensorfile.reader import open_regular, read_into
from weightarith.tensorfile.sniff import shown

SUFFIX = ".gguf"
MAGIC = b"GGUF"
_HEAD = 1 << 16  # bytes that are looked at; what tells comes first
_STRING = 8
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes of other types


def refuse_gguf(path: Path) -> None:
    """Raise UnsupportedError if `path` is a control vector or an adapter in GGUF; let other files pass."""
    if not path.name.endswith(SUFFIX):
        return
    keys = dict(_texts(_head(path)))
    if keys.get("general.architecture") == "controlvector":
        model = keys.get("controlvector.model_hint", "")
        raise UnsupportedError(
            f"{shown(path)} is a control vector of llama.cpp{f' for {quoted(model)}' if model else ''}: "
            "directions that are added to activations between layers, and no displacement of weights",
            hint="use it with llama.cpp's --control-vector; `weightarith diff` makes vectors of weights",
        )
    if keys.get("general.type") == "adapter":
        what = "a LoRA adapter" if keys.get("adapter.type") == "lora" else "an adapter"
        raise UnsupportedError(
            f"{shown(path)} is {what} of llama.cpp (GGUF), with llama.cpp's names and order of rows",
            hint="give the PEFT folder that it was converted from: adapter_config.json beside "
            "adapter_model.safetensors",
        )


def _head(path: Path) -> bytes:
    descriptor = open_regular(path)
    try:
        data = bytearray(min(os.fstat(descriptor).st_size, _HEAD))
        read_into(descriptor, path, data, 0)
    finally:
        os.close(descriptor)
    return bytes(data)


def _texts(head: bytes) -> Iterator[tuple[str, str]]:
    """Yield the keys that hold text, as far as `head` goes; nothing for a file of another make."""
    if not head.startswith(MAGIC):
        return
    with suppress(struct.error, UnicodeDecodeError):  # the head ends inside a key, or this is no such file
        version, _, count = struct.unpack_from("<IQQ", head, len(MAGIC))
        at = len(MAGIC) + struct.calcsize("<IQQ")
        for _ in range(count if version in (2, 3) else 0):
            key, at = _text(head, at)
            (kind,) = struct.unpack_from("<I", head, at)
            at += 4
            if kind == _STRING:
                value, at = _text(head, at)
                yield key, value
            elif kind in _SIZES:
                at += _SIZES[kind]
            else:  # an array; those that tell what a file is come before any
                return


def _text(head: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", head, at)
    at += 8
    (raw,) = struct.unpack_from(f"<{min(length, _HEAD)}s", head, at)
    return raw.decode(), at + length
