"""Pushes that are interrupted: at any request the branch is the old state or the whole new one."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

import pytest

from tests.hubserver import Hub
from tests.push import things
from tests.push.hurry import hurry
from weightarith.errors import HubError
from weightarith.publish import Wish, carry_out, draw

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]
REPO = "me/thing"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


def push(path: Path) -> None:
    carry_out(draw(path, Wish(REPO, tag="v1" if "1" in path.name else "")))


def visible(hub: Hub) -> dict[str, bytes]:
    if REPO not in hub.repositories:
        return {}
    return {name: data for name, data in hub.files(REPO).items() if name != ".gitattributes"}


def expected(path: Path) -> dict[str, bytes]:
    """Return the files of a model but for those that are made for the Hub."""
    return {one.name: one.read_bytes() for one in path.iterdir() if one.name != "weightarith.json"}


def is_whole(found: dict[str, bytes], path: Path) -> bool:
    made = {"README.md", "weightarith.json"}
    return made <= found.keys() and {n: d for n, d in found.items() if n not in made} == expected(path)


@pytest.mark.parametrize("how", ["drop", "500"])
def test_a_push_that_dies_at_any_request_leaves_the_old_state_or_the_new_one(
    any_hub: Hub, tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    things.parents(any_hub, tmp_path)
    old, new = things.model(tmp_path, 0.5, name="old"), things.model(tmp_path, 0.25, name="new")
    push(old)
    first = any_hub.refs(REPO)["refs/heads/main"]
    index, died = 0, True
    while died:
        any_hub.repositories[REPO].refs["refs/heads/main"] = first
        any_hub.repositories[REPO].uploaded.clear()
        any_hub.requests.clear()
        any_hub.fail(index, how, times=10**6)  # type: ignore[arg-type]
        try:
            push(new)
            died = False
        except HubError:
            assert any_hub.token not in traceback.format_exc()
            any_hub.heal()
            found = visible(any_hub)
            assert is_whole(found, old) or is_whole(found, new), index
            push(new)
            index += 1
        assert is_whole(visible(any_hub), new)
    assert index > 15
    assert any_hub.token not in caplog.text


def test_the_first_push_that_dies_at_any_request_is_completed_by_the_next(
    any_hub: Hub, tmp_path: Path
) -> None:
    things.parents(any_hub, tmp_path)
    path = things.model(tmp_path, name="model-1")
    index, died = 0, True
    while died:
        any_hub.repositories.pop(REPO, None)
        any_hub.requests.clear()
        any_hub.fail(index, "500", times=10**6)
        try:
            push(path)
            died = False
        except HubError:
            any_hub.heal()
            assert visible(any_hub) == {} or is_whole(visible(any_hub), path)
            push(path)
            index += 1
        assert is_whole(visible(any_hub), path)
        refs = any_hub.refs(REPO)
        assert refs["refs/tags/v1"] == refs["refs/heads/main"]
    assert index > 15


def test_what_was_sent_before_an_interruption_is_not_sent_again(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path)
    path = things.model(tmp_path)
    hub.fail(lambda request: "/commit/" in request.path, "500", times=10**6)
    with pytest.raises(HubError, match="the Hub failed"):
        push(path)
    hub.heal()
    sent = [request for request in hub.requests if request.method == "PUT"]
    assert len(sent) == len(list(path.glob("*.safetensors"))) > 2
    hub.requests.clear()
    push(path)
    assert not [request for request in hub.requests if request.method == "PUT"]
    assert is_whole(visible(hub), path)


def test_somebody_elses_commit_meanwhile_is_not_overwritten(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import HfApi

    things.parents(hub, tmp_path)
    push(things.model(tmp_path))
    plan = draw(things.model(tmp_path, 0.25), Wish(REPO))
    commit = HfApi.create_commit

    def late(*given: object, **more: object) -> object:
        hub.move(REPO)
        return commit(*given, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(HfApi, "create_commit", late)
    with pytest.raises(HubError, match="somebody else has committed to it meanwhile"):
        carry_out(plan)
    assert hub.commits(REPO)[0].title == "By somebody else"
