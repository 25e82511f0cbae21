"""llama.cpp: its converter, and what it does with the GGUF file that comes out.

Checked against the main branch of 2026: `convert_lora_to_gguf.py`, `conversion/`, `src/llama-adapter.cpp`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from weightarith.adapter.portable_base import CONV1D
from weightarith.errors import some
from weightarith.loaders.finding import Finding
from weightarith.loaders.folder import Folder
from weightarith.loaders.peft import misplaced, shapes
from weightarith.loaders.scales import alpha_over_own_rank, rescaled
from weightarith.loaders.variants import MERGE, missing, no_lora, variants

NAME = "llama.cpp"
OURS = "let weightarith write the GGUF file: weightarith compress --format gguf"


def check(folder: Folder) -> Iterator[Finding]:
    """Yield what llama.cpp will make of the folder, as far as it is not what it should."""
    yield from no_lora(NAME, folder)
    yield from missing(NAME, folder, ("lora_alpha",))
    yield from variants(NAME, folder, {"use_dora", "lora_bias", "trainable_token_indices"},
                        {"alora_invocation_tokens"})  # fmt: skip
    yield from rescaled(
        NAME, folder, alpha_over_own_rank,
        "the scale is lora_alpha over the rank of the pair, whatever use_rslora and alpha_pattern say",
    )  # fmt: skip
    yield from _others(folder)
    yield from _transposed(folder)
    yield from _head(folder)
    yield from misplaced(NAME, folder, "refuses")
    yield from shapes(NAME, folder)
    yield from _base(folder)


def _others(folder: Folder) -> Iterator[Finding]:
    kept = [name for name in folder.others if ".base_layer.weight" in name]
    norms = [name for name in folder.others if name not in kept and ("_layernorm" in name or ".norm" in name)]
    others = [name for name in folder.others if name not in kept and name not in norms]
    if others:
        yield Finding(
            NAME, "refuses", some(others, 2),
            f"the converter stops at a tensor that is no factor, and {len(others)} are none", MERGE,
        )  # fmt: skip
    if kept:
        yield Finding(NAME, "misreads", some(kept, 2), "the converter skips it", MERGE)
    if norms:
        yield Finding(
            NAME,
            "misreads",
            some(norms, 2),
            "the converter keeps norms, and llama.cpp does not use them",
            MERGE,
        )


def _transposed(folder: Folder) -> Iterator[Finding]:
    if folder.model_type in CONV1D or folder.config.get("fan_in_fan_out"):
        yield Finding(
            NAME, "refuses", "fan_in_fan_out",
            "the converter transposes pairs of Conv1D modules, which PEFT has stored the right way round",
            OURS,
        )  # fmt: skip


def _head(folder: Folder) -> Iterator[Finding]:
    heads = [pair.module for pair in folder.factors.values() if pair.end == "lm_head"]
    if not heads:
        return
    text = (folder.base.config if folder.base else {}).get("text_config")
    config = {**(text if isinstance(text, dict) else {}), **(folder.base.config if folder.base else {})}
    if folder.base is None:
        yield Finding(
            NAME, "loads", some(heads, 2), "the converter stops at it if the base ties its head",
            "give --base to have that looked up",
        )  # fmt: skip
    elif config.get("tie_word_embeddings"):
        yield Finding(
            NAME, "refuses", some(heads, 2), "the base ties its head to its embedding: the converter stops",
            "leave the head out of the adapter",
        )  # fmt: skip


def _base(folder: Folder) -> Iterator[Finding]:
    name = folder.config.get("base_model_name_or_path")
    local = isinstance(name, str) and (PurePath(name).is_absolute() or name.startswith((".", "~")))
    if not name or local or name.count("/") != 1:
        yield Finding(
            NAME, "loads", "base_model_name_or_path", "the converter cannot fetch the base's config by it",
            "give it --base, the folder of the base",
        )  # fmt: skip
