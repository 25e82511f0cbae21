"""What an input turned out to be: named tensors, where each is stored, and nothing read but headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from weightarith.hub.address import Address
from weightarith.tensorfile.encoded import Encoded
from weightarith.tensorfile.factored import Factored
from weightarith.tensorfile.model import Stored, TensorFile

Kind = Literal["checkpoint", "vector", "adapter"]


@dataclass(frozen=True, eq=False)
class Source:
    """One input, opened: its kind, its tensors by name and the files they lie in.

    `tensors` are dense: weights of a checkpoint, displacements of a vector. `factors` are low-rank
    displacements. `replaced` are the fully trained tensors of an adapter: the new *weight* itself, so that
    the displacement is `replaced − base`. `encoded` are displacements of a vector in fewer bits.

    `edit` says which layers of which models were put together, where it was not all of one; the config says
    so too, and is no longer that of the folder.

    `origin` is the repository of the Hub and the commit that it is known to come from.

    With `own_names` the names are those of a file for other programs, and `naming.onto` finds the base's.
    """

    path: Path
    kind: Kind
    files: tuple[TensorFile, ...]
    tensors: Mapping[str, Stored]
    factors: Mapping[str, Factored] = field(default_factory=dict)
    replaced: Mapping[str, Stored] = field(default_factory=dict)
    config: Mapping[str, Any] | None = None  # config.json of a checkpoint, adapter_config.json of an adapter
    metadata: Mapping[str, str] = field(default_factory=dict)  # header metadata of a vector
    encoded: Mapping[str, Encoded] = field(default_factory=dict)
    own_names: bool = False
    edit: str = ""
    origin: Address | None = None

    @property
    def folder(self) -> Path | None:
        """The folder the input is, or None where it is a single file."""
        return self.path if self.path.is_dir() else None

    @property
    def streams(self) -> bool:
        """Whether tensors are read from afar."""
        return any(file.afar is not None for file in self.files)

    @property
    def tied(self) -> bool:
        """Whether config.json says that output head and input embedding are one tensor."""
        if self.config is None:
            return False
        text = self.config.get("text_config")
        inner = text if isinstance(text, dict) else {}
        return bool(self.config.get("tie_word_embeddings", inner.get("tie_word_embeddings", False)))
