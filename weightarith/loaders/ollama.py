"""Ollama: its own conversion of adapter folders, for two architectures and seven modules.

Checked against sources of 2024 to 2026, in `convert/`: `convert.go`, `convert_llama_adapter.go`,
`convert_gemma2_adapter.go`, `reader.go` and `reader_safetensors.go`. A GGUF file goes to llama.cpp as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from weightarith.adapter.trained import PREFIX
from weightarith.errors import quoted, some
from weightarith.loaders.finding import Finding
from weightarith.loaders.folder import Folder
from weightarith.loaders.llamacpp import OURS
from weightarith.loaders.peft import misplaced, shapes
from weightarith.loaders.scales import alpha_over_own_rank, rescaled
from weightarith.loaders.sglang import other_files
from weightarith.loaders.variants import no_lora, variants

NAME = "ollama"
GGUF = f"{OURS}, and name that after ADAPTER"
ARCHITECTURES = {"llama": "llama", "mistral": "llama", "gemma2": "gemma2"}
"""What Ollama calls a model type, of those whose adapter folders it reads."""

_KNOWN = re.compile(
    rf"{re.escape(PREFIX)}model\.layers\.\d+\."
    r"(?:self_attn\.[qkvo]_proj|mlp\.(?:gate|up|down)_proj)\.lora_[AB]\.weight"
)
_LARGEST = 2**32
_DTYPES = ("F32", "F16", "BF16")


def check(folder: Folder) -> Iterator[Finding]:
    """Yield what Ollama will make of the folder, as far as it is not what it should."""
    yield from no_lora(NAME, folder)
    yield from _architecture(folder)
    yield from _alpha(folder)
    yield from variants(NAME, folder, ())
    yield from rescaled(
        NAME, folder, alpha_over_own_rank,
        "the scale is lora_alpha over the rank of the pair, whatever use_rslora and alpha_pattern say",
    )  # fmt: skip
    yield from _tensors(folder)
    yield from _reordered(folder)
    yield from misplaced(NAME, folder, "refuses")
    yield from shapes(NAME, folder)
    yield from other_files(NAME, folder)


def _architecture(folder: Folder) -> Iterator[Finding]:
    if not folder.model_type:
        yield Finding(
            NAME, "loads", "base", "Ollama converts adapters of llama and gemma2 models only",
            "give --base to have that looked up",
        )  # fmt: skip
    elif folder.model_type not in ARCHITECTURES:
        yield Finding(
            NAME, "refuses", "base",
            f"Ollama converts adapters of llama and gemma2 models, not of {quoted(folder.model_type)}",
            GGUF,
        )  # fmt: skip


def _alpha(folder: Folder) -> Iterator[Finding]:
    alpha = folder.config.get("lora_alpha")
    if alpha is None:
        yield Finding(NAME, "misreads", "lora_alpha", "it is not said, and Ollama then scales by 1", GGUF)
    elif not isinstance(alpha, int) or isinstance(alpha, bool) or not 0 <= alpha < _LARGEST:
        yield Finding(
            NAME, "refuses", "lora_alpha", f"Ollama reads a whole number there, not {alpha!r:.40}",
            f"write {alpha:g} as a whole number" if isinstance(alpha, float) and alpha.is_integer() else GGUF,
        )  # fmt: skip


def _tensors(folder: Folder) -> Iterator[Finding]:
    others = [name for name in folder.tensors if not _KNOWN.fullmatch(name)]
    if others:
        yield Finding(
            NAME, "refuses", some(others, 2),
            f"Ollama knows the names of q, k, v, o, gate, up and down, and {len(others)} are others", GGUF,
        )  # fmt: skip
    wide = [pair.module for pair in folder.factors.values() if pair.rank > min(pair.a[-1], pair.b[0])]
    if wide:
        yield Finding(
            NAME, "refuses", some(wide, 2),
            "its rank is above a side of the weight, and by that Ollama takes a factor for transposed", GGUF,
        )  # fmt: skip
    odd = sorted({info.dtype.code for info in folder.tensors.values()} - set(_DTYPES))
    if odd:
        yield Finding(
            NAME, "refuses", "dtype", f"Ollama reads {', '.join(_DTYPES)}, not {', '.join(odd)}", GGUF
        )
    elif any(info.dtype.code == "F32" for info in folder.tensors.values()):
        yield Finding(NAME, "loads", "dtype", "Ollama stores float32 factors as float16")


def _reordered(folder: Folder) -> Iterator[Finding]:
    """Yield a finding where q and k need the rows of B reordered, and Ollama reorders A instead."""
    modules = [pair.module for pair in folder.factors.values() if pair.end in ("q_proj", "k_proj")]
    if modules and ARCHITECTURES.get(folder.model_type, "llama") == "llama":
        yield Finding(
            NAME, "misreads", some(modules, 2),
            "for llama models Ollama reorders A of q and k by heads and leaves B, whose rows are the ones "
            "that llama.cpp keeps in another order: their change is scrambled",
            GGUF,
        )  # fmt: skip
