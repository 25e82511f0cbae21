"""An adapter as one GGUF file, for llama.cpp and Ollama, which runs on llama.cpp.

llama.cpp keeps some weights in another order than transformers: where its rotary embedding wants the two
members of a pair side by side, the rows of q and k are interleaved, and so must the rows of B be. Only model
types whose weights are known to be kept as they are, but for that, are written.

https://github.com/ggml-org/llama.cpp/blob/master/convert_lora_to_gguf.py
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weightarith.adapter.portable import Module, Portable
from weightarith.adapter.portable_base import WEIGHT, Base, published
from weightarith.errors import IncompatibleError, UnsupportedError, quoted
from weightarith.export.factors import Doubles, Pair, rounded
from weightarith.export.folder import oriented
from weightarith.store.stage import disk_error

FILE = "adapter.gguf"
_TYPES = {"F32": 0, "F16": 1, "BF16": 32}  # LlamaFileType: what most tensors of a file are


@dataclass(frozen=True)
class Family:
    """What llama.cpp calls a model type, and whether it interleaves the rows of q and k."""

    architecture: str
    interleaved: bool = False


FAMILIES = {
    "gemma": Family("gemma"),
    "gemma2": Family("gemma2"),
    "gemma3_text": Family("gemma3"),
    "gpt2": Family("gpt2"),
    "granite": Family("granite", interleaved=True),
    "llama": Family("llama", interleaved=True),
    "mistral": Family("llama", interleaved=True),
    "olmo": Family("olmo", interleaved=True),
    "olmo2": Family("olmo2"),
    "phi3": Family("phi3"),
    "qwen2": Family("qwen2"),
    "qwen3": Family("qwen3"),
}
"""By `model_type` of config.json. Conversions of llama.cpp that do anything else to a matrix are not here."""


@dataclass(frozen=True)
class Placed:
    """A module and what GGUF calls its weight; `heads` is into how many its rows are split to interleave."""

    module: Module
    name: str
    heads: int


@dataclass(frozen=True, eq=False)
class GgufPlan:
    """A GGUF file to be."""

    portable: Portable
    architecture: str
    placed: tuple[Placed, ...]
    metadata: Mapping[str, str]

    @property
    def size(self) -> int:
        """The bytes of the tensors."""
        infos = self.portable.layout.tensors
        return sum(infos[one.module.a].nbytes + infos[one.module.b].nbytes for one in self.placed)


def plan_gguf(portable: Portable, *, metadata: Mapping[str, str] | None = None) -> GgufPlan:
    """Return the GGUF file that holds what a portable adapter does; modules that nothing moves are not in it.

    Args:
        portable: what `plan_portable` returned; its base must have come with its config.json.
        metadata: text for the file's header, by keys that begin with `weightarith.`.

    Raises:
        UnsupportedError: the gguf package is not installed, or it is not known how llama.cpp keeps the
            weights of this model type.
        IncompatibleError: config.json lacks a number, or llama.cpp has no name for a weight.
    """
    gguf = _library()
    base = portable.base
    family = _family(base)
    layers = _number(base, "num_hidden_layers", "n_layer")
    architecture = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == family.architecture)
    names = gguf.get_tensor_name_map(architecture, layers)
    placed = []
    for module in portable.modules:
        if module.rank:
            name = names.get_name(module.path + WEIGHT, try_suffixes=(WEIGHT,))
            if name is None:
                raise IncompatibleError(
                    f"llama.cpp has no name for {quoted(module.path)} in a {family.architecture} model",
                    hint="leave it out of the vector: restrict() selects by name, layer or role",
                )
            placed.append(Placed(module, name, _heads(base, module) if family.interleaved else 0))
    return GgufPlan(portable, family.architecture, tuple(placed), dict(metadata or {}))


def write_gguf(path: Path, plan: GgufPlan, pairs: Mapping[str, Pair]) -> None:
    """Write a planned GGUF file to `path`, which must not exist, and bring it to the disk.

    To publish it at once or not at all, give a path inside a folder of `store.stage.staged`.

    Raises:
        WeightArithError: as `plan_gguf` and `fill_adapter`.
    """
    gguf = _library()
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o666)
        os.close(descriptor)
        writer = gguf.GGUFWriter(path, plan.architecture)
        try:
            _describe(writer, gguf, plan)
            _fill(writer, plan, pairs)
            for file in writer.fout:
                file.flush()
                os.fsync(file.fileno())
        finally:
            if writer.fout is not None:
                writer.close()
    except OSError as error:
        raise disk_error(error, path) from error


def interleaved(rows: Doubles, heads: int) -> Doubles:
    """Return `rows`, of each head in turn one from its first half and one from its second.

    Su et al. (2021), "RoFormer", section 3.4, https://arxiv.org/abs/2104.09864, pairs neighbours;
    transformers pairs the halves.
    """
    count, width = rows.shape
    halves = rows.reshape(heads, 2, count // heads // 2, width)  # (heads, member, pair, width)
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(count, width)


def _describe(writer: Any, gguf: Any, plan: GgufPlan) -> None:
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(plan.portable.rank))  # so that the scale is 1
    writer.add_file_type(_TYPES[plan.portable.dtype.code])
    name, revision = published(plan.portable.base.name, plan.portable.base.revision)
    if name is not None:
        owner, _, plain = name.rpartition("/")
        writer.add_base_model_count(1)
        writer.add_base_model_name(0, plain)
        if owner:
            writer.add_base_model_organization(0, owner)
        if revision:
            writer.add_base_model_version(0, revision)
    for key, value in sorted(plan.metadata.items()):
        writer.add_string(key, value)


def _fill(writer: Any, plan: GgufPlan, pairs: Mapping[str, Pair]) -> None:
    """Write the header, and then one module after the other."""
    from gguf import GGMLQuantizationType

    portable = plan.portable
    kind = GGMLQuantizationType[portable.dtype.code]
    for one in plan.placed:
        for tensor, suffix in ((one.module.a, "lora_a"), (one.module.b, "lora_b")):
            info = portable.layout.tensors[tensor]
            writer.add_tensor_info(f"{one.name}.{suffix}", info.shape, np.dtype(np.uint16), info.nbytes, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for one in plan.placed:
        a, b = oriented(portable, one.module, pairs)
        b = interleaved(b, one.heads) if one.heads else b
        writer.write_tensor_data(rounded(a, portable.dtype, one.module.a))
        writer.write_tensor_data(rounded(b, portable.dtype, one.module.b))


def _family(base: Base) -> Family:
    kind = base.config.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise UnsupportedError(
            f"how llama.cpp keeps the weights of a {quoted(str(kind))} model is not known here; "
            f"known are {', '.join(FAMILIES)}",
            hint="write the PEFT folder, and convert it with llama.cpp's convert_lora_to_gguf.py",
        )
    return FAMILIES[kind]


def _heads(base: Base, module: Module) -> int:
    """Return into how many heads the rows of a module's weight are split, 0 where they stay in order."""
    end = module.path.rpartition(".")[2]
    if end not in ("q_proj", "k_proj"):
        return 0
    every = _number(base, "num_attention_heads")
    heads = every if end == "q_proj" else _number(base, "num_key_value_heads", otherwise=every)
    if module.shape[0] % (2 * heads):
        raise IncompatibleError(
            f"{quoted(module.name)} has {module.shape[0]} rows, and {heads} heads of pairs do not divide that"
        )
    return heads


def _number(base: Base, *keys: str, otherwise: int = 0) -> int:
    for key in keys:
        value = base.config.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 20:
            return value
    if not otherwise:
        raise IncompatibleError(f"the base's config.json gives no {quoted(keys[0])}")
    return otherwise


def _library() -> Any:
    try:
        import gguf
    except ImportError:
        raise UnsupportedError(
            "GGUF files are written with the gguf package, which is not installed",
            hint='pip install "weightarith[gguf]"',
        ) from None
    return gguf
