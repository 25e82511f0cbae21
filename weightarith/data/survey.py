"""Files of data looked at together: which are the two sides of a vector, and what each of them says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from weightarith.data.checks import Report, Side, report, side_of
from weightarith.data.conversation import Example, Pair
from weightarith.data.holdings import Holding, Shared, holding, shared


@dataclass(frozen=True)
class Survey:
    """What files hold.

    Attributes:
        holdings: the files, in order.
        contrasts: by name, the two sides of every file of pairs, and those of two files of chats.
        sides: by name, files of chats that have no other side.
        shared: prompts that are both trained on and measured with.
    """

    holdings: tuple[Holding, ...]
    contrasts: dict[str, Report]
    sides: dict[str, Side]
    shared: tuple[Shared, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong, and what to do about it."""
        found = [warning for one in self.contrasts.values() for warning in one.warnings]
        if self.shared:
            number = len({one.asked for one in self.shared})
            found.append(
                f"{number} of the prompts that are measured with are trained on, too: what is measured there "
                "is memory; leave them out of one of the two"
            )
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        return {
            "files": [
                {
                    "path": str(one.path), "kind": one.kind, "rows": len(one.asked),
                    "prompts": len(set(one.asked)),
                }
                for one in self.holdings
            ],
            "contrasts": {name: one.to_json() for name, one in self.contrasts.items()},
            "sides": {name: asdict(side) for name, side in self.sides.items()},
            "shared": [asdict(one) for one in self.shared],
            "warnings": list(self.warnings),
        }  # fmt: skip


def survey(files: Sequence[Path], evaluation: Sequence[Path] = ()) -> Survey:
    """Return what files hold; those of `evaluation`, and those with prompts alone, are measured with.

    Of two files of chats the first is the positive side and the second the negative one.

    Raises:
        InvalidFileError: names the line of a file and what is wrong with it.
    """
    held = [holding(path) for path in files]
    trained = [one for one in held if one.kind != "prompts"]
    others = [holding(path) for path in evaluation]
    measured = [*(one for one in held if one.kind == "prompts"), *others]
    contrasts = {str(one.path): report(*_sides(one)) for one in trained if one.kind == "pairs"}
    chats = [one for one in trained if one.kind == "chats"]
    if len(chats) == 2:
        positive, negative = chats
        contrasts[f"{positive.path} and {negative.path}"] = report(_examples(positive), _examples(negative))
        chats = []
    sides = {str(one.path): side_of(_examples(one)) for one in chats}
    return Survey((*held, *others), contrasts, sides, shared(trained, measured))


def _examples(one: Holding) -> list[Example]:
    return [row for row in one.rows if isinstance(row, Example)]


def _sides(one: Holding) -> tuple[list[Example], list[Example]]:
    both = [row.sides for row in one.rows if isinstance(row, Pair)]
    return [positive for positive, _ in both], [negative for _, negative in both]
