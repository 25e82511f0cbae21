"""Which modules a portable adapter targets, so that every loader finds a pair wherever it looks for one.

PEFT looks wherever a module's path ends in a target. SGLang runs q, k and v as one module, and gate and up as
one, and wants either all of them or none.

https://huggingface.co/docs/peft/package_reference/lora#peft.LoraConfig.target_modules
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from weightarith.adapter.portable_base import WEIGHT, Base
from weightarith.names import role_of

STACKED = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Modules that servers run as one matrix."""


@dataclass(frozen=True)
class Selection:
    """The weights an adapter holds pairs for, and `target_modules` that select exactly their modules."""

    names: tuple[str, ...]
    targets: tuple[str, ...]


def select(base: Base, changed: Collection[str]) -> Selection:
    """Return the weights that need a pair where those in `changed` move, zeros where nothing else moves them.

    The last parts of the paths are the targets where they select nothing but linear modules of the language
    model; else the whole paths are, and only stacked modules are filled up with zeros.
    """
    together = _completed(base, changed)
    ends = {_end(base, name) for name in together}
    alike = {name for name in base.shapes if name.endswith(WEIGHT) and _end(base, name) in ends}
    if all(name in together or _may_be_zero(base, name) for name in alike):
        return Selection(tuple(sorted(alike)), tuple(sorted(ends)))
    return Selection(tuple(sorted(together)), tuple(sorted(base.module(name) for name in together)))


def _end(base: Base, name: str) -> str:
    return base.module(name).rpartition(".")[2]


def _may_be_zero(base: Base, name: str) -> bool:
    return not base.obstacle(name) and role_of(name) != "vision"


def _completed(base: Base, changed: Collection[str]) -> set[str]:
    """Return `changed` and the modules that are stacked with one of them."""
    found = set(changed)
    for name in changed:
        parent, _, end = name.removesuffix(WEIGHT).rpartition(".")
        for group in STACKED:
            if end in group:
                beside = {f"{parent}.{other}{WEIGHT}" for other in group}
                found |= {other for other in beside if other in base.shapes and not base.obstacle(other)}
    return found
