"""What a finished look left in a folder: a document, and the names that a page calls both by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightarith.provenance import plain_name


@dataclass(frozen=True)
class Finished:
    """A folder whose document says that all is there.

    Attributes:
        folder: where it lies.
        document: what its `sweep.json`, or `interference.json`, holds.
    """

    folder: Path
    document: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What the folder is called."""
        return self.folder.resolve().name

    @property
    def base(self) -> str:
        """The model's name."""
        return plain_name(str(self.document["base"]))
