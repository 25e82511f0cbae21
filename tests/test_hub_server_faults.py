"""The Hub to test against, where it refuses or fails: as the real one does, and only where it is told to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

from tests.hubserver import TOKEN, Hub

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]

WEIGHTS = bytes(range(256)) * 100


def log_out(hub: Hub) -> None:
    (hub.home / "token").unlink()


def push(name: str = "a.safetensors", parent: str | None = None) -> None:
    added = [CommitOperationAdd(name, WEIGHTS)]
    HfApi().create_commit("org/model", added, commit_message="x", parent_commit=parent)


def test_a_gated_repository_shows_its_names_and_keeps_its_files(any_hub: Hub) -> None:
    any_hub.add("org/model", {"m.safetensors": WEIGHTS}, gated=True)

    assert HfApi().model_info("org/model").gated == "manual"
    with pytest.raises(GatedRepoError):
        hf_hub_download("org/model", "m.safetensors")
    any_hub.grant("org/model")
    assert Path(hf_hub_download("org/model", "m.safetensors")).read_bytes() == WEIGHTS
    log_out(any_hub)
    with pytest.raises(GatedRepoError):
        hf_hub_download("org/model", "m.safetensors", cache_dir=any_hub.home / "other")


def test_a_private_repository_is_missing_for_who_is_not_logged_in(hub: Hub) -> None:
    hub.add("org/model", {"a.txt": b"a"}, private=True)
    assert HfApi().model_info("org/model").private
    log_out(hub)

    with pytest.raises(RepositoryNotFoundError, match="401"):
        HfApi().model_info("org/model")
    with pytest.raises(RepositoryNotFoundError):
        hf_hub_download("org/model", "a.txt")


def test_what_is_missing_is_missing(hub: Hub) -> None:
    hub.add("org/model", {"a.txt": b"a"})

    with pytest.raises(RepositoryNotFoundError, match="404"):
        HfApi().model_info("org/other")
    with pytest.raises(RevisionNotFoundError):
        HfApi().model_info("org/model", revision="v9")
    with pytest.raises(EntryNotFoundError):
        hf_hub_download("org/model", "b.txt")
    with pytest.raises(EntryNotFoundError):
        list(HfApi().list_repo_tree("org/model", "gone"))


def test_who_may_not_write_is_told_so(hub: Hub) -> None:
    hub.foreign.add("org")
    hub.add("org/model", {"a.txt": b"a"})

    with pytest.raises(HfHubHTTPError, match="403"):
        push()
    with pytest.raises(HfHubHTTPError, match="403"):
        HfApi().create_repo("org/new")
    with pytest.raises(HfHubHTTPError, match="401"):
        HfApi(token="hf_wrongWRONGwrong").model_info("org/model")
    log_out(hub)
    with pytest.raises(HfHubHTTPError, match="401"):
        HfApi().create_repo("me/new")


def test_a_commit_on_a_stale_parent_is_refused(any_hub: Hub) -> None:
    parent = any_hub.add("org/model", {"a.txt": b"a"})
    moved = any_hub.move("org/model")

    with pytest.raises(HfHubHTTPError, match="412"):
        push(parent=parent)
    assert any_hub.refs("org/model")["refs/heads/main"] == moved
    push(parent=moved)
    assert "a.safetensors" in any_hub.files("org/model")


@pytest.mark.usefixtures("hub")
def test_a_repository_is_made_once() -> None:
    HfApi().create_repo("org/model")

    with pytest.raises(HfHubHTTPError, match="409"):
        HfApi().create_repo("org/model")
    assert HfApi().create_repo("org/model", exist_ok=True).repo_id == "org/model"


def test_a_commit_of_a_large_file_that_never_came_is_refused(hub: Hub) -> None:
    hub.add("org/model", {"a.txt": b"a"})
    header = '{"key": "header", "value": {"summary": "x"}}'
    line = '{"key": "lfsFile", "value": {"path": "m", "oid": "00"}}'

    answer = httpx.post(
        f"{hub.url}/api/models/org/model/commit/main", content=f"{header}\n{line}",
        headers={"authorization": f"Bearer {TOKEN}"},
    )  # fmt: skip

    assert answer.status_code == 400
    assert "does not exist" in answer.json()["error"]


def test_a_content_that_is_not_what_its_name_says_is_refused(hub: Hub) -> None:
    hub.add("org/model", {"a.txt": b"a"})

    assert httpx.put(f"{hub.url}/lfs/org/model/{'0' * 64}", content=b"other").status_code == 400
    assert hub.repositories["org/model"].uploaded == set()


@pytest.mark.parametrize("how", ["drop", "cut", "429", "500", "503"])
def test_every_request_of_a_push_can_be_made_to_fail(how: str, any_hub: Hub) -> None:
    any_hub.add("org/model", {"a.txt": b"a"})
    push("0.safetensors")
    count = len(any_hub.requests)
    for at in range(count):
        before, any_hub.requests[:] = any_hub.files("org/model").keys(), []
        any_hub.fail(at, how, times=99)  # type: ignore[arg-type]
        try:
            push(f"{at + 1}.safetensors")
        except (OSError, httpx.HTTPError, RuntimeError):
            whole = {*before, f"{at + 1}.safetensors"}
            assert any_hub.files("org/model").keys() in (before, whole)
        any_hub.heal()
        push(f"{at + 1}.safetensors")

    assert any_hub.files("org/model").keys() == {"a.txt", *(f"{at}.safetensors" for at in range(count + 1))}


def test_a_dropped_request_does_nothing_and_one_that_is_cut_is_done(hub: Hub) -> None:
    hub.fail(0, "drop")
    with pytest.raises(httpx.HTTPError):
        HfApi().create_repo("org/model")
    assert not hub.repositories
    assert (hub.requests[0].status, hub.requests[0].sent) == (0, 0)

    hub.fail(lambda request: request.path == "/api/repos/create", "cut")
    with pytest.raises(httpx.HTTPError):
        HfApi().create_repo("org/model")
    assert list(hub.repositories) == ["org/model"]
    assert hub.requests[1].status == 200


def test_a_download_cut_in_the_middle_is_asked_for_again(hub: Hub) -> None:
    hub.add("org/model", {"m.safetensors": WEIGHTS})
    hub.fail(lambda request: request.method == "GET", "cut")

    assert Path(hf_hub_download("org/model", "m.safetensors")).read_bytes() == WEIGHTS
    assert [(one.method, one.sent) for one in hub.requests] == [
        ("HEAD", 0), ("GET", len(WEIGHTS) // 2), ("GET", len(WEIGHTS)),
    ]  # fmt: skip


def test_a_fault_can_say_when_to_come_back(hub: Hub) -> None:
    hub.fail(0, "429", headers={"Retry-After": "7"})

    answer = httpx.get(f"{hub.url}/api/models/org/model")

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")


def test_the_log_holds_what_went_and_came_and_no_token(any_hub: Hub) -> None:
    any_hub.add("org/model", {"a.txt": b"a"})
    push()

    upload = [one for one in any_hub.requests if one.method == "PUT"]
    assert [one.received for one in upload] == ([] if any_hub.cas else [len(WEIGHTS)])
    assert [one.index for one in any_hub.requests] == list(range(len(any_hub.requests)))
    assert any_hub.requests[0].headers["authorization"] == "Bearer …"
    assert TOKEN not in repr(any_hub.requests)


def test_a_program_of_its_own_talks_to_it_logged_in(any_hub: Hub) -> None:
    any_hub.add("org/model", {"m.safetensors": WEIGHTS}, private=True)
    code = (
        "from huggingface_hub import snapshot_download, HfApi; from pathlib import Path;"
        "print(HfApi().whoami()['name'], *(p.name for p in Path(snapshot_download('org/model')).iterdir()))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], env=any_hub.environment(), capture_output=True, text=True, check=False
    )

    assert done.stdout == "tester m.safetensors\n", done.stderr
    assert str(any_hub.home) in any_hub.environment()["HF_HOME"]
    assert TOKEN not in repr(any_hub.environment())
