"""What a training starts from: the folder of a base, and what to call it where that is published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from weightarith.adapter.portable_base import published
from weightarith.algebra import Checkpoint
from weightarith.errors import InvalidFileError, quoted
from weightarith.hub import locate


@dataclass(frozen=True)
class Start:
    """A base model.

    Attributes:
        folder: where it lies.
        name: `org/name` where it is the Hub's, else the name of its folder: no path of a machine.
        revision: its commit, where one is known.
    """

    folder: Path
    name: str
    revision: str | None = None

    @classmethod
    def of(cls, base: str | Path) -> Start:
        """Return the base that a path, or hf://org/name, means.

        Raises:
            WeightArithError: there is none, or it is an adapter.
        """
        folder = locate(str(base)).resolve()
        if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
            raise InvalidFileError(
                f"{quoted(str(base))} is an adapter, expected a model to train",
                hint="put it into its base first: weightarith apply BASE ADAPTER -o MODEL",
            )
        name, revision = published(str(folder))
        return cls(folder, name or "base", revision)

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """Its weights, opened by their headers."""
        return Checkpoint.open(self.folder, label=self.name)

    def to_json(self) -> dict[str, str]:
        """Return its name and, where it is known, its revision."""
        return {"name": self.name} | ({"revision": self.revision} if self.revision else {})

    def job(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the work on a training from here is known by, given what a report says of it.

        Two folders of one name are two bases: the work, which stays on this machine, is told which it is.
        """
        return {**about, "base folder": str(self.folder)}
