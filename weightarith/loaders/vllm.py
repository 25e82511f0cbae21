"""vLLM: one rank and one scale for all modules, linear modules only, and a limit on the rank.

Checked against releases of 2026 and the main branch of that autumn: `peft_helper.py` and `lora_model.py` in
`vllm/lora`; `vllm/config/lora.py` has the ranks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from weightarith.errors import some
from weightarith.loaders.finding import Finding
from weightarith.loaders.folder import Folder
from weightarith.loaders.peft import misplaced, ranks, shapes
from weightarith.loaders.scales import number, rank_stabilised, rescaled
from weightarith.loaders.variants import MERGE, missing, no_lora, variants

NAME = "vllm"
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What --max-lora-rank can be."""
DEFAULT_RANK = 16

_REFUSED = frozenset({
    "alora_invocation_tokens", "init_lora_weights", "layer_replication", "lora_bias", "use_bdlora",
    "use_dora", "use_qalora",
})  # fmt: skip
_CLASSIFIERS = frozenset({"classifier", "score"})
_SKIPPED = (".embed_tokens.base_layer.weight", ".lm_head.base_layer.weight")


def check(folder: Folder) -> Iterator[Finding]:
    """Yield what vLLM will do with the folder, as far as it is not what it should."""
    yield from no_lora(NAME, folder)
    yield from missing(NAME, folder, ("r", "lora_alpha", "target_modules"))
    yield from variants(NAME, folder, _REFUSED)
    yield from _trained_whole(folder)
    yield from _rank(folder)
    yield from rescaled(
        NAME, folder, rank_stabilised,
        "releases before autumn 2026 drop rank_pattern and alpha_pattern without a word",
    )  # fmt: skip
    yield from ranks(NAME, folder)
    yield from misplaced(NAME, folder)
    yield from shapes(NAME, folder)
    yield from _unknown(folder)


def _trained_whole(folder: Folder) -> Iterator[Finding]:
    saved = folder.config.get("modules_to_save") or []
    if not isinstance(saved, list) or set(map(str, saved)) - _CLASSIFIERS:
        yield Finding(
            NAME, "refuses", "modules_to_save", "vLLM takes no module that was trained whole", MERGE
        )
    if folder.config.get("bias") not in (None, "none"):
        yield Finding(NAME, "refuses", "bias", "vLLM takes no biases in an adapter", MERGE)
    others = [name for name in folder.others if not name.endswith(_SKIPPED)]
    if others:
        yield Finding(
            NAME, "refuses", some(others, 2),
            f"vLLM raises an error on a tensor that is no factor, and {len(others)} are none", MERGE,
        )  # fmt: skip
    if len(others) < len(folder.others):
        yield Finding(
            NAME, "misreads", some([name for name in folder.others if name.endswith(_SKIPPED)], 2),
            "vLLM skips it, and it may hold new or trained rows", MERGE,
        )  # fmt: skip


def _rank(folder: Folder) -> Iterator[Finding]:
    said = number(folder.config, "r")
    if math.isnan(said):
        return
    widest = max([said, *(pair.rank for pair in folder.factors.values())])
    if widest > RANKS[-1]:
        yield Finding(
            NAME, "refuses", "r", f"vLLM serves ranks up to {RANKS[-1]}, and this is {widest:g}",
            f"compress it to rank {RANKS[-1]} or less",
        )  # fmt: skip
    elif widest > DEFAULT_RANK:
        enough = next(rank for rank in RANKS if rank >= widest)
        yield Finding(
            NAME, "loads", "r", f"rank {widest:g} is above vLLM's default of {DEFAULT_RANK}",
            f"start it with --max-lora-rank {enough}",
        )  # fmt: skip


def _unknown(folder: Folder) -> Iterator[Finding]:
    embeddings = [pair.module for pair in folder.factors.values() if pair.embedding or pair.end == "lm_head"]
    if embeddings:
        yield Finding(
            NAME, "loads", some(embeddings, 2), "only some model classes of vLLM serve LoRA on embeddings",
            "look for embedding_modules in the class of your model",
        )  # fmt: skip
    if folder.base is None or not folder.base.shapes:
        yield Finding(
            NAME, "loads", "names of modules",
            "vLLM looks at the last part of a path only: a wrong beginning loads, and does nothing",
            "give --base with its weights to have the names compared",
        )  # fmt: skip
