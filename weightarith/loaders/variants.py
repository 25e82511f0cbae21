"""Settings that change what two factors mean: programs other than PEFT know some, and overlook others.

https://huggingface.co/docs/peft/package_reference/lora#peft.LoraConfig
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from weightarith.errors import quoted
from weightarith.loaders.finding import Finding
from weightarith.loaders.folder import Folder

VARIANTS = {
    "alora_invocation_tokens": "activated LoRA, which acts on some tokens only",
    "arrow_config": "Arrow routing between adapters",
    "kasa_config": "KaSA, which cuts the base's spectrum",
    "layer_replication": "replicated layers",
    "lora_bias": "a bias trained on the factors",
    "monteclora_config": "Monte Carlo LoRA",
    "target_parameters": "LoRA on bare parameters, such as fused experts",
    "trainable_token_indices": "single trained rows of an embedding",
    "use_bdlora": "block-diagonal LoRA",
    "use_dora": "DoRA, whose change depends on the base's norms",
    "use_qalora": "QA-LoRA, whose factors act on pooled inputs",
    "velora_config": "VeLoRA",
}
PLAIN_STARTS = frozenset({"eva", "gaussian", "lora_ga", "mica", "orthogonal"})
"""Values of init_lora_weights, besides true and false, that leave the base as it is."""

MERGE = "merge it into the base with PEFT (merge_and_unload), and compress that checkpoint minus the base"


def variants(
    loader: str, folder: Folder, refused: Collection[str], known: Collection[str] = ()
) -> Iterator[Finding]:
    """Yield a finding for each variant of LoRA that is on.

    Args:
        loader: the name of the program.
        folder: the adapter.
        refused: the settings it raises an error for.
        known: the settings it does as PEFT does.
    """
    for key, what in VARIANTS.items():
        if not folder.config.get(key) or key in known:
            continue
        if key in refused:
            yield Finding(loader, "refuses", key, f"it is {what}, which {loader} does not do", MERGE)
        else:
            yield Finding(loader, "misreads", key, f"it is {what}, which {loader} does not look for", MERGE)
    start = folder.config.get("init_lora_weights")
    if isinstance(start, str) and start.lower() not in PLAIN_STARTS and "init_lora_weights" not in known:
        yield Finding(
            loader,
            "refuses" if "init_lora_weights" in refused else "misreads",
            "init_lora_weights",
            f"training began from a base changed by {quoted(start)}, and {loader} serves the unchanged one",
            "save it with PEFT's path_initial_model_for_weight_conversion, which makes it a plain LoRA",
        )


def no_lora(loader: str, folder: Folder) -> Iterator[Finding]:
    """Yield a finding where the adapter is of another kind than LoRA, which only PEFT reads."""
    kind = folder.config.get("peft_type")
    if str(kind).upper() != "LORA":
        yield Finding(
            loader, "refuses", "peft_type", f"it is {quoted(str(kind))}, and {loader} reads LORA only", MERGE
        )


def missing(loader: str, folder: Folder, keys: Collection[str]) -> Iterator[Finding]:
    """Yield a finding for each setting that a program cannot do without."""
    for key in keys:
        if folder.config.get(key) is None:
            yield Finding(
                loader, "refuses", key, f"adapter_config.json does not say it, and {loader} needs it",
                "save the adapter with PEFT's save_pretrained()",
            )  # fmt: skip
