"""Merges sent as they are made, interrupted at any request: the branch is the old state or the new one."""

from __future__ import annotations

import tempfile
import traceback
from pathlib import Path

import pytest

from tests.hubserver import Hub
from tests.push import things
from tests.push.hurry import hurry
from weightarith.algebra import collect
from weightarith.engine.settings import Output
from weightarith.errors import HubError
from weightarith.publish import Wish, carry_out_made, draw_made, room
from weightarith.saving import Run, draw

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]
REPO = "me/thing"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hurry(monkeypatch)
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))


def push(strength: float) -> None:
    """Publish what lies between the two parents, file by file."""
    base = things.opened(things.BASE)
    total = base + strength * (things.opened(things.TUNED) - base)
    with room() as path:
        merge = draw(collect(total.terms), Output(path, shard_bytes=5000))
        carry_out_made(draw_made(merge, Wish(REPO)), Run(threads=1))


def visible(hub: Hub) -> dict[str, bytes]:
    if REPO not in hub.repositories:
        return {}
    return {name: data for name, data in hub.files(REPO).items() if name != ".gitattributes"}


def wanted(hub: Hub, strength: float) -> dict[str, bytes]:
    """Return what a push that nothing interrupts makes visible, and take it away again."""
    push(strength)
    found = visible(hub)
    hub.repositories.pop(REPO)
    return found


def test_a_merge_that_dies_at_any_request_leaves_the_old_state_or_the_new_one(
    any_hub: Hub, tmp_path: Path
) -> None:
    things.parents(any_hub, tmp_path)
    new, old = wanted(any_hub, 0.25), wanted(any_hub, 0.5)
    push(0.5)
    first = any_hub.refs(REPO)["refs/heads/main"]
    index, died = 0, True
    while died:
        any_hub.repositories[REPO].refs["refs/heads/main"] = first
        any_hub.repositories[REPO].uploaded.clear()
        any_hub.requests.clear()
        any_hub.fail(index, "500" if index % 2 else "drop", times=10**6)
        try:
            push(0.25)
            died = False
        except HubError:
            assert any_hub.token not in traceback.format_exc()
            any_hub.heal()
            assert visible(any_hub) in (old, new), index
            assert not list((tmp_path / "scratch").glob("weightarith-*"))
            push(0.25)
            index += 1
        assert visible(any_hub) == new
    assert index > 15


def test_the_next_run_sends_only_the_files_that_the_hub_has_not_got(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path)
    files = len([name for name in wanted(hub, 0.5) if name.endswith(".safetensors")])
    third = [0]

    def at_the_third(request: object) -> bool:
        third[0] += getattr(request, "method", "") == "PUT"
        return third[0] >= 3

    hub.fail(at_the_third, "500", times=10**6)
    with pytest.raises(HubError, match="the Hub failed"):
        push(0.25)
    hub.heal()
    hub.requests.clear()

    push(0.25)

    sent = [one for one in hub.requests if one.method == "PUT"]
    assert 0 < len(sent) == files - 2
    hub.requests.clear()
    push(0.25)
    assert not [one for one in hub.requests if one.method in ("PUT",) or "/commit/" in one.path]
