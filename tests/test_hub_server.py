"""The Hub to test against, asked by the real client: what it takes, keeps and gives back."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

from tests.hubserver import Hub

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]

WEIGHTS = bytes(range(256)) * 100
CARD = b"---\nlicense: mit\nbase_model: org/base\n---\n# It\n"
FILES = {"model.safetensors": WEIGHTS, "sub/config.json": b"{}", "README.md": CARD}


def folder_of(files: dict[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def safetensors(*names: str) -> bytes:
    header = {
        name: {"dtype": "F32", "shape": [1], "data_offsets": [4 * i, 4 * i + 4]}
        for i, name in enumerate(names)
    }
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(4 * len(names))


def test_a_folder_that_is_pushed_comes_back_the_same(any_hub: Hub, tmp_path: Path) -> None:
    HfApi().create_repo("org/model", private=True)
    HfApi().upload_folder(repo_id="org/model", folder_path=folder_of(FILES, tmp_path / "model"))

    assert any_hub.files("org/model").keys() == {*FILES, ".gitattributes"}
    found = Path(snapshot_download("org/model"))
    for name, content in FILES.items():
        assert any_hub.files("org/model")[name] == content
        assert (found / name).read_bytes() == content


def test_what_is_there_is_not_sent_again_and_makes_no_commit(any_hub: Hub, tmp_path: Path) -> None:
    folder = folder_of(FILES, tmp_path / "model")
    HfApi().create_repo("org/model")
    HfApi().upload_folder(repo_id="org/model", folder_path=folder)
    before, any_hub.requests[:] = any_hub.commits("org/model"), []

    HfApi().upload_folder(repo_id="org/model", folder_path=folder)

    assert any_hub.commits("org/model") == before
    assert not [one for one in any_hub.requests if one.method == "PUT" or "/commit/" in one.path]


def test_a_commit_adds_and_deletes_and_is_titled(any_hub: Hub) -> None:
    any_hub.add("org/model", FILES)
    HfApi().create_commit(
        "org/model",
        [CommitOperationAdd("new.safetensors", b"new" * 99), CommitOperationDelete("sub/")],
        commit_message="Change it",
    )

    assert any_hub.files("org/model").keys() == {"model.safetensors", "README.md", "new.safetensors"}
    commit = any_hub.commits("org/model")[0]
    assert (commit.title, commit.paths) == ("Change it", ("new.safetensors", "sub/config.json"))


def test_large_files_may_come_before_the_commit_and_lie_nowhere_until_then(any_hub: Hub) -> None:
    any_hub.add("org/model", {"README.md": CARD})
    shard = CommitOperationAdd("model.safetensors", WEIGHTS)
    HfApi().preupload_lfs_files("org/model", [shard])
    assert any_hub.files("org/model").keys() == {"README.md"}

    HfApi().create_commit("org/model", [shard], commit_message="All at once")

    assert any_hub.files("org/model")["model.safetensors"] == WEIGHTS
    assert len(any_hub.commits("org/model")) == 2


def test_a_file_in_parts_is_put_together(hub: Hub) -> None:
    hub.part_size = 10_000
    hub.add("org/model", {"README.md": CARD})

    HfApi().upload_file(repo_id="org/model", path_in_repo="m.safetensors", path_or_fileobj=WEIGHTS)

    assert hub.files("org/model")["m.safetensors"] == WEIGHTS
    assert len([one for one in hub.requests if one.method == "PUT"]) == 3


def test_a_pull_request_is_a_branch_of_its_own_that_can_be_merged(any_hub: Hub) -> None:
    first = any_hub.add("org/model", {"README.md": CARD})
    made = HfApi().create_commit(
        "org/model", [CommitOperationAdd("m.safetensors", WEIGHTS)], commit_message="x", create_pr=True
    )
    assert made.pr_revision == "refs/pr/1"
    HfApi().upload_file(
        repo_id="org/model", path_in_repo="a.txt", path_or_fileobj=b"a", revision="refs/pr/1"
    )  # fmt: skip

    assert any_hub.refs("org/model")["refs/heads/main"] == first
    assert any_hub.files("org/model", "refs/pr/1").keys() == {"README.md", "m.safetensors", "a.txt"}
    HfApi().merge_pull_request("org/model", 1)
    assert any_hub.files("org/model").keys() == {"README.md", "m.safetensors", "a.txt"}


def test_tags_and_branches_are_names_of_commits(hub: Hub) -> None:
    first = hub.add("org/model", {"a.txt": b"1"})
    HfApi().create_tag("org/model", tag="v1")
    HfApi().create_branch("org/model", branch="feature/x")
    hub.add("org/model", {"a.txt": b"2"})

    refs = HfApi().list_repo_refs("org/model", include_pull_requests=True)
    assert {ref.name: ref.target_commit for ref in refs.tags} == {"v1": first}
    assert {ref.name for ref in refs.branches} == {"main", "feature/x"}
    for revision in ("v1", "feature/x", first):
        path = hf_hub_download("org/model", "a.txt", revision=revision)
        assert Path(path).read_bytes() == b"1"
    assert Path(hf_hub_download("org/model", "a.txt")).read_bytes() == b"2"


def test_information_has_the_commit_the_card_and_who_may_see_it(any_hub: Hub) -> None:
    commit = any_hub.add("org/model", FILES, private=True, gated=True)

    info = HfApi().model_info("org/model", files_metadata=True)

    assert (info.sha, info.private, info.gated) == (commit, True, "manual")
    assert info.card_data is not None
    assert info.card_data.base_model == "org/base"
    sizes = {one.rfilename: one.size for one in info.siblings or []}
    assert sizes == {name: len(content) for name, content in FILES.items()}


@pytest.mark.parametrize("page", [1000, 2])
def test_a_tree_is_listed_page_by_page(page: int, hub: Hub) -> None:
    hub.page = page
    hub.add("org/model", {**FILES, "a/b/c.txt": b"c"})

    def paths(folder: str | None, *, recursive: bool) -> set[str]:
        return {one.path for one in HfApi().list_repo_tree("org/model", folder, recursive=recursive)}

    assert paths(None, recursive=True) == {*FILES, "a/b/c.txt", "a", "a/b", "sub"}
    assert paths(None, recursive=False) == {"model.safetensors", "README.md", "a", "sub"}
    assert paths("a", recursive=False) == {"a/b"}
    assert [one.path for one in HfApi().get_paths_info("org/model", ["README.md", "gone"])] == ["README.md"]


@pytest.mark.parametrize("cdn", [False, True])
def test_ranges_of_a_file_are_read_alone(cdn: bool, any_hub: Hub) -> None:
    any_hub.cdn = cdn
    any_hub.add("org/model", FILES)
    address = f"{any_hub.url}/org/model/resolve/main/model.safetensors"

    def ask(span: str) -> httpx.Response:
        return httpx.get(address, headers={"Range": f"bytes={span}"}, follow_redirects=True)

    assert ask("5-9").content == WEIGHTS[5:10]
    assert ask("5-9").headers["Content-Range"] == f"bytes 5-9/{len(WEIGHTS)}"
    assert ask("-7").content == WEIGHTS[-7:]
    assert ask("25590-").content == WEIGHTS[25590:]
    assert ask("25590-99999").status_code == 206
    assert ask("99999-").status_code == 416
    assert any_hub.requests[-1].sent == 0


@pytest.mark.skipif(
    huggingface_hub.__version__ < "2", reason="to huggingface_hub 1 another port is no other host"
)
def test_a_file_on_another_host_is_asked_for_without_the_token(hub: Hub) -> None:
    hub.cdn = True
    hub.add("org/model", FILES, private=True)

    assert Path(hf_hub_download("org/model", "model.safetensors")).read_bytes() == WEIGHTS
    assert [one.status for one in hub.requests if one.path.startswith("/cdn/")] == [200]


def test_headers_of_safetensors_are_read_one_by_one_and_all_at_once(any_hub: Hub) -> None:
    index = {"metadata": {}, "weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}
    any_hub.add("org/model", {
        "m-1.safetensors": safetensors("a"), "m-2.safetensors": safetensors("b"),
        "model.safetensors.index.json": json.dumps(index).encode(),
    })  # fmt: skip

    at_once = getattr(HfApi(), "get_sharded_safetensors_metadata", None)  # huggingface_hub 1 has none
    for ask in filter(None, (HfApi().get_safetensors_metadata, at_once)):
        found = ask("org/model")
        assert found.weight_map == index["weight_map"]
        assert found.files_metadata["m-2.safetensors"].tensors["b"].shape == [1]


def test_a_folder_is_added_whole(any_hub: Hub, tmp_path: Path) -> None:
    any_hub.add("org/model", folder_of(FILES, tmp_path / "model"))

    assert any_hub.files("org/model") == FILES
