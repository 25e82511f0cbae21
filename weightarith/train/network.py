"""The model that is trained: a base with what the kind of training adds to it, all of it at its start.

A bias is trained as the bias of a LoRA whose factors are zero and stay so: PEFT then holds it in float32
beside a base in half precision, and the checkpoints of a training hold nothing but it.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import set_seed

from weightarith.errors import InvalidFileError, UnsupportedError, quoted, some
from weightarith.lm.model import network_of
from weightarith.train.settings import Settings

DOWN = ("down_proj", "dense_4h_to_h", "c_proj", "fc2", "fc_out")
"""What the projection out of an MLP is called."""
_NOT_MLP = ("attn", "attention")


def network_for(base: Path, settings: Settings) -> Any:
    """Return the network of a base folder, ready to be trained; the same seed gives the same start.

    Raises:
        InvalidFileError: transformers cannot read the folder, or weights are missing.
        UnsupportedError: the model has no module of the kind that is to be trained.
    """
    network = _loaded(base, "float32" if settings.kind == "full" else settings.computes_in)
    if settings.kind == "full":
        return network
    config = _lora(network, settings) if settings.kind == "lora" else _bias(network)
    set_seed(settings.seed)
    with warnings.catch_warnings():
        # Of factors that cannot be merged for want of a bias below: they never are.
        warnings.filterwarnings("ignore", "`lora_bias=True` was passed")
        adapted = get_peft_model(network, config)
    for name, parameter in adapted.named_parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
        if settings.kind == "bias" and ".lora_A." in name:
            # The other factor is zero already: of two that are, neither has a gradient.
            parameter.data.zero_()
    return adapted


def needs_autocast(settings: Settings) -> bool:
    """Return whether weights that are trained in float32 stand alone in a model that computes in bfloat16.

    PEFT does the conversion around its factors itself.
    """
    return settings.computes_in == "bfloat16" and (settings.kind == "full" or bool(settings.trained_whole))


def _loaded(base: Path, dtype: str) -> Any:
    if not (base / "config.json").is_file():
        raise InvalidFileError(f"{quoted(str(base))} is no model folder: it has no config.json")
    return network_of(base, str(base), dtype)


def _lora(network: Any, settings: Settings) -> LoraConfig:
    _check_whole(network, settings.trained_whole)
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]  # PEFT divides it; a whole number is usual
        lora_dropout=settings.dropout,
        target_modules="all-linear",
        modules_to_save=list(settings.trained_whole) or None,
        task_type="CAUSAL_LM",
    )


def _check_whole(network: Any, names: tuple[str, ...]) -> None:
    known = sorted({name.rpartition(".")[2] for name, _ in network.named_modules()} - {""})
    for name in names:
        if name not in known:
            raise UnsupportedError(
                f"the model has no module called {quoted(name)} that could be trained whole",
                hint=f"it has {some([each for each in known if not each.isdigit()], 20)}",
            )
    ends = (network.get_input_embeddings(), network.get_output_embeddings())
    paths = [path for path, module in network.named_modules() if any(module is end for end in ends)]
    if getattr(network.config, "tie_word_embeddings", False) and any(
        path == name or path.endswith(f".{name}") for path in paths for name in names
    ):
        raise UnsupportedError(
            "the model's embedding is its output head too, and an adapter that holds it whole would hold two",
            hint="leave it out, or train all weights: --kind full",
        )


def _bias(network: Any) -> LoraConfig:
    targets = [name for name, module in network.named_modules() if _is_down(name, module)]
    if not targets:
        raise UnsupportedError(
            f"the model has no MLP down projection: no linear module is called {', '.join(DOWN)}",
            hint="train a LoRA instead: --kind lora",
        )
    return LoraConfig(
        r=1,
        lora_alpha=1,
        target_modules=targets,
        lora_bias=True,
        init_lora_weights=True,
        task_type="CAUSAL_LM",
    )


def _is_down(name: str, module: Any) -> bool:
    *path, last = name.split(".")
    inside = any(word in part for part in path for word in _NOT_MLP)
    return last in DOWN and not inside and (isinstance(module, torch.nn.Linear) or _is_conv1d(module))


def _is_conv1d(module: Any) -> bool:
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, Conv1D)
