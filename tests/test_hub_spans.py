"""What is needed is cut into spans, fetched once and in time, and few of them are held."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightarith.hub import feed as feeding
from weightarith.hub import spans as cutting
from weightarith.hub.feed import Feed
from weightarith.hub.listing import Entry
from weightarith.hub.ranges import Remote
from weightarith.hub.spans import Part, Spans

SPAN = 64
FILES = [Remote("org/a", "c" * 40, Entry(f"{n}.safetensors", 4000, f"{n}" * 64, "")) for n in range(3)]
CONTENT = bytes(range(250)) * 16

PARTS = st.lists(
    st.lists(
        st.tuples(st.sampled_from(FILES), st.integers(0, 3900), st.integers(0, 400)).map(
            lambda drawn: (drawn[0], drawn[1], min(drawn[1] + drawn[2], 4000))
        ),
        max_size=3,
    ),
    max_size=12,
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (cutting, feeding):
        monkeypatch.setattr(module, "SPAN", SPAN)
    monkeypatch.setattr(feeding, "HELD", 16 * SPAN)
    monkeypatch.setattr(feeding, "AHEAD", 10 * SPAN)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """Return what is fetched: file, start and stop."""
    found: list[tuple[str, int, int]] = []

    def fetch(
        file: Remote, start: int, view: memoryview, *, goes_on: Callable[[], bool] = lambda: True
    ) -> None:
        assert goes_on()
        found.append((file.entry.path, start, start + len(view)))
        view[:] = CONTENT[start : start + len(view)]

    monkeypatch.setattr("weightarith.hub.ranges.fetch", fetch)
    monkeypatch.setattr(feeding, "fetch", fetch)
    return found


@given(PARTS)
def test_spans_hold_what_is_needed_and_not_a_byte_besides(needed: list[list[Part]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "SPAN", SPAN)
        spans = Spans(needed)
    held = [(one.file, byte) for one in spans.ordered for byte in range(one.start, one.stop)]
    wanted = {(file, byte) for each in needed for file, start, stop in each for byte in range(start, stop)}
    assert len(held) == len(set(held))
    assert set(held) == wanted
    assert all(one.size <= SPAN for one in spans.ordered)
    announced = sum(stop - start for each in needed for _, start, stop in each)
    assert sum(one.left for one in spans.ordered) == announced
    for file, byte in wanted:
        span = spans.at(file, byte)
        assert span is not None
        assert span.start <= byte < span.stop


def test_spans_come_in_the_order_of_their_use_both_sides_in_step() -> None:
    one, other, third = FILES
    spans = Spans([[(third, 0, 50)], [(one, 1000, 1192), (other, 0, 192)], [(one, 200, 240)]])

    order = [(span.file.entry.path[0], span.start) for span in spans.ordered]

    assert order == [
        ("2", 0),
        ("0", 1000),
        ("1", 0),
        ("0", 1064),
        ("1", 64),
        ("0", 1128),
        ("1", 128),
        ("0", 200),
    ]


def test_neighbours_that_are_read_at_different_times_are_fetched_apart() -> None:
    far = [[(FILES[1], 60 * n, 60 * n + 60)] for n in range(20)]

    together = Spans([[(FILES[0], 0, 20)], [(FILES[0], 20, 40)]])
    apart = Spans([[(FILES[0], 0, 20)], *far, [(FILES[0], 20, 40)]])

    assert [span.size for span in together.ordered] == [40]
    assert [span.size for span in apart.ordered if span.file is FILES[0]] == [20, 20]


def test_files_of_equal_content_are_fetched_once(fetched: list[tuple[str, int, int]]) -> None:
    twin = Remote("org/b", "d" * 40, Entry("twin.safetensors", 4000, FILES[0].entry.sha256, ""))
    feed = Feed([[(FILES[0], 0, 64), (twin, 0, 64)]])
    for file in (FILES[0], twin):
        buffer = bytearray(64)
        feed.read_into(file, buffer, 0)
        assert bytes(buffer) == CONTENT[:64]
    feed.close()

    assert len(fetched) == 1


def test_what_is_held_is_bounded_and_fetched_once_where_it_is_read_in_order(
    fetched: list[tuple[str, int, int]],
) -> None:
    needed = [[(file, 400 * step, 400 * step + 400) for file in FILES[:2]] for step in range(10)]
    feed = Feed(needed)
    most = 0
    for step in range(10):
        for start in range(400 * step, 400 * step + 400, 40):
            for file in FILES[:2]:
                buffer = bytearray(40)
                feed.read_into(file, buffer, start)
                assert bytes(buffer) == CONTENT[start : start + 40]
                most = max(most, len(feed._kept))
    feed.close()

    assert most <= 16
    assert len(fetched) == len(set(fetched)) == 2 * -(-4000 // SPAN)


def test_in_an_order_nobody_foresaw_every_byte_still_comes(fetched: list[tuple[str, int, int]]) -> None:
    feed = Feed([[(FILES[0], 0, 4000)]])
    for start in [*range(3900, 0, -100), *range(0, 3900, 50)]:
        buffer = bytearray(100)
        feed.read_into(FILES[0], buffer, start)
        assert bytes(buffer) == CONTENT[start : start + 100]
        assert len(feed._kept) <= 16
    feed.close()

    assert len(fetched) > 63  # what was let go of came again


@pytest.mark.usefixtures("fetched")
def test_many_threads_read_the_same_bytes() -> None:
    feed = Feed([[(file, 0, 4000) for file in FILES]])
    wrong: list[int] = []

    def read(number: int) -> None:
        for start in range(0, 3900, 130):
            buffer = bytearray(100)
            feed.read_into(FILES[number % 3], buffer, start)
            if bytes(buffer) != CONTENT[start : start + 100]:
                wrong.append(start)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    feed.close()

    assert not wrong


def test_what_a_feed_had_begun_when_it_was_closed_is_never_read(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def fetch(_file: Remote, _start: int, _view: memoryview, *, goes_on: Callable[[], bool]) -> None:
        begun.set()
        go_on.wait(30)
        assert not goes_on()

    monkeypatch.setattr(feeding, "fetch", fetch)
    feed = Feed([[(FILES[0], 0, 10)]])
    begun.wait(30)
    feed.close()
    go_on.set()
    for thread in feed._threads:
        thread.join(30)

    with pytest.raises(ValueError, match="closed"):
        feed.read_into(FILES[0], bytearray(10), 0)


def test_an_error_reaches_every_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_given: object, **_more: object) -> None:
        raise OSError("the network is gone")

    monkeypatch.setattr(feeding, "fetch", fetch)
    feed = Feed([[(FILES[0], 0, 4000)]])
    for _ in range(2):
        with pytest.raises(OSError, match="the network is gone"):
            feed.read_into(FILES[0], bytearray(10), 2000)
    feed.close()
