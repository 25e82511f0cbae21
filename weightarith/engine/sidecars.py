"""The files beside the weights that make a folder a model: config, tokenizer, chat template.

They are data to us: copied as they are, never run. Only files known to be harmless are taken, so no Python
file travels from one model to another.
"""

from __future__ import annotations

import json
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from weightarith.algebra import Checkpoint, Leaf, Sum
from weightarith.engine.settings import Output
from weightarith.errors import RecipeError, quoted

PATTERNS = (
    "config.json", "generation_config.json", "tokenizer*.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "*.model", "*.tiktoken", "chat_template*",
    "preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json", "LICENSE*",
    "NOTICE*",
)  # fmt: skip
"""Names of the files that are copied beside a checkpoint."""


def sidecars(total: Sum, output: Output, model: Leaf | None) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Return the files of `model` to copy beside the weights, and warnings about what is not there.

    Raises:
        RecipeError: `output.like` names no checkpoint of the sum.
    """
    if output.path.suffix == ".safetensors":
        return (), ()
    leaf = _named(total, output.like) if output.like else model
    folder = leaf.source.folder if leaf is not None else None
    if leaf is None or folder is None:
        label = leaf.label if leaf is not None else "the base"
        return (), (f"{label} is a single file, so no config and no tokenizer is copied beside the weights",)
    found = sorted(
        path
        for path in folder.iterdir()
        if any(fnmatch(path.name, pattern) for pattern in PATTERNS) and path.is_file()
    )
    missing = (
        []
        if any(path.name == "config.json" for path in found)
        else [f"{leaf.label} holds no config.json to copy"]
    )
    code = sorted(path.name for path in folder.glob("*.py"))
    if code:
        missing.append(f"{leaf.label} comes with code of its own ({', '.join(code)}), which is not copied")
    return tuple(found), tuple(missing)


def _named(total: Sum, label: str) -> Leaf:
    leaves = {term.leaf.label: term.leaf for term in total.terms if isinstance(term.leaf, Checkpoint)}
    if label not in leaves:
        raise RecipeError(
            f"output: like: {quoted(label)} is no model of this sum; it has {', '.join(sorted(leaves))}"
        )
    return leaves[label]


def config_with_dtype(content: bytes, dtype: str) -> bytes:
    """Return config.json saying that the weights are stored as `dtype`; unchanged where it already does.

    transformers loads weights in the dtype the config names, so a stale name would round them again.
    """
    config: dict[str, Any] = json.loads(content)
    keys = [key for key in ("dtype", "torch_dtype") if key in config] or ["dtype"]
    if all(config.get(key) == dtype for key in keys):
        return content
    config.update(dict.fromkeys(keys, dtype))
    return (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode()
