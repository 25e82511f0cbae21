"""Weights that an adapter stores whole: trained modules, trained biases, embeddings that grew.

PEFT puts them into the base by name when it loads the adapter, so each is the new weight and no displacement.
A tensor that neither the settings nor its role explain is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from itertools import accumulate

from weightarith.adapter.config import MERGE_FIRST, Settings
from weightarith.errors import InvalidFileError, UnsupportedError, quoted
from weightarith.names import role_of
from weightarith.tensorfile.factored import Factored
from weightarith.tensorfile.model import Stored, TensorFile
from weightarith.tensorfile.sniff import shown

PREFIX = "base_model.model."

_WRAPPED = re.compile(r"\.(base_layer|modules_to_save|original_module)\.")
_VARIANTS = {
    "lora_magnitude_vector": "the magnitudes of DoRA",
    "lora_diag": "the singular values of KaSA",
    "lora_A": "a part of a LoRA factor other than its weight",
    "lora_B": "a part of a LoRA factor other than its weight",
    "token_adapter": "single trained rows of an embedding",
}


def trained_weights(
    file: TensorFile, settings: Settings, names: Collection[str], factors: Mapping[str, Factored]
) -> tuple[dict[str, Stored], tuple[str, ...]]:
    """Return the trained weights of `file` by the names they have in the base, and the names of copies.

    A copy is what PEFT keeps of a module it replaced, or a second record of the new one; PEFT loads neither.

    Raises:
        InvalidFileError: a weight is there twice, or does not fit the factors that come on top of it.
        UnsupportedError: one of `names` is not understood, or of a dtype that no sum is defined for.
    """
    replaced: dict[str, Stored] = {}
    copies = []
    for name in names:
        wrapped = _WRAPPED.search(name)
        target = _WRAPPED.sub(".", name, count=1).removeprefix(PREFIX)
        if wrapped and _is_copy(wrapped[1], name, PREFIX + target, file):
            copies.append(name)
            continue
        if not _explained(wrapped[1] if wrapped else "", target, settings, factors):
            raise _not_understood(file, name)
        if target in replaced:
            raise InvalidFileError(f"{shown(file.path)} holds {quoted(target)} twice, once as {quoted(name)}")
        replaced[target] = summable(file, name)
        _expect_fit(file, name, target, factors)
    return replaced, tuple(copies)


def summable(file: TensorFile, name: str) -> Stored:
    """Return the tensor `name` of `file`, or raise UnsupportedError if no sum is defined for its dtype."""
    info = file.tensors[name]
    if not info.dtype.arithmetic:
        raise UnsupportedError(
            f"{shown(file.path)} stores {quoted(name)} as {info.dtype.code}, expected F64, F32, F16 or BF16"
        )
    return Stored(file, info)


def _is_copy(wrapper: str, name: str, target: str, file: TensorFile) -> bool:
    if wrapper == "original_module":
        return (
            target in file.tensors or name.replace(".original_module.", ".modules_to_save.") in file.tensors
        )
    return wrapper == "modules_to_save" and target in file.tensors


def _explained(wrapper: str, target: str, settings: Settings, factors: Mapping[str, Factored]) -> bool:
    parts = target.split(".")
    module, leaf = ".".join(parts[:-1]), parts[-1]
    if leaf not in ("weight", "bias") and wrapper != "modules_to_save" and not settings.trained_modules:
        return False
    if any(part.startswith("lora_") or part in _VARIANTS for part in parts) or wrapper == "original_module":
        return False
    if wrapper == "base_layer":
        return f"{module}.weight" in factors
    if wrapper == "modules_to_save" or role_of(target) in ("embed", "head"):
        return True
    if leaf == "bias" and (
        settings.bias == "all" or (settings.bias == "lora_only" and f"{module}.weight" in factors)
    ):
        return True
    paths = accumulate(parts[:-1], "{}.{}".format)
    return any(path.endswith(trained) for path in paths for trained in settings.trained_modules)


def _not_understood(file: TensorFile, name: str) -> UnsupportedError:
    known = next((_VARIANTS[part] for part in name.split(".") if part in _VARIANTS), "")
    what = (
        f"which is {known}"
        if known
        else "which is no LoRA factor, and adapter_config.json does not explain it"
    )
    return UnsupportedError(f"{shown(file.path)} holds {quoted(name)}, {what}", hint=MERGE_FIRST)


def _expect_fit(file: TensorFile, name: str, target: str, factors: Mapping[str, Factored]) -> None:
    shape = file.tensors[name].shape
    if target in factors and shape != factors[target].shape:
        raise InvalidFileError(
            f"{shown(file.path)}: {quoted(name)} is {list(shape)}, and the factors on top of it make "
            f"{list(factors[target].shape)}"
        )
