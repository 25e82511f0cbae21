"""A receipt made ready to be carried out again: its inputs found, and held against what it says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from weightarith.errors import UnsupportedError
from weightarith.proof.difference import Verdict
from weightarith.proof.recorded import Input, changed, find_inputs, inputs_of
from weightarith.receipt import Receipt
from weightarith.recipe.inputs import Given

Moved = Callable[[int], None]
Bar = Callable[[int], AbstractContextManager[Moved]]
"""What shows how far a piece of work of so many bytes is: yields what to call with the bytes done so far."""


@contextmanager
def silent(_total: int) -> Iterator[Moved]:
    """Show nothing."""
    yield lambda _done: None


@dataclass(frozen=True)
class Ready:
    """A receipt whose inputs are found and are those that it names.

    Attributes:
        receipt: what it says.
        inputs: as it names them.
        places: where each lies, by its name in the recipe.
        operators: Python files whose operators the recipe calls.
    """

    receipt: Receipt
    inputs: tuple[Input, ...]
    places: Mapping[str, Given]
    operators: tuple[Path, ...]


def prepared(
    receipt: Receipt, where: str, near: Path, *,
    given: Mapping[str, str] | None = None, operators: Iterable[Path] = (), bar: Bar = silent,
) -> Ready:  # fmt: skip
    """Return a receipt ready to be carried out again.

    Args:
        receipt: what is to be made again.
        where: what errors call it.
        near: the folder of the output.
        given: paths of inputs or their ids on the Hub, by label, in place of those of the receipt.
        operators: Python files with the operators that a recipe calls; they are run.
        bar: shows how far the hashing of inputs is.

    Raises:
        UnsupportedError: the receipt holds no recipe.
        InvalidFileError: an input is not to be found.
        VerificationError: an input is another one; all that differs is named.
    """
    if not isinstance(receipt.get("recipe"), str) or not receipt["recipe"]:
        raise UnsupportedError(
            f"{where} holds no recipe, so nothing says how to make the same", hint=_why(receipt)
        )
    inputs = tuple(inputs_of(receipt, where))
    places = find_inputs(inputs, given or {}, near)
    with bar(sum(each.hashed_bytes for each in inputs)) as moved:
        found = tuple(changed(inputs, places, moved))
    Verdict(f"the inputs of {where}", len(inputs), 0, 0, found).check(
        "what the receipt says, so the same cannot come out", hint="give the very files: --input LABEL=PATH"
    )
    return Ready(receipt, inputs, places, tuple(operators))


def _why(receipt: Receipt) -> str:
    if "residual_of" in receipt:
        return f"it is what {receipt['residual_of']} could not carry: reproduce that, and this comes with it"
    if receipt.get("kind") in ("checkpoint", "vector"):
        return "sums that vary by layer in Python, and what training makes, have none; write it as a recipe"
    return "a training is repeated by its own command: see training.json"
