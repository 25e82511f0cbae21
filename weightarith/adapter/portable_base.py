"""The model an adapter is for, told from headers and config.json, and which of its weights LoRA can carry.

A name of a checkpoint is not always the path of a module: a bare GPT-2 stores `h.0.…` and runs
`transformer.h.0.…`.

PEFT's layers: https://huggingface.co/docs/peft/package_reference/lora
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from weightarith.names import role_of

WEIGHT = ".weight"
CONV1D = frozenset({"decision_transformer", "gpt2", "imagegpt"})
"""Model types whose linear modules are transformers' Conv1D, which stores its weight as (in, out)."""

_BARE = (("h.", "transformer."), ("layers.", "model."))
_ENTIRE = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
_ROLES = {
    "embed": "an embedding",
    "head": "the output head",
    "norm": "a norm",
    "router": "a router, which is no linear module",
    "expert": "a weight of an expert, which transformers runs as one parameter for all experts",
}
_LOOKED_UP = re.compile(r"relative_attention_bias|position_embeddings?|token_type")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


@dataclass(frozen=True, eq=False)
class Base:
    """A model: the shapes of its tensors by name, its config.json, and what it is called.

    Attributes:
        shapes: every tensor of the checkpoint, as it is stored.
        config: what config.json says.
        name: a repository of the Hub (`org/name`), or whatever else it was given as.
        revision: a commit, where one is known.
        prefixes: how names of the checkpoint begin, and how those of the modules do in the class that is to
            serve the adapter, where the two differ; the first that fits counts.
    """

    shapes: Mapping[str, tuple[int, ...]]
    config: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    revision: str = ""
    prefixes: tuple[tuple[str, str], ...] = ()

    @property
    def transposed(self) -> bool:
        """Whether its linear modules store their weights as (in, out)."""
        return self.config.get("model_type") in CONV1D

    @property
    def architecture(self) -> str:
        """The class that runs it, as config.json names it; empty where it does not."""
        named = self.config.get("architectures") or [""]
        return str(named[0]) if isinstance(named, list) else ""

    def module(self, name: str) -> str:
        """Return the path of the module that the weight `name` belongs to."""
        path = name.removesuffix(WEIGHT)
        for begins, instead in self.prefixes:
            if path.startswith(begins):
                return instead + path.removeprefix(begins)
        if self.architecture.endswith(_ENTIRE):
            for begins, missing in _BARE:
                if path.startswith(begins):
                    return missing + path
        return path

    def obstacle(self, name: str) -> str:
        """Return what the tensor `name` is where LoRA cannot carry its change, "" where it can."""
        shape = self.shapes[name]
        if not name.endswith(WEIGHT):
            return "a bias" if name.endswith(".bias") else "no weight of a module"
        if _LOOKED_UP.search(name):
            return _ROLES["embed"]
        if (what := _ROLES.get(role_of(name))) is not None:
            return what
        return "" if len(shape) == 2 else f"no matrix, but of shape {list(shape)}"


def published(name: str, revision: str = "") -> tuple[str | None, str | None]:
    """Return what a model is called and its revision, fit to be published: no path of a machine.

    `org/name` stays, with or without `hf://` before it and `@revision` behind; a snapshot in the Hub's cache
    is named as its repository; of any other path the last part is kept, None where nothing is.
    """
    parts = PurePath(name).parts
    for place, part in enumerate(parts):
        if part.startswith("models--") and part.count("--") == 2:
            commit = parts[place + 2] if parts[place + 1 : place + 2] == ("snapshots",) else ""
            return part.removeprefix("models--").replace("--", "/"), revision or commit or None
    plain, _, said = name.removeprefix("hf://").partition("@")
    if _REPOSITORY.fullmatch(plain):
        return plain, revision or said or None
    return PurePath(name.replace("\\", "/")).name or None, revision or None
