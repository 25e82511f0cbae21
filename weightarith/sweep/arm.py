"""What is compared: a way of steering, with a mark that tells it from every other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightarith.lm import LanguageModel
from weightarith.steer.method import Method


@dataclass(frozen=True)
class Arm:
    """One line of a comparison.

    Attributes:
        method: the way of steering.
        identity: a hash of all it is made of; measurements are kept under it.
    """

    method: Method
    identity: str

    @property
    def name(self) -> str:
        """The name of the method."""
        return self.method.name

    @property
    def dial(self) -> bool:
        """Whether it takes any strength."""
        return not self.method.strengths


def identity_of(parts: Mapping[str, Any]) -> str:
    """Return a hash of what JSON can say, the same on every machine."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def files_identity(*paths: Path) -> str:
    """Return a hash of the bytes of files, and of all files in folders, by their names in them."""
    found: dict[str, str] = {}
    for number, path in enumerate(paths):
        files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
        for file in files:
            name = file.relative_to(path).as_posix() if file != path else ""
            with file.open("rb") as opened:
                found[f"{number}:{name}"] = hashlib.file_digest(opened, "sha256").hexdigest()
    return identity_of(found)


def model_identity(base: LanguageModel) -> str:
    """Return a hash of a model in memory: its weights as they are held, its words and its system prompt.

    Where it computes, and in batches of what size, is part of it: in half precision both change last digits.
    """
    import xxhash

    weights = xxhash.xxh3_128()
    for name, tensor in sorted(base.network.state_dict().items()):
        weights.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        weights.update(flat.view(flat.new_empty(0).byte().dtype).numpy())  # numpy knows no bfloat16
    words = json.dumps(base.tokenizer.get_vocab(), sort_keys=True) + str(base.tokenizer.chat_template)
    return identity_of(
        {
            "weights": weights.hexdigest(),
            "tokenizer": hashlib.sha256(words.encode()).hexdigest(),
            "system": base.system,
            "device": base.device.type,
            "batch_tokens": base.batch_tokens,
        }
    )
