"""adapter_config.json: rank and scale of every module, and a refusal of what changes the factors' meaning.

A setting that is not listed here may mean anything, so it is refused unless it is off.

https://huggingface.co/docs/peft/package_reference/lora#peft.LoraConfig
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightarith.errors import InvalidFileError, UnsupportedError, quoted
from weightarith.tensorfile.jsonfile import CONFIG_LIMIT, read_object
from weightarith.tensorfile.sniff import shown

MERGE_FIRST = (
    "merge the adapter into its base with PEFT (merge_and_unload), and use that checkpoint minus the base"
)

# Read below.
_READ = frozenset({
    "peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "fan_in_fan_out", "bias",
    "modules_to_save", "init_lora_weights",
})  # fmt: skip
# Said of training, loading or choosing modules; the stored tensors mean the same whatever stands here.
_HARMLESS = frozenset({
    "auto_mapping", "base_model_name_or_path", "corda_config", "ensure_weight_tying", "eva_config",
    "exclude_modules", "inference_mode", "layers_pattern", "layers_to_transform", "loftq_config",
    "lora_dropout", "lora_ga_config", "megatron_core", "peft_version", "qalora_group_size", "revision",
    "target_modules", "task_type",
})  # fmt: skip
_REFUSED = {
    "alora_invocation_tokens": "activated LoRA, which acts on some tokens only",
    "arrow_config": "Arrow routing between adapters",
    "kasa_config": "KaSA, which cuts the base's spectrum",
    "layer_replication": "replicated layers",
    "lora_bias": "a bias trained on the LoRA factors",
    "megatron_config": "Megatron's parallel layers",
    "monteclora_config": "Monte Carlo LoRA",
    "target_parameters": "LoRA on bare parameters, such as fused experts",
    "trainable_token_indices": "single trained rows of an embedding",
    "use_bdlora": "block-diagonal LoRA",
    "use_dora": "DoRA, whose change depends on the base's norms",
    "use_qalora": "QA-LoRA, whose factors act on pooled inputs",
    "velora_config": "VeLoRA",
}
LARGEST = 1e15  # above it a rank or an alpha is a slip, and products lose whole numbers
MAX_REPEATS = 4
_REPEAT = re.compile(r"(?<!\\)[*+{]")
_REPEATED_GROUP = re.compile(r"(?<!\\)\)[*+{]")
# Starting points that leave the base as it is. The others subtract their start from it, and their factors are
# displacements from a base that is stored nowhere.
_STARTS = frozenset({"gaussian", "eva", "orthogonal", "mica"})


@dataclass(frozen=True)
class Settings:
    """What adapter_config.json says of the tensors beside it."""

    path: Path
    rank: int
    alpha: float
    rank_stabilised: bool
    transposed: bool  # weights of linear modules are stored (in, out)
    bias: str
    trained_modules: tuple[str, ...]
    ranks: Patterns
    alphas: Patterns
    raw: Mapping[str, Any]

    def rank_at(self, module: str) -> int:
        """Return the rank of the factors at `module`."""
        return int(self.ranks.at(module, self.rank))

    def scale_at(self, module: str) -> float:
        """Return what B·A is multiplied by at `module`: alpha over the rank, or over its square root.

        Kalajdzievski (2023), "rsLoRA", https://arxiv.org/abs/2312.03732
        """
        rank = self.rank_at(module)
        return self.alphas.at(module, self.alpha) / (math.sqrt(rank) if self.rank_stabilised else rank)


@dataclass(frozen=True)
class Patterns:
    """Values by pattern: the first that matches the end of a module's path counts, as in PEFT."""

    values: Mapping[str, float]
    compiled: tuple[tuple[re.Pattern[str], float], ...]

    def at(self, module: str, default: float) -> float:
        """Return the value at `module`, or `default` where no pattern matches."""
        found = next((value for pattern, value in self.compiled if pattern.match(module)), None)
        return self.values.get(module, default) if found is None else found


def read_settings(path: Path) -> Settings:
    """Return the settings in the adapter_config.json at `path`.

    Raises:
        InvalidFileError: a value is missing, or of the wrong type.
        UnsupportedError: no LoRA, or a variant of it that is no plain product of two factors.
    """
    return settings_from(path, read_object(path, CONFIG_LIMIT))


def settings_from(path: Path, config: Mapping[str, Any]) -> Settings:
    """Return the settings that `config` holds; errors are as of `read_settings` and name the file `path`."""
    _refuse_others(path, config)
    return Settings(
        path=path,
        rank=int(_number(path, "r", config.get("r"), whole=True)),
        alpha=_number(path, "lora_alpha", config.get("lora_alpha")),
        rank_stabilised=_flag(path, config, "use_rslora"),
        transposed=_flag(path, config, "fan_in_fan_out"),
        bias=str(config.get("bias") or "none"),
        trained_modules=_names(path, config, "modules_to_save"),
        ranks=_patterns(path, config, "rank_pattern", whole=True),
        alphas=_patterns(path, config, "alpha_pattern"),
        raw=config,
    )


def _refuse_others(path: Path, config: Mapping[str, Any]) -> None:
    if "peft_type" not in config:
        raise InvalidFileError(f"{shown(path)} has no peft_type: it is no adapter's configuration")
    if config["peft_type"] != "LORA":
        raise UnsupportedError(
            f"{shown(path)} is a {_told(config['peft_type'])} adapter, expected LORA", hint=MERGE_FIRST
        )
    for key, value in config.items():
        if not value or key in _READ or key in _HARMLESS:
            continue
        what = _REFUSED.get(key, "a setting that is not known here and may change what the tensors mean")
        raise UnsupportedError(
            f"{shown(path)} sets {quoted(key)} to {_told(value)}: {what}", hint=MERGE_FIRST
        )
    start = config.get("init_lora_weights")
    if start and start is not True and str(start).lower() not in _STARTS:
        raise UnsupportedError(
            f"{shown(path)} sets 'init_lora_weights' to {_told(start)}: training started from a changed "
            "base, and the factors are displacements from that",
            hint="save it with PEFT's path_initial_model_for_weight_conversion, which makes it a plain LoRA",
        )
    if config.get("bias") not in (None, "none", "all", "lora_only"):
        raise UnsupportedError(
            f"{shown(path)} sets 'bias' to {_told(config['bias'])}, expected none, all or lora_only"
        )


def _number(path: Path, key: str, value: object, *, whole: bool = False) -> float:
    allowed = int if whole else (int, float)
    if (
        not isinstance(value, allowed)
        or isinstance(value, bool)
        or not abs(value) < LARGEST
        or (whole and value < 1)
    ):
        expected = "a whole number above 0" if whole else "a finite number"
        raise InvalidFileError(f"{shown(path)}: {quoted(key)} is {_told(value)}, expected {expected}")
    return value


def _flag(path: Path, config: Mapping[str, Any], key: str) -> bool:
    value = config.get(key)
    if value not in (None, True, False):
        raise InvalidFileError(f"{shown(path)}: {quoted(key)} is {_told(value)}, expected true or false")
    return bool(value)


def _names(path: Path, config: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = config.get(key) or []
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise InvalidFileError(
            f"{shown(path)}: {quoted(key)} is {_told(value)}, expected a list of module names"
        )
    return tuple(value)


def _patterns(path: Path, config: Mapping[str, Any], key: str, *, whole: bool = False) -> Patterns:
    values = config.get(key) or {}
    if not isinstance(values, dict):
        raise InvalidFileError(
            f"{shown(path)}: {quoted(key)} is {_told(values)}, expected patterns with numbers"
        )
    compiled = []
    for pattern, value in values.items():
        number = _number(path, f"{key}[{pattern}]", value, whole=whole)
        if _REPEATED_GROUP.search(pattern) or len(_REPEAT.findall(pattern)) > MAX_REPEATS:
            raise UnsupportedError(
                f"{shown(path)}: the pattern {quoted(pattern)} in {key} repeats a group, or repeats too "
                "often: matching it could take for ever",
                hint="write the module paths out",
            )
        try:
            compiled.append((re.compile(rf"(.*\.)?({pattern})$"), number))
        except (re.error, RecursionError, OverflowError) as error:
            raise InvalidFileError(
                f"{shown(path)}: {quoted(pattern)} in {key} is no pattern: {error}"
            ) from error
    return Patterns(values, tuple(compiled))


def _told(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
