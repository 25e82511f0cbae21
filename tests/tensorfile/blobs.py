"""Safetensors files as bytes, well-formed or not, put together by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path


def blob(header: str | bytes | Mapping[str, object], data: bytes = b"") -> bytes:
    """Return a file of this header, which is not checked, and this data."""
    text = header if isinstance(header, str | bytes) else json.dumps(header)
    raw = text.encode() if isinstance(text, str) else text
    return len(raw).to_bytes(8, "little") + raw + data


def entry(dtype: object = "F32", shape: object = (1,), offsets: object = (0, 4)) -> dict[str, object]:
    """Return the entry of one tensor."""
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def written(folder: Path, content: bytes, name: str = "model.safetensors") -> Path:
    """Return the path of a new file of `content`."""
    path = folder / name
    path.write_bytes(content)
    return path


def small() -> bytes:
    """Return a file of two tensors and metadata."""
    tensors = {"a": entry("F32", [2, 3], [0, 24]), "b": entry("BF16", [3], [24, 30])}
    return blob({"__metadata__": {"format": "pt"}, **tensors}, bytes(range(30)))
