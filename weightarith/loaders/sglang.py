"""SGLang: one scale for all modules, stacked modules all or none, and every safetensors file of the folder.

Checked against the main branch of 2026: `lora.py`, `lora_config.py`, `lora_manager.py` and `utils.py` in
`python/sglang/srt/lora`.
"""

from __future__ import annotations

from collections.abc import Iterator

from weightarith.adapter.portable import TENSORS
from weightarith.adapter.portable_modules import STACKED
from weightarith.errors import some
from weightarith.loaders.finding import Finding
from weightarith.loaders.folder import Folder
from weightarith.loaders.peft import ranks, shapes
from weightarith.loaders.scales import BAKE, alpha_over_rank, rescaled
from weightarith.loaders.variants import MERGE, missing, no_lora, variants

NAME = "sglang"
_WORDS = ("all", "all-linear")


def check(folder: Folder) -> Iterator[Finding]:
    """Yield what SGLang will do with the folder, as far as it is not what it should."""
    yield from no_lora(NAME, folder)
    yield from missing(NAME, folder, ("r", "lora_alpha", "target_modules"))
    yield from variants(NAME, folder, {"use_dora"})
    yield from _patterns(folder)
    if not folder.config.get("rank_pattern") and not folder.config.get("alpha_pattern"):
        yield from rescaled(NAME, folder, alpha_over_rank, "SGLang takes alpha / r and overlooks use_rslora")
    yield from _targets(folder)
    yield from ranks(NAME, folder)
    yield from shapes(NAME, folder)
    yield from _stacked(folder)
    yield from _dropped(folder)
    yield from other_files(NAME, folder)


def _patterns(folder: Folder) -> Iterator[Finding]:
    for key, default in (("rank_pattern", "r"), ("alpha_pattern", "lora_alpha")):
        values = folder.config.get(key) or {}
        if isinstance(values, dict) and any(value != folder.config.get(default) for value in values.values()):
            yield Finding(
                NAME, "refuses", key, "SGLang serves one rank and one scale; older ones overlook the pattern",
                BAKE,
            )  # fmt: skip


def _targets(folder: Folder) -> Iterator[Finding]:
    targets = folder.config.get("target_modules")
    if isinstance(targets, str) and targets not in _WORDS:
        yield Finding(
            NAME,
            "refuses",
            "target_modules",
            "SGLang reads a list there, or all-linear, and no pattern",
            BAKE,
        )


def _stacked(folder: Folder) -> Iterator[Finding]:
    """Yield a finding where q, k and v, or gate and up, are not all there: SGLang stacks them."""
    headless: list[str] = []
    orphans: list[str] = []
    for module in folder.factors:
        parent, _, end = module.rpartition(".")
        stacks = (group for group in STACKED if end in group)
        orphans += [module for group in stacks if f"{parent}.{group[0]}" not in folder.factors]
        if end == "q_proj" and f"{parent}.v_proj" not in folder.factors:
            headless.append(module)
    if headless:
        yield Finding(
            NAME,
            "refuses",
            some(headless, 2),
            "it stacks q, k and v, and wants a pair for v beside q's",
            BAKE,
        )
    if orphans:
        yield Finding(
            NAME, "misreads", some(orphans, 2),
            "it is stacked with a module that has no pair, and dropped with a warning", BAKE,
        )  # fmt: skip


def _dropped(folder: Folder) -> Iterator[Finding]:
    if folder.others:
        yield Finding(
            NAME, "misreads", some(list(folder.others), 2),
            f"it is no factor: SGLang drops {len(folder.others)} of them, at most with a warning", MERGE,
        )  # fmt: skip
    if "added_tokens.json" in folder.files:
        yield Finding(
            NAME, "refuses", "added_tokens.json", "SGLang takes no adapter that adds tokens",
            "remove the file if its tokens are the base's own",
        )  # fmt: skip


def other_files(loader: str, folder: Folder) -> Iterator[Finding]:
    """Yield a finding where other safetensors files lie in the folder, to programs that read all of them."""
    more = sorted(name for name in folder.files if name.endswith(".safetensors") and name != TENSORS)
    if more:
        yield Finding(
            loader, "misreads", some(more, 2),
            f"{loader} reads every safetensors file of the folder as a part of the adapter",
            "move it to a folder of its own",
        )  # fmt: skip
