"""Lines of two growing texts: none is taken back, and together they are what two finished texts are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from weightarith.conversing import Columns, width_of
from weightarith.conversing.columns import GUTTER, wrapped

texts = st.text(st.sampled_from("ab c\n漢e-."), max_size=80)
widths = st.integers(min_value=4, max_value=12)


def finished(left: str, right: str, width: int) -> list[str]:
    columns = Columns(width)
    return [*columns.grow(0, left, ended=True), *columns.grow(1, right, ended=True)]


@given(texts, texts, widths, st.randoms(use_true_random=False))
def test_growing_in_any_order_gives_the_lines_of_the_whole(
    left: str, right: str, width: int, random: object
) -> None:
    left, right = left.strip(), right.strip()
    columns, given_out = Columns(width), []
    lengths = [0, 0]
    while not (lengths[0] > len(left) and lengths[1] > len(right)):
        side = random.choice([n for n in (0, 1) if lengths[n] <= len((left, right)[n])])  # type: ignore[attr-defined]
        text = (left, right)[side]
        shown = text[: lengths[side]].strip()  # as answers come
        given_out += columns.grow(side, shown, ended=lengths[side] == len(text))
        lengths[side] += 1

    assert given_out == finished(left, right, width)
    assert columns.pending() == []


@given(texts, widths)
def test_no_line_is_wider_than_its_column_and_no_word_is_lost(text: str, width: int) -> None:
    lines = wrapped(text, width)

    assert all(cell_len(line.rstrip()) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_columns_stand_beside_each_other_whatever_the_width_of_letters() -> None:
    lines = finished("one two three four", "漢字 and more", 10)

    assert lines == [f"one two   {GUTTER}漢字 and", f"three four{GUTTER}more"]


@pytest.mark.parametrize(("terminal", "width"), [(80, 38), (59, 28), (58, None), (20, None), (200, 98)])
def test_a_narrow_terminal_has_no_columns(terminal: int, width: int | None) -> None:
    assert width_of(terminal) == width
