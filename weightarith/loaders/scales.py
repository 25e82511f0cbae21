"""What B·A is multiplied by: as PEFT has it, module by module, and as others do.

PEFT: alpha over the rank, or over its root (rsLoRA), either of them by pattern.
https://huggingface.co/docs/peft/package_reference/lora#peft.LoraConfig.rank_pattern
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from weightarith.adapter.config import settings_from
from weightarith.adapter.portable import CONFIG
from weightarith.errors import quoted
from weightarith.loaders.finding import Finding
from weightarith.loaders.folder import Factors, Folder

Scale = Callable[[Folder, Factors], float]

_SCALING = ("alpha_pattern", "lora_alpha", "r", "rank_pattern", "use_rslora")

BAKE = "write it anew in the portable layout, whose scale is 1 everywhere: weightarith compress --format peft"


def number(config: Any, key: str) -> float:
    """Return a finite number of the config, NaN where it is none."""
    value = config.get(key)
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if plain else math.nan


def alpha_over_rank(folder: Folder, _pair: Factors) -> float:
    """Return alpha / r of the whole adapter."""
    return _over(number(folder.config, "lora_alpha"), number(folder.config, "r"))


def alpha_over_own_rank(folder: Folder, pair: Factors) -> float:
    """Return alpha over the rank of the module's own factors, as llama.cpp has it: an alpha of 0 is none."""
    alpha = number(folder.config, "lora_alpha")
    return _over(alpha, pair.rank) if alpha else 1.0


def rank_stabilised(folder: Folder, pair: Factors) -> float:
    """Return alpha / r of the whole adapter, or alpha / √r where use_rslora says so, as old vLLM has it."""
    if not folder.config.get("use_rslora"):
        return alpha_over_rank(folder, pair)
    return _over(number(folder.config, "lora_alpha"), _root(number(folder.config, "r")))


def rescaled(loader: str, folder: Folder, scale: Scale, why: str) -> Iterator[Finding]:
    """Yield a finding where a program multiplies some pair by another number than PEFT does.

    Raises:
        InvalidFileError: one of the settings is malformed.
        UnsupportedError: a pattern that could take for ever to match.
    """
    meant = _peft(folder)
    other = [
        (pair.module, meant(pair), scale(folder, pair))
        for pair in folder.factors.values()
        if not _alike(meant(pair), scale(folder, pair))
    ]
    if other:
        module, right, found = min(other)
        settings = [key for key in ("use_rslora", "rank_pattern", "alpha_pattern") if folder.config.get(key)]
        yield Finding(
            loader, "misreads", ", ".join(settings) or "lora_alpha",
            f"{why}; {len(other)} of {len(folder.factors)} modules are scaled otherwise, such as "
            f"{quoted(module)} by {found:g} and not by {right:g}",
            BAKE,
        )  # fmt: skip


def _peft(folder: Folder) -> Callable[[Factors], float]:
    """Return what PEFT multiplies each pair by; NaN where the config gives no number, as other rules say."""
    if not number(folder.config, "r") >= 1 or math.isnan(number(folder.config, "lora_alpha")):
        return lambda _pair: math.nan
    said = {key: value for key, value in folder.config.items() if key in _SCALING}
    settings = settings_from(folder.path / CONFIG, {**said, "peft_type": "LORA"})
    return lambda pair: settings.scale_at(pair.module)


def _over(alpha: float, rank: float) -> float:
    return alpha / rank if rank else math.nan


def _root(rank: float) -> float:
    return math.sqrt(rank) if rank > 0 else math.nan


def _alike(meant: float, found: float) -> bool:
    return math.isnan(meant) or math.isnan(found) or math.isclose(meant, found, rel_tol=1e-9)
