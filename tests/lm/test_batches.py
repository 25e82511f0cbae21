"""Rows in batches: which go together, and how they are padded."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from weightarith.lm.batches import batches, padded

LENGTHS = st.lists(st.integers(1, 50), max_size=30)
ROWS = st.lists(st.lists(st.integers(3, 90), min_size=1, max_size=8), min_size=1, max_size=6)


@given(lengths=LENGTHS, tokens=st.integers(1, 200))
def test_every_row_is_in_one_batch_and_no_batch_of_several_is_too_large(
    lengths: list[int], tokens: int
) -> None:
    found = batches(lengths, tokens)

    assert sorted(row for batch in found for row in batch) == list(range(len(lengths)))
    for batch in found:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= tokens


@given(lengths=LENGTHS, tokens=st.integers(1, 200))
def test_batches_go_from_the_longest_rows_to_the_shortest(lengths: list[int], tokens: int) -> None:
    rows = [row for batch in batches(lengths, tokens) for row in batch]

    assert [lengths[row] for row in rows] == sorted(lengths, reverse=True)


@given(lengths=LENGTHS, tokens=st.integers(1, 200))
def test_no_batch_has_room_for_the_next_row(lengths: list[int], tokens: int) -> None:
    found = batches(lengths, tokens)

    for batch in found[:-1]:
        assert (len(batch) + 1) * lengths[batch[0]] > tokens


@given(rows=ROWS, left=st.booleans())
def test_padded_rows_hold_their_tokens_under_the_mask_with_places_from_zero(
    rows: list[list[int]], left: bool
) -> None:
    found = padded(rows, 7, torch.device("cpu"), left=left)
    longest = max(map(len, rows))

    for row, ids, mask, places in zip(
        rows, found.ids.tolist(), found.mask.tolist(), found.positions.tolist(), strict=True
    ):
        empty = longest - len(row)
        filling = [7] * empty
        assert ids == (filling + row if left else row + filling)
        assert mask == ([0] * empty + [1] * len(row) if left else [1] * len(row) + [0] * empty)
        kept = places[empty:] if left else places[: len(row)]
        assert kept == list(range(len(row)))
