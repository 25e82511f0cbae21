"""What breaks off goes on, what is asked to wait waits, and no byte of another file is taken for ours."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest

from tests import tiny
from tests.hubserver import TOKEN, Hub, Request, reading, wire
from tests.streaming import BASE, in_small_spans, sent, size
from weightarith.algebra import Checkpoint
from weightarith.engine.settings import Output
from weightarith.errors import HubError, InvalidFileError, WeightArithError
from weightarith.hub.address import Address
from weightarith.hub.feed import Feed
from weightarith.hub.listing import listing
from weightarith.hub.ranges import Remote, fetch, remote
from weightarith.measure import norms
from weightarith.saving import Run, carry_out, draw
from weightarith.store import open_source, open_streamed

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]


@pytest.fixture
def base(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tiny.checkpoint(tmp_path / "base", tiny.weights())
    hub.add(BASE, folder)
    in_small_spans(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return folder


def weights(start: int = 0) -> Callable[[Request], bool]:
    """Return what picks the requests for bytes from `start` of the weights on."""

    def picks(request: Request) -> bool:
        found = re.match(r"bytes=(\d+)-", request.headers.get("range", ""))
        return "model.safetensors" in request.path and found is not None and int(found[1]) >= start

    return picks


def same(base: Path) -> bool:
    return norms(open_streamed(BASE), threads=2) == norms(open_source(base))


def answers(monkeypatch: pytest.MonkeyPatch, changed: Callable[[wire.Answer], wire.Answer]) -> None:
    """Have the server change every answer to a request for a part of a file."""
    right = reading.ranged

    def wrong(*given: Any) -> wire.Answer:
        return changed(right(*given))

    monkeypatch.setattr(reading, "ranged", wrong)


def with_headers(answer: wire.Answer, headers: Mapping[str, str]) -> wire.Answer:
    return wire.Answer(answer.status, answer.body, {**answer.headers, **headers})


@pytest.mark.parametrize("how", ["drop", "cut", "429", "500", "503"])
def test_whatever_fails_once_is_asked_again(
    how: Literal["drop", "cut", "429", "500", "503"], base: Path, hub: Hub
) -> None:
    hub.fail(weights(), how, times=3)

    assert same(base)


def test_an_answer_that_is_cut_goes_on_where_it_was_cut(base: Path, hub: Hub) -> None:
    hub.fail(weights(4096), "cut", times=4)

    assert same(base)
    assert sent(hub) <= size(base)


@pytest.mark.parametrize("how", ["drop", "500", "429"])
@pytest.mark.usefixtures("base")
def test_what_fails_for_good_is_an_error_that_names_the_file(
    how: Literal["drop", "500", "429"], hub: Hub
) -> None:
    source = open_streamed(BASE)
    hub.fail(weights(4096), how, times=1000)

    with pytest.raises(HubError) as caught:
        norms(source, threads=2)

    assert caught.value.message.startswith(
        f"reading hf://{BASE}@{hub.commits(BASE)[0].oid}/model.safetensors:"
    )
    assert caught.value.hint
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("headers", [{"Retry-After": "17"}, {"RateLimit": '"resolvers";r=0;t=17'}])
@pytest.mark.usefixtures("base")
def test_the_pause_that_the_hub_asks_for_is_made(
    headers: Mapping[str, str], hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("weightarith.hub.session.time.sleep", pauses.append)
    source = open_streamed(BASE)
    hub.fail(weights(4096), "429", times=1, headers=headers)

    norms(source)

    assert pauses == [17.0]


def test_a_branch_that_moves_meanwhile_changes_nothing(base: Path, hub: Hub) -> None:
    source = open_streamed(BASE)
    hub.add(BASE, tiny.checkpoint(base.parent / "next", tiny.weights(seed=9)))

    assert norms(source) == norms(open_source(base))


@pytest.mark.parametrize(
    ("changed", "expected"),
    {
        "another commit": (
            lambda one: with_headers(one, {"X-Repo-Commit": "f" * 40}),
            f"the server answers with commit {'f' * 40}",
        ),
        "another content": (
            lambda one: with_headers(one, {"X-Linked-Etag": f'"{"a" * 64}"'}),
            f"the server answers with a file of SHA-256 {'a' * 64}",
        ),
        "another range": (
            lambda one: with_headers(one, {"Content-Range": "bytes 5-9/100"}),
            "the server answers with range bytes 5-9/100 for bytes",
        ),
        "no range": (
            lambda one: with_headers(one, {"Content-Range": ""}),
            "the server answers with range none for bytes",
        ),
        "a compressed answer": (
            lambda one: with_headers(one, {"Content-Encoding": "gzip"}),
            "the server answers with bytes encoded as gzip",
        ),
        "the whole file": (
            lambda one: wire.Answer(200, one.body, one.headers),
            "the server does not send parts of files",
        ),
        "too many bytes": (
            lambda one: wire.Answer(one.status, longer(one.body), one.headers),
            "the server answers with more bytes than were asked for",
        ),
        "too few bytes": (
            lambda one: wire.Answer(one.status, wire.Slice(one.body.path, one.body.start, 0), one.headers),
            "the connection to 127.0.0.1 broke",
        ),
    }.values(),
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.usefixtures("base")
def test_an_answer_to_another_question_is_refused(
    changed: Callable[[wire.Answer], wire.Answer], expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    source = open_streamed(BASE)
    answers(monkeypatch, changed)

    with pytest.raises(HubError, match=re.escape(expected)):
        norms(source)


def longer(body: bytes | wire.Slice) -> bytes | wire.Slice:
    assert isinstance(body, wire.Slice)
    return wire.Slice(body.path, 0, body.size + 100)


def test_a_size_that_is_not_the_header_s_is_refused_before_a_weight_is_read(base: Path, hub: Hub) -> None:
    content = (base / "model.safetensors").read_bytes()
    hub.add(BASE, {"model.safetensors": content[:-2]})

    with pytest.raises(InvalidFileError, match=r"hf://org/base@\w+/model.safetensors is cut short"):
        open_streamed(BASE)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"GGUF" + bytes(2000), "is a GGUF file of llama.cpp"),
        (b"<!DOCTYPE html>" + b" " * 2000, "is an HTML page"),
        (b"", "is empty"),
    ],
)
@pytest.mark.usefixtures("base")
def test_what_is_no_safetensors_file_is_refused_as_on_the_disk(
    content: bytes, expected: str, hub: Hub
) -> None:
    hub.add(BASE, {"model.safetensors": content})

    with pytest.raises(WeightArithError, match=expected):
        open_streamed(BASE)


def test_the_token_goes_to_the_hub_and_not_to_where_it_leads(base: Path, hub: Hub) -> None:
    hub.cdn = True

    assert same(base)

    led = [one for one in hub.requests if one.path.startswith("/cdn/")]
    assert led
    assert not any("authorization" in one.headers for one in led)


def test_gated_weights_are_refused_with_what_to_do(base: Path, hub: Hub) -> None:
    hub.add("org/gated", base, gated=True)

    with pytest.raises(HubError, match="the repository is gated"):
        open_streamed("org/gated")
    hub.grant("org/gated")
    assert open_streamed("org/gated").tensors.keys() == open_source(base).tensors.keys()


def file() -> Remote:
    return remote(listing(Address(BASE)), "model.safetensors")


@pytest.mark.usefixtures("base", "hub")
def test_a_feed_that_is_closed_ends_what_it_fetches() -> None:
    whole = file()
    feed = Feed([[(whole, 0, whole.size)]])
    feed.close()
    feed.close()

    with pytest.raises(ValueError, match="closed"):
        feed.read_into(whole, bytearray(8), whole.size - 8)


@pytest.mark.usefixtures("hub")
def test_what_nobody_announced_is_fetched_when_it_is_asked_for(base: Path) -> None:
    whole = file()
    content = (base / "model.safetensors").read_bytes()
    feed = Feed([[(whole, 100, 200)]])
    found = bytearray(300)
    feed.read_into(whole, found, 50)
    feed.read_into(whole, bytearray(), 50)
    feed.close()

    assert bytes(found) == content[50:350]


@pytest.mark.usefixtures("base")
def test_fetching_can_be_stopped_between_two_pieces(hub: Hub) -> None:
    buffer = bytearray(1000)

    fetch(file(), 0, memoryview(buffer), goes_on=lambda: False)

    assert sent(hub) <= 1000


def started(before: list[threading.Thread]) -> list[threading.Thread]:
    """Return the threads of the client that have been started since; those of the server serve on."""
    servers = ("process_request_thread", "serve_forever")
    return [
        thread
        for thread in threading.enumerate()
        if thread not in before and not any(name in thread.name for name in servers)
    ]


def test_an_interrupt_does_not_wait_for_the_hub(
    base: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_streamed(BASE)
    before = threading.enumerate()
    waiting, over = threading.Event(), threading.Event()

    def pause(_seconds: float) -> None:
        waiting.set()
        over.wait(30)

    def interrupted(_moved: int) -> None:
        if waiting.is_set():
            raise KeyboardInterrupt

    monkeypatch.setattr("weightarith.hub.session.time.sleep", pause)
    hub.fail(weights(), "500", times=1000)
    plan = draw(1 * Checkpoint(source, "base"), Output(base.parent / "out"))
    with pytest.raises(KeyboardInterrupt):
        carry_out(plan, Run(progress=interrupted))
    assert waiting.is_set()
    assert not over.is_set()
    hub.heal()
    over.set()
    for thread in started(before):  # else one of them opens a connection while the server is taken down
        thread.join()
