"""PEFT's adapters on small models, and what the factors read from them multiply out to."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from tests import tiny
from weightarith.store import Factored, Matrix
from weightarith.tensorfile.model import Stored
from weightarith.tensorfile.reader import read_bytes

HEAD = "base_model.model.lm_head.weight"


def array(stored: Stored) -> tiny.Array:
    return np.frombuffer(read_bytes(stored), tiny.CODES[stored.info.dtype.code]).reshape(stored.info.shape)


def change(factored: Factored) -> tiny.Array:
    def read(matrix: Matrix) -> tiny.Array:
        values = array(matrix.stored)
        return values.T if matrix.transposed else values

    product = factored.scale * (read(factored.left) @ read(factored.right))
    assert product.shape == factored.shape
    return product


def llama(*, tied: bool = False, biased: bool = False) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=11,
            hidden_size=8,
            intermediate_size=12,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            tie_word_embeddings=tied,
            attention_bias=biased,
        )
    )


def gpt2() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=11, n_embd=8, n_layer=2, n_head=2, n_positions=8, bos_token_id=0, eos_token_id=1
        )
    )


def trained(model: Any, folder: Path, *, save_embeddings: bool | str = "auto", **settings: Any) -> Any:
    """Return `model` under a LoRA whose trained numbers are random, saved to `folder`, all in float64."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT warns of what the tests are about
        wrapped = get_peft_model(model.double(), LoraConfig(task_type="CAUSAL_LM", **settings)).double()
        with torch.no_grad():
            for parameter in wrapped.parameters():
                if parameter.requires_grad:
                    parameter.copy_(torch.randn_like(parameter))
        wrapped.save_pretrained(str(folder), save_embedding_layers=save_embeddings)
    return wrapped


def configure(folder: Path, **changes: Any) -> None:
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(
        json.dumps({key: value for key, value in config.items() if value != ...}), encoding="utf-8"
    )
