"""What an operator is: a function on a field, and a description of what it takes.

The description is all that the recipe language, the Python API, the commands and the documentation know of
it, so adding an operator is adding one of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from weightarith.algebra import Linear
from weightarith.operators.field import Result

if TYPE_CHECKING:
    from weightarith.operators.made import Made

REQUIRED = None
"""The default of an option that has none."""

Kind = Literal["number", "whole", "choice", "flag", "direction"]


@dataclass(frozen=True)
class Option:
    """One keyword of an operator.

    Attributes:
        name: as it is written.
        kind: `number` (a float; may vary from tensor to tensor), `whole` (an int), `choice` (one of
            `choices`), `flag` (true or false) or `direction` (an array of one axis).
        default: what holds where it is not given; `REQUIRED` if it must be.
        low, high: the range of a number, ends included.
        each: whether every operand has its own: one number for all, or a list.
        choices: the words of a choice.
        help: what it does, in a few words.
    """

    name: str
    kind: Kind = "number"
    default: float | int | str | bool | None = REQUIRED
    low: float = float("-inf")
    high: float = float("inf")
    each: bool = False
    choices: tuple[str, ...] = ()
    help: str = ""


@dataclass(frozen=True, eq=False)
class Operator:
    """A named operation on vectors or models, tensor by tensor.

    Attributes:
        name: what it is called in a recipe.
        run: `run(field, **options)`, the result at one tensor. Of vectors that are all zero it must make
            zero: tensors that no operand moves are not even asked for.
        takes: `vector`, `checkpoint`, or `either` (all operands alike). The result is the same kind.
        fewest, most: how many operands there may be; most = 0 is any number.
        beside: a keyword that takes further vectors, such as `onto`; they follow the operands in the field,
            and `run` is told how many operands there are before them by `operands=`.
        options: the other keywords.
        prepare: what is found out over the whole model first, `prepare(model, **options)`, where `model` is
            a `statistics.Blocks` that goes through every tensor; the result is given to `run` as `state=`.
            Only asked where the option `over` is `"model"`; else `state` is None. An operator that has
            `prepare` has the option `over`.
        rank: `rank(shape, ranks, **options)`, the rank that the result has in factors, at most; None where it
            is dense. `ranks` are those of operands that are stored in factors, None for dense ones. A vector
            of which everything has a rank is stored in factors.
        source: paper and section.
    """

    name: str
    run: Callable[..., Result]
    source: str
    takes: Literal["vector", "checkpoint", "either"] = "vector"
    fewest: int = 1
    most: int = 0
    beside: str = ""
    options: tuple[Option, ...] = ()
    prepare: Callable[..., Any] | None = None
    rank: Callable[..., int | None] | None = None

    def __call__(self, *operands: Linear | Sequence[Linear], **options: Any) -> Made:
        """Return what the operator makes of sums, given one by one or as a list; nothing is computed.

        Raises:
            RecipeError: an operand is of the wrong kind, or an option is unknown, missing or out of range.
        """
        from weightarith.operators.made import make

        beside = options.pop(self.beside, ()) if self.beside else ()
        return make(self, _flat(operands), _flat((beside,)), **options)

    @property
    def summary(self) -> str:
        """What it does, the first line of what `run` says of itself."""
        return (self.run.__doc__ or "").strip().split("\n", 1)[0]

    @property
    def defaults(self) -> Mapping[str, Any]:
        """The options that have a default."""
        return {option.name: option.default for option in self.options if option.default is not REQUIRED}


def ranks_added(_shape: tuple[int, ...], ranks: Sequence[int | None], **_options: Any) -> int | None:
    """Return the rank of a weighted sum of operands stored in factors, None where one is dense.

    It is the `rank` of operators that answer with coefficients: adapters stay adapters.
    """
    known = [rank for rank in ranks if rank is not None]
    return sum(known) if len(known) == len(ranks) else None


def _flat(given: Sequence[Linear | Sequence[Linear]]) -> list[Linear]:
    found: list[Linear] = []
    for each in given:
        found += [each] if isinstance(each, Linear) else each
    return found


OVER = Option("over", "choice", "tensor", choices=("tensor", "model"), help="what the measure is taken over")
COMPAT = Option("compat", "choice", "", choices=("", "mergekit"), help="whose definition to follow")
SEED = Option("seed", "whole", 0, low=0, high=2**63 - 1, help="of the random mask")
