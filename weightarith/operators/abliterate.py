"""Abliteration: a direction taken out of all that writes to the residual stream.

What is written along a unit vector r vanishes when every matrix W that writes becomes `W − r·rᵀ·W`, with one
row of W for each element of the stream. Arditi et al. (2024), "Refusal in language models is mediated by a
single direction", section 4.1, https://arxiv.org/abs/2406.11717
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace, device

from weightarith.errors import RecipeError, UnsupportedError, quoted
from weightarith.names import role_of
from weightarith.operators.field import Array, Field, Mixed, Result, Rowwise
from weightarith.operators.operator import Operator, Option
from weightarith.operators.statistics import Doubles, on_host

UNCHANGED = Mixed((1.0,))

NEGLIGIBLE = 1e-7
"""Length, of a vector of length 1, below which what is left of it is rounding, and is not made longer."""

_EXPERT_DOWN = re.compile(r"(?:^|\.)(?:down_proj|w2|fc2|wo)(?:_bias)?(?:\.|$)")
_BIAS = re.compile(r"[._]bias$")


def abliterate(field: Field, direction: Any, strength: float, norms: str, layout: str) -> Result:
    """Take a direction out of a model's matrices that write to the residual stream, and out of their biases.

    Those are the embeddings, the attention's output and the down-projections of MLPs and experts, by their
    names; other tensors stay. `norms="column"` gives back to what each input writes the length it had, so
    that nothing is written along the direction still; `norms="row"` gives each row of W its length, after
    which a little is.

    Args:
        field: one checkpoint.
        direction: one number for each element of the residual stream, of any length but 0.
        strength: how much of the direction is taken out; 1 is all of it.
        norms: `row`, `column`, or empty.
        layout: `linear` where W is stored as (out, in), `conv1d` where as (in, out), as GPT-2 does.

    Raises:
        RecipeError: the direction is zero, or of another size than the stream a tensor writes to.
        UnsupportedError: fused experts of which nothing says which axis is the stream's.
    """
    if not writes(field.name) or not field.count or not strength:
        return UNCHANGED
    unit = _unit(direction)
    edit = _Edit(field, unit, strength, _stream_is_last(field, unit.size, layout))
    return edit.plain() if not norms else edit.keeping(norms)


def writes(name: str) -> bool:
    """Return whether a tensor writes to the residual stream, by its name."""
    role = role_of(name)
    return role in {"embed", "o", "down"} or (role == "expert" and _EXPERT_DOWN.search(name) is not None)


def _unit(direction: Any) -> Doubles:
    found = on_host(direction)
    size = math.sqrt(float((found * found).sum()))
    if found.ndim != 1 or not math.isfinite(size) or size == 0:
        what = f"{found.ndim} axes" if found.ndim != 1 else f"length {size:g}"
        raise RecipeError(f"abliterate(direction=…) is one finite vector other than 0, and this has {what}")
    return found / size


def _stream_is_last(field: Field, size: int, layout: str) -> bool:
    """Return whether the stream's elements lie along a tensor's last axis, rather than the one before."""
    shape, name = field.shape, field.name
    fits = [side == size for side in shape[-2:]]
    if role_of(name) == "embed" or len(shape) < 2 or _BIAS.search(name):
        last = True
    elif len(shape) == 2:
        last = layout == "conv1d"
    elif fits == [True, True]:
        raise UnsupportedError(
            f"{quoted(name)} of shape {shape} holds fused experts, and either side may be the stream",
            hint="give those tensors the strength 0, or store the experts one by one",
        )
    else:
        last = fits[-1]
    if fits[-1 if last else 0]:
        return last
    turned = len(shape) == 2 and any(fits) and role_of(name) != "embed"
    other = "linear" if layout == "conv1d" else "conv1d"
    raise RecipeError(
        f"the direction has {size} elements, and {quoted(name)} of shape {shape} writes to a residual stream "
        f"of {shape[-1 if last else -2] if shape else 1}",
        hint=f'if matrices are stored the other way round: layout="{other}"'
        if turned
        else "a direction has one number for each element of this model's hidden states",
    )


@dataclass(frozen=True, eq=False)
class _Edit:
    """The edit of one tensor, row by row of storage. `last`: the stream's elements lie along the rows."""

    field: Field
    unit: Doubles
    strength: float
    last: bool

    @property
    def height(self) -> int:
        """Rows of one matrix; fused experts are several."""
        return self.field.shape[-2] if len(self.field.shape) > 1 else 1

    def plain(self) -> Rowwise:
        """The direction taken out, and nothing else."""
        ablated = self._ablated(lambda rows, _: rows)
        return Rowwise(self._by_matrix(ablated))

    def keeping(self, norms: str) -> Rowwise:
        """The direction taken out of rows, or columns, of length 1, which then get their lengths back."""
        if (norms == "row") == self.last:
            return self._keeping_columns()
        ablated = self._ablated(lambda rows, _: rows / _lengths(rows))

        def at(rows: Array, place: tuple[int, int]) -> Array:
            made = ablated(rows, place)
            return made * (_lengths(rows) / _lengths(made, NEGLIGIBLE))

        return Rowwise(self._by_matrix(at))

    def _keeping_columns(self) -> Rowwise:
        before = _positive(self._column_sums(lambda rows, _: (rows * rows).sum(0)) ** 0.5, 0.0)
        ablated = self._ablated(lambda rows, place: rows / before[place[0]])
        after = _positive(
            self._column_sums(lambda rows, place: (ablated(rows, place) ** 2).sum(0)) ** 0.5, NEGLIGIBLE
        )
        gain = before / after

        return Rowwise(self._by_matrix(lambda rows, place: ablated(rows, place) * gain[place[0]]))

    def _ablated(
        self, prepared: Callable[[Array, tuple[int, int]], Array]
    ) -> Callable[[Array, tuple[int, int]], Array]:
        """Return the rule that takes the direction out of prepared rows at (matrix, first row in it)."""
        if self.last:

            def along_rows(rows: Array, place: tuple[int, int]) -> Array:
                made = prepared(rows, place)
                unit = _like(self.unit, rows)
                return made - (self.strength * (made @ unit))[:, None] * unit

            return along_rows

        def part(rows: Array, place: tuple[int, int]) -> Array:
            return _like(self.unit, rows)[place[1] : place[1] + rows.shape[0]]

        written = self._column_sums(lambda rows, place: part(rows, place) @ prepared(rows, place))

        def across_rows(rows: Array, place: tuple[int, int]) -> Array:
            return prepared(rows, place) - (self.strength * part(rows, place))[:, None] * written[place[0]]

        return across_rows

    def _by_matrix(self, rule: Callable[[Array, tuple[int, int]], Array]) -> Callable[[Array, int], Array]:
        def at(values: Array, first: int) -> Array:
            xp = array_namespace(values)
            return xp.concat([rule(values[0, rows, :], place) for rows, place in self._pieces(values, first)])

        return at

    def _column_sums(self, of: Callable[[Array, tuple[int, int]], Array]) -> Array:
        """Return what rows give, summed over each matrix, (matrices, columns)."""
        total: list[Array] = []
        for first, values in self.field.rows():
            for rows, place in self._pieces(values, first):
                found = of(values[0, rows, :], place)
                if place[0] == len(total):
                    total.append(found)
                else:
                    total[place[0]] = total[place[0]] + found
        return array_namespace(total[0]).stack(total)

    def _pieces(self, values: Array, first: int) -> Iterator[tuple[slice, tuple[int, int]]]:
        """Yield the parts of a block that lie in one matrix: its number, and the part's first row in it."""
        count, start = values.shape[1], 0
        while start < count:
            matrix, row = divmod(first + start, self.height)
            stop = min(start + self.height - row, count)
            yield slice(start, stop), (matrix, row)
            start = stop


def _like(unit: Doubles, rows: Array) -> Array:
    xp = array_namespace(rows)
    return xp.asarray(unit, dtype=xp.float64, device=device(rows))


def _lengths(rows: Array, least: float = 0.0) -> Array:
    """Return the lengths of rows, (rows, 1), and 1 for those no longer than `least`."""
    return _positive((rows * rows).sum(1)[:, None] ** 0.5, least)


def _positive(lengths: Array, least: float) -> Array:
    xp = array_namespace(lengths)
    return xp.where(lengths > least, lengths, xp.ones_like(lengths))


ABLITERATE = Operator(
    name="abliterate",
    run=abliterate,
    source="Arditi et al. (2024), section 4.1, https://arxiv.org/abs/2406.11717",
    takes="checkpoint",
    most=1,
    options=(
        Option("direction", "direction", help="of the residual stream, one number for each element"),
        Option("strength", "number", 1.0, help="how much of the direction is taken out"),
        Option("norms", "choice", "", choices=("", "row", "column"), help="lengths that are kept"),
        Option("layout", "choice", "linear", choices=("linear", "conv1d"), help="how matrices are stored"),
    ),
)
