"""Uploads: files one at a time, one commit, and what an interruption leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.hubserver import Hub
from tests.push.hurry import hurry
from weightarith.errors import HubError, InvalidFileError, TargetError, VerificationError
from weightarith.hub.listing import Entry, Listing
from weightarith.hub.repository import look, names, tag
from weightarith.hub.upload import Committed, Upload, begin

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]
REPO = "org/name"
CARD = b"---\nlicense: mit\n---\n# name\n"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


@pytest.fixture
def shards(tmp_path: Path) -> dict[str, Path]:
    folder = tmp_path / "shards"
    folder.mkdir()
    made = {}
    for number in range(2):
        path = made[f"{number}.safetensors"] = folder / f"{number}.safetensors"
        path.write_bytes(os.urandom(1000 + number))
    return made


def push(shards: dict[str, Path], *, card: bytes = CARD, as_request: bool = False) -> Committed:
    upload = begin(REPO, there=look(REPO), as_request=as_request)
    for name, path in shards.items():
        upload.add(name, path)
    upload.add("README.md", card)
    return upload.commit("Push")


def expected(shards: dict[str, Path], card: bytes = CARD) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in shards.items()} | {"README.md": card}


def visible(hub: Hub, revision: str = "main") -> dict[str, bytes]:
    if REPO not in hub.repositories:
        return {}
    return {name: data for name, data in hub.files(REPO, revision).items() if name != ".gitattributes"}


def test_all_files_become_visible_in_one_commit(any_hub: Hub, shards: dict[str, Path]) -> None:
    done = push(shards)
    assert visible(any_hub) == expected(shards)
    assert [commit.title for commit in any_hub.commits(REPO)] == ["Push", "initial commit"]
    assert done.commit == any_hub.refs(REPO)["refs/heads/main"]
    assert done.changed == ("0.safetensors", "1.safetensors", "README.md")


def test_a_file_that_was_added_may_be_deleted_before_the_commit(
    any_hub: Hub, shards: dict[str, Path]
) -> None:
    content = expected(shards)
    upload = begin(REPO)
    for name, path in shards.items():
        upload.add(name, path)
        path.unlink()
    text = shards["0.safetensors"].with_name("vocab.json")
    text.write_bytes(b"{}")
    upload.add("vocab.json", text)  # the Hub keeps it in git, so it goes with the commit
    text.unlink()
    upload.add("README.md", CARD)
    upload.commit("Push")
    assert visible(any_hub) == content | {"vocab.json": b"{}"}


def test_an_unchanged_repository_gets_no_commit_and_no_file(any_hub: Hub, shards: dict[str, Path]) -> None:
    first = push(shards)
    any_hub.requests.clear()
    again = push(shards)
    assert (again.commit, again.changed, again.url) == (first.commit, (), "")
    assert {request.method for request in any_hub.requests} == {"GET"}


def test_only_what_changed_is_sent_and_what_is_gone_is_removed(hub: Hub, shards: dict[str, Path]) -> None:
    push(shards)
    hub.requests.clear()
    shards["1.safetensors"].write_bytes(b"other bytes")
    upload = begin(REPO)
    upload.add("1.safetensors", shards["1.safetensors"])
    upload.remove("0.safetensors")
    upload.remove("never there")
    done = upload.commit("Change")
    assert done.changed == ("0.safetensors", "1.safetensors")
    assert visible(hub) == {"1.safetensors": b"other bytes", "README.md": CARD}
    assert len([request for request in hub.requests if request.method == "PUT"]) == 1


@pytest.mark.parametrize("how", ["drop", "cut", "500"])
def test_a_request_that_fails_once_does_not_stop_an_upload(
    any_hub: Hub, shards: dict[str, Path], how: str
) -> None:
    push(shards)
    for index in range(requests_of(any_hub, shards)):
        card = CARD + b"%d" % index
        shards["0.safetensors"].write_bytes(b"%s %d" % (how.encode(), index))
        any_hub.requests.clear()
        any_hub.fail(index, how, times=1)  # type: ignore[arg-type]
        done = push(shards, card=card)
        any_hub.heal()
        assert visible(any_hub) == expected(shards, card)
        assert done.commit == any_hub.refs(REPO)["refs/heads/main"]
    assert len({commit.oid for commit in any_hub.commits(REPO)}) == index + 4


def requests_of(hub: Hub, shards: dict[str, Path]) -> int:
    """Return how many requests a push of a changed shard and card takes."""
    shards["0.safetensors"].write_bytes(b"counted")
    hub.requests.clear()
    push(shards, card=CARD + b"counted")
    return len(hub.requests)


@pytest.mark.parametrize("how", ["drop", "500"])
def test_an_upload_that_dies_at_any_request_leaves_the_old_state_or_the_new(
    any_hub: Hub, shards: dict[str, Path], how: str
) -> None:
    push(shards)
    for index in range(requests_of(any_hub, shards)):
        before = visible(any_hub)
        card = CARD + b"%d" % index
        shards["0.safetensors"].write_bytes(b"%s %d" % (how.encode(), index))
        any_hub.requests.clear()
        any_hub.fail(index, how, times=1000)  # type: ignore[arg-type]
        with pytest.raises(HubError):
            push(shards, card=card)
        any_hub.heal()
        assert visible(any_hub) in (before, expected(shards, card))
        push(shards, card=card)
        assert visible(any_hub) == expected(shards, card)


@pytest.mark.parametrize("how", ["drop", "500"])
def test_a_first_upload_that_dies_at_any_request_is_completed_by_the_next(
    any_hub: Hub, shards: dict[str, Path], how: str
) -> None:
    index = 0
    while True:
        any_hub.repositories.clear()
        any_hub.requests.clear()
        any_hub.fail(index, how, times=1000)  # type: ignore[arg-type]
        try:
            push(shards)
        except HubError:
            any_hub.heal()
            assert visible(any_hub) in ({}, expected(shards))
            push(shards)
            assert visible(any_hub) == expected(shards)
            index += 1
        else:
            break
    assert index > 8


def test_a_lost_answer_to_the_commit_is_no_second_commit(any_hub: Hub, shards: dict[str, Path]) -> None:
    any_hub.fail(lambda request: "/commit/" in request.path, "cut")
    done = push(shards)
    assert [commit.title for commit in any_hub.commits(REPO)] == ["Push", "initial commit"]
    assert done.commit == any_hub.refs(REPO)["refs/heads/main"]


def test_a_branch_that_moved_meanwhile_is_left_alone(hub: Hub, shards: dict[str, Path]) -> None:
    push(shards)
    upload = begin(REPO)
    upload.add("README.md", CARD + b"new")
    theirs = hub.move(REPO)
    with pytest.raises(HubError, match="somebody else has committed to it meanwhile"):
        upload.commit("Push")
    assert hub.refs(REPO)["refs/heads/main"] == theirs


def test_a_pull_request_leaves_the_branch_as_it_is(any_hub: Hub, shards: dict[str, Path]) -> None:
    push({}, card=CARD)
    before = visible(any_hub)
    done = push(shards, as_request=True)
    assert done.reference == "refs/pr/1"
    assert visible(any_hub) == before
    assert visible(any_hub, "refs/pr/1") == expected(shards)


def test_a_pull_request_is_not_opened_twice(any_hub: Hub, shards: dict[str, Path]) -> None:
    push({}, card=CARD)
    any_hub.fail(lambda request: "/commit/" in request.path, "cut")
    first = push(shards, as_request=True)
    again = push(shards, as_request=True)
    assert first.reference == again.reference == "refs/pr/1"
    assert (again.changed, first.changed) == ((), ("0.safetensors", "1.safetensors"))
    assert "refs/pr/2" not in any_hub.refs(REPO)


def test_a_branch_is_made_where_it_is_missing(hub: Hub, shards: dict[str, Path]) -> None:
    push(shards)
    there = look(REPO, "next")
    assert there is not None
    assert there.listed is None
    upload = begin(REPO, revision="next", there=there)
    upload.add("README.md", CARD + b"next")
    upload.commit("Push")
    assert visible(hub) == expected(shards)
    assert visible(hub, "next") == expected(shards, CARD + b"next")


@pytest.mark.usefixtures("hub")
def test_a_tag_is_given_once_and_never_moved(shards: dict[str, Path]) -> None:
    first = push(shards).commit
    tag(REPO, "v1", first)
    tag(REPO, "v1", first)
    second = push(shards, card=CARD + b"2").commit
    with pytest.raises(TargetError, match=f"org/name has a tag 'v1', of commit {first[:12]}"):
        tag(REPO, "v1", second)
    assert names(REPO)["refs/tags/v1"] == first


@pytest.mark.usefixtures("hub")
def test_other_bytes_on_the_server_are_told() -> None:
    upload = begin(REPO)
    upload.add("README.md", CARD)
    upload.commit("Push")
    upload.added["README.md"] = upload.added["README.md"].__class__(5, "0" * 64, "0" * 40, None)
    with pytest.raises(VerificationError, match=r"holds other bytes than were sent: 'README\.md'") as caught:
        upload.commit("Push")
    assert caught.value.exit_code == 9


@pytest.mark.usefixtures("hub")
def test_a_file_that_changes_while_it_is_sent_is_told(
    shards: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import HfApi

    path, send = shards["0.safetensors"], HfApi.preupload_lfs_files

    def write(*given: object, **more: object) -> None:
        send(*given, **more)  # type: ignore[arg-type]
        path.write_bytes(b"longer or shorter")

    monkeypatch.setattr(HfApi, "preupload_lfs_files", write)
    upload = begin(REPO)
    with pytest.raises(InvalidFileError, match="changed while it was sent"):
        upload.add("0.safetensors", path)


def test_a_name_that_leads_elsewhere_is_no_name_of_a_file() -> None:
    upload = Upload(Listing(None, "0" * 40, {}, False, False))  # type: ignore[arg-type]
    with pytest.raises(InvalidFileError, match="leads out of its folder"):
        upload.add("../README.md", CARD)


def test_a_large_file_that_the_hub_keeps_in_git_is_not_taken_for_the_same() -> None:
    from weightarith.hub.upload import Added

    assert not Added(3, "a" * 64, "", None).is_at(Entry("x", 3, None, "b" * 40))
    assert Added(3, "a" * 64, "", None).is_at(Entry("x", 3, "a" * 64, "b" * 40))
