"""Labels side by side: in order, apart, inside, and no farther from their places than they must."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightarith.plots.spread import spread

PLACES = st.lists(st.floats(0, 1), max_size=12)


@given(PLACES)
def test_labels_keep_their_order_and_their_distance(places: list[float]) -> None:
    found = spread(places, 0.07, 0.0, 1.0)

    order = sorted(range(len(places)), key=lambda place: (places[place], place))
    assert all(found[after] - found[before] >= 0.07 - 1e-9 for before, after in pairwise(order))
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in found)


@given(PLACES)
def test_more_labels_than_fit_share_the_room_evenly(places: list[float]) -> None:
    if len(places) < 2:
        return
    found = sorted(spread(places, 5.0, 0.0, 1.0))

    assert found == pytest.approx([place / (len(places) - 1) for place in range(len(places))])


def test_labels_with_room_stay_where_they_are() -> None:
    assert spread([0.9, 0.1, 0.5], 0.1, 0.0, 1.0) == pytest.approx([0.9, 0.1, 0.5])


def test_labels_of_one_place_stand_around_it() -> None:
    assert spread([0.5, 0.5, 0.5], 0.1, 0.0, 1.0) == pytest.approx([0.4, 0.5, 0.6])


def test_no_labels_are_no_trouble() -> None:
    assert spread([], 0.1, 0.0, 1.0) == []
