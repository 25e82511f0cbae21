"""What differs between an output and what is said of it, and the verdict over all of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weightarith.errors import VerificationError, quoted

MOST_TOLD = 10
"""Differences that an error tells one by one."""


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it should be.

    Attributes:
        file: name of the file.
        tensor: name of the tensor, empty where the file as a whole is meant.
        what: what was compared, such as `checksum`.
        expected: what it should be, in words.
        found: what it is, in words.
    """

    file: str
    tensor: str
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        tensor = f", tensor {quoted(self.tensor)}" if self.tensor else ""
        return f"{quoted(self.file)}{tensor}: {self.what}: expected {self.expected}, found {self.found}"

    def to_json(self) -> dict[str, str]:
        """Return the difference as JSON has it."""
        return vars(self).copy()


@dataclass(frozen=True)
class Verdict:
    """What a look at an output came to.

    Attributes:
        what: the output, as it was named.
        files: how many were compared.
        tensors: how many were compared.
        read: bytes that were read for it.
        differences: what is not as it should be, in the order of the files.
        notes: what nothing could be said of.
    """

    what: str
    files: int
    tensors: int
    read: int
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as JSON has it."""
        told = {key: value for key, value in vars(self).items() if key != "differences"}
        each = [difference.to_json() for difference in self.differences]
        return {**told, "notes": list(self.notes), "equal": not each, "differences": each}

    def check(self, said: str, *, hint: str = "") -> None:
        """Raise VerificationError if anything differs; `said` is what the output should be like."""
        if not self.differences:
            return
        told = "".join(f"\n  {difference}" for difference in self.differences[:MOST_TOLD])
        more = len(self.differences) - MOST_TOLD
        told += f"\n  and {more:,} more" if more > 0 else ""
        raise VerificationError(f"{quoted(self.what)} is not {said}:{told}", hint=hint)


def by_text(name: str, what: str, expected: object, found: object, *, tensor: str = "") -> list[Difference]:
    """Return the difference of two values, none where they are equal."""
    if expected == found:
        return []
    return [Difference(name, tensor, what, _words(expected), _words(found))]


def absent(name: str) -> Difference:
    """Return the difference that a file makes that is not there."""
    return Difference(name, "", "the file", "one", "none")


def _words(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def lacking(expected: Mapping[str, object], found: Mapping[str, object]) -> list[str]:
    """Return the keys of `expected` that `found` lacks, in order."""
    return [key for key in expected if key not in found]
