"""How single-file adapters spell what they hold: kohya's trainers, ComfyUI and diffusers.

A name is the path of a module and a suffix. Each suffix is either read or refused with what it means.

https://github.com/kohya-ss/sd-scripts (`networks/lora.py`),
https://github.com/comfyanonymous/ComfyUI (`comfy/lora.py`)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Role = Literal["down", "up", "alpha", "weight", "bias"]

_PAIR = re.compile(
    r"(?P<module>.+)\.(?:lora_(?P<side>down|up|A|B)|lora(?P<layer>_linear_layer)?\.(?P<early>down|up))\.weight"
)
_SIDES: dict[str, Role] = {"down": "down", "up": "up", "A": "down", "B": "up"}
_SUFFIXES: dict[str, Role] = {"alpha": "alpha", "diff": "weight", "diff_b": "bias"}

# What stands in front of a module's path: the model of a pipeline that it is a module of.
_UNDERSCORED = re.compile(r"(lora_unet|lora_te\d?|lora_transformer|lora_prior_(?:unet|te)|lycoris)_(.+)")
# `transformer.h.0` is no component but GPT-2's own path.
_DOTTED = re.compile(
    r"(transformer(?:_\d)?(?!\.h\.\d)|unet|text_encoder(?:_\d)?|prior|controlnet|diffusion_model)\.(.+)"
)

_VARIANTS: tuple[tuple[str, str], ...] = (
    (r".+\.lora_mid\.weight", "the core of a LoRA on a convolution"),
    (r".+\.hada_(?:w[12]_[ab]|t[12])", "a part of a LoHa, whose two products are multiplied by element"),
    (r".+\.lokr_(?:w[12](?:_[ab])?|t[12])", "a part of a LoKr, which is a Kronecker product"),
    (r".+\.(?:dora_scale|lora_magnitude_vector(?:\.weight)?)", "the magnitudes of DoRA"),
    (r".+\.(?:oft_blocks|oft_diag)", "a part of OFT or BOFT, which turn the weights of the base"),
    (r".+\.set_weight", "a weight to put in the place of the base's, and no displacement"),
    (r".+\.reshape_weight", "a new shape for a weight of the base"),
    (r".+_lora\.(?:down|up)\.weight", "a factor under the name of an attention processor of early diffusers"),
    (r".+\.lora_(?:down|up|[AB])\.bias", "a bias trained on the LoRA factors"),
    (r"bundle_emb\..+", "an embedding bundled with the adapter"),
)  # fmt: skip
# Suffixes that a checkpoint may have too, so that one of them alone does not make a file an adapter.
_PLAIN_VARIANTS: tuple[tuple[str, str], ...] = (
    (r".+\.[wb]_norm", "a norm trained with LyCORIS"),
    (r".+\.[ab][12]\.weight", "a part of a GLoRA, whose change depends on the base"),
    (r".+\.scalar", "a trained factor in front of a LyCORIS module"),
    (r".+\.rescale", "the scale of a BOFT, which turns the weights of the base"),
    (r".+\.on_input", "a part of (IA)³, which scales the weights of the base"),
)
_TELLING = tuple((re.compile(pattern), what) for pattern, what in _VARIANTS)
_KNOWN = (*_TELLING, *((re.compile(pattern), what) for pattern, what in _PLAIN_VARIANTS))


@dataclass(frozen=True, slots=True)
class Spelt:
    """A name taken apart; `style` tells how factors are spelt, and the two of a pair share it."""

    module: str
    role: Role
    style: Literal["", "kohya", "peft", "early", "layer"] = ""


def taken_apart(name: str) -> Spelt | None:
    """Return what `name` says, or None where its suffix is not read."""
    found = _PAIR.fullmatch(name)
    if found is None:
        module, _, suffix = name.rpartition(".")
        return Spelt(module, _SUFFIXES[suffix]) if module and suffix in _SUFFIXES else None
    if found["early"]:
        return Spelt(found["module"], _SIDES[found["early"]], "layer" if found["layer"] else "early")
    return Spelt(found["module"], _SIDES[found["side"]], "peft" if found["side"] in "AB" else "kohya")


def variant(name: str) -> str:
    """Return what a name means that is recognised and refused, "" for one that is not known at all."""
    return next((what for pattern, what in _KNOWN if pattern.fullmatch(name)), "")


def is_adapter(names: Iterable[str]) -> bool:
    """Return whether tensors of these names are a single-file adapter, of a kind that is read or not."""
    held = list(names)
    if any(_PAIR.fullmatch(name) or any(p.fullmatch(name) for p, _ in _TELLING) for name in held):
        return True
    return bool(held) and all(taken_apart(name) or variant(name) for name in held)


def is_underscored(module: str) -> bool:
    """Return whether the dots of a module's path may have become underscores."""
    return "." not in module or _UNDERSCORED.fullmatch(module) is not None


def component_of(module: str) -> tuple[str, str]:
    """Return the model of a pipeline that a module says it is of, "" for none, and the rest of its path."""
    found = _UNDERSCORED.fullmatch(module) or _DOTTED.fullmatch(module)
    return (found[1], found[2]) if found else ("", module)
