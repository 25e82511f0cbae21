"""Llama-shaped models to time with: a base, two fine-tunes and an adapter, laid out as on the Hub.

Weights are drawn from a table of 65,536 quantiles of a normal distribution, one for each 16 random bits, and
rounded to bfloat16 once, so that gigabytes take seconds and equal arguments give equal bytes.

    python -m tests.benchmarks.checkpoints --size M FOLDER
"""

from __future__ import annotations

import argparse
import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from statistics import NormalDist
from typing import Any, BinaryIO
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

BASE, TUNINGS, ADAPTER = "base", {"a": 0.001, "b": 0.0005}, "adapter"
"""Names of the folders; how far each fine-tune moves every weight."""

RANK = 16
SPREAD = 0.02  # of the base's weights
CHUNK = 1 << 16  # small enough for arrays to stay in the cache, and for memory to be used again

Singles = NDArray[np.float32]
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Size:
    """The shape of a model, and how many bytes of it go into one file."""

    width: int
    inner: int
    layers: int
    heads: int
    groups: int  # heads of keys and values
    vocabulary: int
    shard_bytes: int


SIZES = {
    "XS": Size(128, 512, 4, 4, 2, 32_000, 4_000_000),
    "S": Size(768, 2560, 16, 12, 4, 32_000, 100_000_000),
    "M": Size(2048, 8192, 16, 32, 8, 128_256, 1_000_000_000),
}
"""10 MB, 0.29 GB and 2.5 GB; M has the shape of Llama 3.2 1B."""


def write_models(size: Size, folder: Path) -> None:
    """Write the folders `base`, `a`, `b` and `adapter` into `folder`."""
    for model in (BASE, *TUNINGS):
        write_model(size, folder / model, model)
    _write_adapter(size, folder / ADAPTER)


def write_zeros(folder: Path, shapes: Shapes) -> None:
    """Write the folders `base`, `a` and `b`, of bfloat16 zeros that take no room on the disk."""
    header = header_of(shapes, "BF16", 2)
    for model in (BASE, *TUNINGS):
        (folder / model).mkdir(parents=True)
        with (folder / model / "model.safetensors").open("xb") as file:
            file.write(header)
            file.truncate(len(header) + 2 * sum(prod(shape) for shape in shapes.values()))
        _write_json(folder / model / "config.json", {"model_type": "llama", "dtype": "bfloat16"})


def many_shapes(count: int) -> dict[str, tuple[int, ...]]:
    """Return `count` small matrices, named as those of a mixture of experts are."""
    prefix = "model.layers.{}.mlp.experts.{}.gate_proj.weight"
    return {prefix.format(number // 256, number % 256): (8, 8) for number in range(count)}


def linears(size: Size) -> dict[str, tuple[int, int]]:
    """Return name and shape of the linear modules of one layer."""
    keys = size.width // size.heads * size.groups
    return {
        "self_attn.q_proj": (size.width, size.width),
        "self_attn.k_proj": (keys, size.width),
        "self_attn.v_proj": (keys, size.width),
        "self_attn.o_proj": (size.width, size.width),
        "mlp.gate_proj": (size.inner, size.width),
        "mlp.up_proj": (size.inner, size.width),
        "mlp.down_proj": (size.width, size.inner),
    }


def shapes_of(size: Size) -> dict[str, tuple[int, ...]]:
    """Return name and shape of every tensor of a model, whose head is tied."""
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (size.vocabulary, size.width)}
    for layer in range(size.layers):
        prefix = f"model.layers.{layer}"
        shapes |= {f"{prefix}.{linear}.weight": shape for linear, shape in linears(size).items()}
        shapes |= {f"{prefix}.{norm}_layernorm.weight": (size.width,) for norm in ("input", "post_attention")}
    return {**shapes, "model.norm.weight": (size.width,)}


def header_of(shapes: Shapes, code: str, item: int) -> bytes:
    """Return the header of a safetensors file of one dtype, tensors in the order given."""
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, shape in shapes.items():
        stop = start + prod(shape) * item
        entries[name] = {"dtype": code, "shape": shape, "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _shards(shapes: Shapes, most: int) -> list[dict[str, tuple[int, ...]]]:
    shards: list[dict[str, tuple[int, ...]]] = [{}]
    filled = 0
    for name, shape in shapes.items():
        if shards[-1] and filled + 2 * prod(shape) > most:
            shards.append({})
            filled = 0
        shards[-1][name] = shape
        filled += 2 * prod(shape)
    return shards


def write_model(size: Size, folder: Path, model: str) -> None:
    """Write one model, the base or a fine-tune of it."""
    folder.mkdir(parents=True)
    shards = _shards(shapes_of(size), size.shard_bytes)
    weight_map: dict[str, str] = {}
    for number, shapes in enumerate(shards, start=1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        weight_map |= dict.fromkeys(shapes, name)
        with (folder / name).open("xb") as file:
            file.write(header_of(shapes, "BF16", 2))
            for tensor, shape in shapes.items():
                _write_weights(file, tensor, shape, model)
    total = 2 * sum(prod(shape) for shape in shapes_of(size).values())
    _write_json(
        folder / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": weight_map}
    )
    _write_json(folder / "config.json", _config(size))


def _write_weights(file: BinaryIO, tensor: str, shape: tuple[int, ...], model: str) -> None:
    mean = np.float32(1.0 if len(shape) == 1 else 0.0)  # norms lie around 1
    own = _draws(f"{model} {tensor}", prod(shape), TUNINGS[model]) if model in TUNINGS else None
    for drawn in _draws(f"{BASE} {tensor}", prod(shape), SPREAD):
        bits = _to_bfloat16(drawn + mean)
        if own is not None:  # a fine-tune starts from the weights the base has on disk
            stored = (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
            bits = _to_bfloat16(stored + next(own))
        file.write(bits.data)


def _draws(seed: str, count: int, spread: float) -> Iterator[Singles]:
    """Yield `count` normally distributed numbers, at most `CHUNK` at a time."""
    source = np.random.SFC64(crc32(seed.encode()))
    table = _QUANTILES * np.float32(spread)
    for start in range(0, count, CHUNK):
        wanted = min(CHUNK, count - start)
        yield table[source.random_raw(-(-wanted // 4)).view(np.uint16)[:wanted]]


def _to_bfloat16(values: Singles) -> NDArray[np.uint16]:
    """Return the bits of the nearest bfloat16 of finite values, ties to even. `values` are used up."""
    bits = values.view(np.uint32)
    odd = bits >> np.uint32(16)
    odd &= np.uint32(1)
    bits += np.uint32(0x7FFF)
    bits += odd
    return (bits >> np.uint32(16)).astype(np.uint16)


def _write_adapter(size: Size, folder: Path) -> None:
    folder.mkdir(parents=True)
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(size.layers):
        for linear, (rows, columns) in linears(size).items():
            prefix = f"base_model.model.model.layers.{layer}.{linear}"
            shapes |= {f"{prefix}.lora_A.weight": (RANK, columns), f"{prefix}.lora_B.weight": (rows, RANK)}
    with (folder / "adapter_model.safetensors").open("xb") as file:
        file.write(header_of(shapes, "F32", 4))
        for name, shape in shapes.items():
            for factors in _draws(f"{ADAPTER} {name}", prod(shape), SPREAD):
                file.write(factors.data)
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": BASE,
        "r": RANK,
        "lora_alpha": RANK,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": sorted(linear.split(".")[1] for linear in linears(size)),
    }
    _write_json(folder / "adapter_config.json", settings)


def _config(size: Size) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "vocab_size": size.vocabulary,
        "hidden_size": size.width,
        "intermediate_size": size.inner,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.groups,
        "head_dim": size.width // size.heads,
        "hidden_act": "silu",
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-05,
        "tie_word_embeddings": True,
    }


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _quantiles() -> Singles:
    normal = NormalDist()
    return np.array([normal.inv_cdf((rank + 0.5) / 65_536) for rank in range(65_536)], np.float32)


_QUANTILES = _quantiles()


def main() -> None:
    """Write the models of one size, or with `many` models of zeros and 20,000 tensors."""
    parser = argparse.ArgumentParser(description="Write models of random weights to time with.")
    parser.add_argument("--size", choices=[*SIZES, "many"], default="S")
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    if given.size == "many":
        write_zeros(given.folder, many_shapes(20_000))
    else:
        write_models(SIZES[given.size], given.folder)


if __name__ == "__main__":
    main()
