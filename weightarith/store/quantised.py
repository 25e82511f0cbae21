"""Quantised layouts, recognised by config.json and by tensor names, and refused by name.

Sums of packed integers, or of fp8 values without their scales, mean nothing, so nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weightarith.errors import UnsupportedError, quoted
from weightarith.tensorfile.model import Stored
from weightarith.tensorfile.sniff import shown

# A scheme, the suffix that tells it, and the suffixes one of which must stand beside it ('': none is needed).
MARKS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("GPTQ or AWQ", ".qweight", (".qzeros", ".scales")),
    ("bitsandbytes 4-bit", ".weight.absmax", ("",)),
    ("bitsandbytes 8-bit", ".SCB", ("",)),
    ("compressed-tensors", ".weight_packed", ("",)),
    ("fp8 with scales", ".weight_scale_inv", ("",)),
    ("fp8 or int8 with scales", ".weight_scale", (".weight",)),
    ("mxfp4", "_blocks", ("_scales",)),
    ("AQLM", ".codebooks", (".codes",)),
    ("quanto", ".weight._data", ("",)),
    ("HQQ", ".W_q", ("",)),
)
SCALES = ("_scale", "_scale_inv", "_scales")
ENDINGS = tuple(suffix for _, suffix, _ in MARKS)


def refuse_quantised(path: Path, config: Mapping[str, Any] | None, stored: Mapping[str, Stored]) -> None:
    """Raise UnsupportedError if `config` or the names and dtypes of `stored` tell of a quantised layout."""
    by_name = _by_tensors(stored)
    method = _by_config(config or {})
    if method:
        told = f", and so does tensor {quoted(by_name[1])}" if by_name else ""
        plain = "; if its tensors are plain after all, remove quantization_config from config.json"
        raise UnsupportedError(
            f"{shown(path)} is quantised: config.json says quantization_config.quant_method is "
            f"{quoted(method)}{told}",
            hint=_unquantised(config) + ("" if by_name else plain),
        )
    if by_name:
        scheme, name = by_name
        raise UnsupportedError(
            f"{shown(path)} is quantised ({scheme}): tensor {quoted(name)} "
            f"({stored[name].info.dtype.code}) is no plain weight",
            hint=_unquantised(config),
        )


def _by_config(config: Mapping[str, Any]) -> str:
    for place in (config, config.get("text_config"), config.get("llm_config")):
        if not isinstance(place, Mapping):
            continue
        found = place.get("quantization_config") or place.get("compression_config")
        if isinstance(found, Mapping):
            loads = [key for key in ("load_in_4bit", "load_in_8bit") if found.get(key) is True]
            return str(found.get("quant_method") or ("bitsandbytes" if loads else "unknown"))
        if found:
            return "unknown"
    return ""


def _by_tensors(stored: Mapping[str, Stored]) -> tuple[str, str] | None:
    for name, tensor in stored.items():
        if name.endswith(ENDINGS):
            for scheme, suffix, beside in MARKS:
                stem = name.removesuffix(suffix)
                if stem != name and any(not other or stem + other in stored for other in beside):
                    return scheme, name
        if not tensor.info.dtype.arithmetic and any(name + scale in stored for scale in SCALES):
            return f"{tensor.info.dtype.code} with scales", name
    return None


def _unquantised(config: Mapping[str, Any] | None) -> str:
    named = (config or {}).get("base_model_name_or_path") or (config or {}).get("_name_or_path")
    if isinstance(named, str) and named:
        return f"use the model it was made from; config.json names {quoted(named)}"
    return "use the unquantised model it was made from (bf16, f16 or f32)"
