"""Every error raised on purpose, drawn as a tree.

    WeightArithError
    ├── RecipeError            2   a recipe, an expression or an argument that means nothing
    │   └── DegreeError        2   a sum that is neither a Checkpoint nor a Vector
    ├── InvalidFileError       3   a file that is not what its name or its index says
    │   └── NonFiniteError     3   NaN or infinity in an input or made by a sum
    ├── IncompatibleError      4   inputs that are each fine, but not together
    ├── TargetError            5   an output that exists, or a place that must not be written
    ├── StorageError           6   the disk said no: space, permission, I/O
    ├── LockedError            7   another run writes the same output
    ├── HubError               8   the Hub or the network
    ├── VerificationError      9   bytes that are not what a receipt says
    ├── UnsupportedError      10   input that is recognised, and not supported
    └── Interrupted      130/143   stopped by a signal; the old output is whole

The number is the exit status of the command. Anything else that escapes is a bug and keeps its traceback.
"""

from __future__ import annotations

LONGEST_SHOWN_NAME = 120


class WeightArithError(Exception):
    """An error the user can act on: what is wrong, where, what was expected, and what to try."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  try: {self.hint}" if self.hint else self.message


class RecipeError(WeightArithError):
    """A recipe, an expression or an argument that means nothing."""

    exit_code = 2


class DegreeError(RecipeError):
    """A sum whose coefficients on checkpoints add up to neither 1 nor 0."""


class InvalidFileError(WeightArithError):
    """A file that is not what its name, its header or its index says it is."""

    exit_code = 3


class NonFiniteError(InvalidFileError):
    """NaN or infinity in an input, or made by a sum."""


class IncompatibleError(WeightArithError):
    """Inputs that are each fine, but not together."""

    exit_code = 4


class TargetError(WeightArithError):
    """An output that exists, or a place that must not be written."""

    exit_code = 5


class StorageError(WeightArithError):
    """The disk said no: no space, no permission, an I/O error."""

    exit_code = 6


class LockedError(WeightArithError):
    """Another run is writing the same output."""

    exit_code = 7


class HubError(WeightArithError):
    """The Hub or the network did not deliver."""

    exit_code = 8


class VerificationError(WeightArithError):
    """Bytes on disk that are not what their receipt says."""

    exit_code = 9


class UnsupportedError(WeightArithError):
    """An input that is recognised, and not supported."""

    exit_code = 10


class Interrupted(WeightArithError):
    """Stopped by a signal: nothing was published, and what stood at the output is whole."""

    exit_code = 130


def quoted(name: str) -> str:
    """Return `name` in quotes, control characters escaped, what is overlong cut in the middle."""
    half = LONGEST_SHOWN_NAME // 2  # of a path the end says most
    shown = name if len(name) <= LONGEST_SHOWN_NAME else f"{name[: half - 1]}…{name[-half:]}"
    return "'" + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown) + "'"


def some(names: list[str], limit: int = 10) -> str:
    """Return up to `limit` quoted names of a longer list, and how many more there are."""
    shown = ", ".join(quoted(name) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
