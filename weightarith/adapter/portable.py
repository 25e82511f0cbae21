"""The portable PEFT folder, planned: one rank, a scale of 1, linear modules, and nothing else in the file.

PEFT, vLLM, SGLang and llama.cpp's converter agree on what such a folder means, whichever settings of the
others they ignore. Zeros fill up what is of lower rank, and what a loader looks for and nothing moves.

https://huggingface.co/docs/peft/developer_guides/checkpoint
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from weightarith.adapter.portable_base import Base, published
from weightarith.adapter.portable_modules import select
from weightarith.adapter.trained import PREFIX
from weightarith.errors import IncompatibleError, RecipeError, quoted
from weightarith.tensorfile.dtypes import DTYPES, DType
from weightarith.tensorfile.layout import Layout, lay_out

__all__ = ["Base", "Module", "Portable", "plan_portable"]

CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"
FLOATS = ("F32", "BF16", "F16")
LARGEST_RANK = 1 << 20


@dataclass(frozen=True)
class Module:
    """One linear module with a pair of factors.

    Attributes:
        name: its weight's, in the base.
        path: its own, in the class that runs the base.
        shape: of the weight, as the base stores it.
        transposed: whether that is (in, out).
        rank: of the change there; 0 where the pair is all zeros.
    """

    name: str
    path: str
    shape: tuple[int, int]
    transposed: bool
    rank: int

    @property
    def a(self) -> str:
        """The tensor of the factor on the side of the input, (rank, in)."""
        return f"{PREFIX}{self.path}.lora_A.weight"

    @property
    def b(self) -> str:
        """The tensor of the factor on the side of the output, (out, rank)."""
        return f"{PREFIX}{self.path}.lora_B.weight"


@dataclass(frozen=True, eq=False)
class Portable:
    """A folder to be: `config` are the bytes of adapter_config.json, `layout` is the file of the tensors.

    `left_out` says of each change that is not in the folder why a LoRA cannot carry it.
    """

    base: Base
    rank: int
    dtype: DType
    modules: tuple[Module, ...]
    targets: tuple[str, ...]
    left_out: Mapping[str, str]
    config: bytes
    layout: Layout

    @property
    def size(self) -> int:
        """The bytes of both files."""
        return len(self.config) + self.layout.size


def plan_portable(
    base: Base,
    ranks: Mapping[str, int],
    *,
    others: Iterable[str] = (),
    rank: int | None = None,
    dtype: str = "F32",
    metadata: Mapping[str, str] | None = None,
) -> Portable:
    """Return the portable folder of a change of `base`; nothing is written.

    Args:
        base: the model that is moved.
        ranks: the rank of each low-rank change, by the name of the weight it moves; 0 moves nothing.
        others: names of tensors whose change is not low-rank; they are only listed as left out.
        rank: the rank of every pair; None takes the largest of `ranks`.
        dtype: `F32`, `BF16` or `F16`.
        metadata: entries for the header of the tensor file, which holds `format` and the kind anyway.

    Raises:
        IncompatibleError: the base lacks a name, or there is nothing that a LoRA can carry.
        RecipeError: `rank` is below one of `ranks`, or no rank, or the dtype is none of the three.
    """
    moved = {name: number for name, number in ranks.items() if number}
    left_out = {name: _obstacle(base, name) or "a change of full rank" for name in sorted(others)}
    left_out |= {name: why for name in sorted(moved) if (why := _obstacle(base, name))}
    carried = {name: number for name, number in moved.items() if name not in left_out}
    if not carried:
        raise IncompatibleError(
            "there is no change of a linear module: a LoRA adapter would be empty",
            hint="save it as a vector, which holds any change",
        )
    common, chosen = _common_rank(carried, rank), select(base, carried)
    modules = tuple(_module(base, name, carried.get(name, 0)) for name in chosen.names)
    stored = _dtype(dtype)
    header = {"weightarith.spec": "1", "weightarith.kind": "adapter", **(metadata or {}), "format": "pt"}
    return Portable(
        base, common, stored, modules, chosen.targets, left_out,
        _config(base, common, chosen.targets), lay_out(_tensors(modules, common, stored), header),
    )  # fmt: skip


def _obstacle(base: Base, name: str) -> str:
    if name not in base.shapes:
        raise IncompatibleError(
            f"the vector moves {quoted(name)}, and the base holds no such tensor",
            hint="give the base that the vector was measured from",
        )
    return base.obstacle(name)


def _common_rank(carried: Mapping[str, int], rank: int | None) -> int:
    widest = max(carried, key=lambda name: carried[name])
    if not 1 <= carried[widest] <= LARGEST_RANK or (rank is not None and not 1 <= rank <= LARGEST_RANK):
        raise RecipeError(
            f"a rank is a whole number above 0, not {carried[widest] if rank is None else rank}"
        )
    if rank is not None and rank < carried[widest]:
        raise RecipeError(
            f"the change of {quoted(widest)} is of rank {carried[widest]}, above the {rank} asked for",
            hint=f"compress the vector to rank {rank} first",
        )
    return rank or carried[widest]


def _dtype(code: str) -> DType:
    if code not in FLOATS:
        raise RecipeError(f"an adapter is stored as {', '.join(FLOATS)}, not as {quoted(code)}")
    return DTYPES[code]


def _module(base: Base, name: str, rank: int) -> Module:
    rows, columns = base.shapes[name]
    return Module(name, base.module(name), (rows, columns), base.transposed, rank)


def _tensors(modules: Iterable[Module], rank: int, dtype: DType) -> dict[str, tuple[DType, tuple[int, ...]]]:
    found: dict[str, tuple[DType, tuple[int, ...]]] = {}
    for module in modules:
        outer, inner = reversed(module.shape) if module.transposed else module.shape
        found[module.a] = dtype, (rank, inner)
        found[module.b] = dtype, (outer, rank)
    return found


def _config(base: Base, rank: int, targets: tuple[str, ...]) -> bytes:
    """Return adapter_config.json; PEFT reads it without a word of warning, and every key says one thing."""
    name, revision = published(base.name, base.revision)
    settings: dict[str, object] = {
        "alpha_pattern": {},
        "base_model_name_or_path": name,
        "bias": "none",
        "fan_in_fan_out": base.transposed,
        "inference_mode": True,
        "init_lora_weights": True,
        "lora_alpha": rank,  # a whole number: Ollama reads no other
        "lora_dropout": 0.0,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": rank,
        "rank_pattern": {},
        "revision": revision,
        "target_modules": list(targets),
        "task_type": _task(base),
        "use_dora": False,
        "use_rslora": False,
    }
    return (json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _task(base: Base) -> str | None:
    if base.architecture.endswith(("ForCausalLM", "LMHeadModel")):
        return "CAUSAL_LM"
    encodes = bool(base.config.get("is_encoder_decoder"))
    return "SEQ_2_SEQ_LM" if encodes and base.architecture.endswith("ForConditionalGeneration") else None
