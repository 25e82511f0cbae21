"""Tiny models for tests and documentation.

They are written and read here by a second implementation of the file format, independent of the first.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Tensors = dict[str, Array]

WIDTH, INNER, VOCABULARY = 16, 32, 40
LINEARS = {
    "self_attn.q_proj": (WIDTH, WIDTH),
    "self_attn.k_proj": (WIDTH // 2, WIDTH),
    "self_attn.v_proj": (WIDTH // 2, WIDTH),
    "self_attn.o_proj": (WIDTH, WIDTH),
    "mlp.gate_proj": (INNER, WIDTH),
    "mlp.up_proj": (INNER, WIDTH),
    "mlp.down_proj": (WIDTH, INNER),
}
CODES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "U8": "u1"}


def to_bfloat16(values: Array) -> Array:
    """Return the bits of the nearest bfloat16 of each value, ties to even."""
    bits = values.astype("<f4").view("<u4").astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> np.uint64(16) & np.uint64(1))) >> np.uint64(16)).astype("<u2")


def from_bfloat16(bits: Array) -> Array:
    """Return the float32 values of bfloat16 bits."""
    return (bits.astype("<u4") << np.uint32(16)).view("<f4")


def save(
    path: Path,
    tensors: Mapping[str, Array],
    *,
    dtype: str = "BF16",
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write one safetensors file: floats as `dtype`, int64 as I64."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    blobs, start = [], 0
    for name, values in tensors.items():
        code = dtype if values.dtype.kind == "f" else "I64"
        blob = (to_bfloat16(values) if code == "BF16" else values.astype(CODES[code])).tobytes()
        header[name] = {
            "dtype": code,
            "shape": list(values.shape),
            "data_offsets": [start, start + len(blob)],
        }
        blobs.append(blob)
        start += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def load(path: Path) -> Tensors:
    """Return the tensors of a safetensors file, or of all those in a folder; bfloat16 as float32."""
    if path.is_dir():
        return {
            name: values for file in sorted(path.glob("*.safetensors")) for name, values in load(file).items()
        }
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, info in header.items():
        first, last = (8 + length + offset for offset in info["data_offsets"])
        values = np.frombuffer(content[first:last], CODES[info["dtype"]]).reshape(info["shape"])
        tensors[name] = from_bfloat16(values) if info["dtype"] == "BF16" else values
    return tensors


def weights(*, depth: int = 2, tied: bool = False, seed: int = 0) -> Tensors:
    """Return the weights of a Llama of `depth` layers, all of them bfloat16 values."""
    random = np.random.default_rng(seed)
    shapes = {"model.embed_tokens.weight": (VOCABULARY, WIDTH), "model.norm.weight": (WIDTH,)}
    if not tied:
        shapes["lm_head.weight"] = (VOCABULARY, WIDTH)
    for layer in range(depth):
        prefix = f"model.layers.{layer}"
        shapes |= {f"{prefix}.{linear}.weight": shape for linear, shape in LINEARS.items()}
        shapes |= {f"{prefix}.{norm}_layernorm.weight": (WIDTH,) for norm in ("input", "post_attention")}
    return {name: _rounded(0.1 * random.standard_normal(shape)) for name, shape in shapes.items()}


def finetuned(base: Tensors, *, seed: int, size: float = 0.01) -> Tensors:
    """Return `base`, every weight moved by about `size`, all of them bfloat16 values."""
    random = np.random.default_rng(seed)
    return {name: _rounded(w + size * random.standard_normal(w.shape)) for name, w in base.items()}


def _rounded(values: Array) -> Array:
    return from_bfloat16(to_bfloat16(values))


def checkpoint(folder: Path, tensors: Tensors, *, dtype: str = "BF16") -> Path:
    """Write a transformers folder (weights, config and the small files beside them); return it."""
    save(folder / "model.safetensors", tensors, dtype=dtype, metadata={"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64"}[dtype],
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": len({name.split(".")[2] for name in tensors if ".layers." in name}),
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 64,
        "tie_word_embeddings": "lm_head.weight" not in tensors,
    }
    _write(folder / "config.json", config)
    _write(folder / "generation_config.json", {"eos_token_id": 1})
    _write(folder / "tokenizer_config.json", {"model_max_length": 64})
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}", encoding="utf-8")
    return folder


def adapter(folder: Path, *, depth: int = 2, rank: int = 4, alpha: int = 8, seed: int = 0) -> Path:
    """Write a PEFT LoRA folder over every linear module; return it. Its change is `alpha / rank · B·A`."""
    random = np.random.default_rng(seed)
    tensors: Tensors = {}
    for layer in range(depth):
        for linear, (rows, columns) in LINEARS.items():
            prefix = f"base_model.model.model.layers.{layer}.{linear}"
            tensors[f"{prefix}.lora_A.weight"] = 0.1 * random.standard_normal((rank, columns))
            tensors[f"{prefix}.lora_B.weight"] = 0.1 * random.standard_normal((rows, rank))
    save(folder / "adapter_model.safetensors", tensors, dtype="F32", metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "base",
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "target_modules": sorted(linear.split(".")[1] for linear in LINEARS),
        "bias": "none",
        "fan_in_fan_out": False,
        "use_rslora": False,
        "use_dora": False,
        "modules_to_save": None,
        "rank_pattern": {},
        "alpha_pattern": {},
        "inference_mode": True,
    }
    _write(folder / "adapter_config.json", config)
    return folder


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
