"""A model that is not on this machine is listed and downloaded, pinned to a commit, and only what is read."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import tiny
from tests.hubserver import Hub
from weightarith.errors import HubError, InvalidFileError, StorageError, UnsupportedError, WeightArithError
from weightarith.hub import Address, locate
from weightarith.hub.cached import origin
from weightarith.hub.fetch import snapshot
from weightarith.hub.listing import Entry, listing
from weightarith.store import open_source

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]

OTHERS = {
    "pytorch_model.bin": b"pickle", "model.gguf": b"GGUF", "modeling.py": b"code", "onnx/model.onnx": b"o",
    "checkpoint-5/model.safetensors": b"old", "consolidated.safetensors": b"twice", ".gitattributes": b"",
}  # fmt: skip
BESIDE = {"tokenizer.json": b"{}", "README.md": b"---\nlicense: mit\n---\n", "LICENSE": b"MIT"}


@pytest.fixture
def model(any_hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the commit of a checkpoint in org/tiny, with much beside it that is never read."""
    folder = tiny.checkpoint(tmp_path / "made", tiny.weights())
    for name, content in (BESIDE | OTHERS).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    commit = any_hub.add("org/tiny", folder)
    monkeypatch.chdir(tmp_path)
    return commit


def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_listing_has_the_commit_sizes_and_hashes_and_downloads_nothing(any_hub: Hub, model: str) -> None:
    found = listing(Address("org/tiny"))

    content = any_hub.files("org/tiny")["model.safetensors"]
    assert (found.commit, found.private, found.gated) == (model, False, False)
    assert found.card["license"] == "mit"
    assert found.files.keys() == any_hub.files("org/tiny").keys()
    entry = found.files["model.safetensors"]
    assert (entry.size, entry.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert found.files["LICENSE"] == Entry(
        "LICENSE", 3, None, hashlib.sha1(b"blob 3\0MIT").hexdigest()
    )  # fmt: skip
    assert found.pinned == Address("org/tiny", model)
    assert found.size == sum(map(len, any_hub.files("org/tiny").values()))
    assert [one.method for one in any_hub.requests] == ["GET", "GET"]
    assert f"/tree/{model}?" in any_hub.requests[1].path


def test_a_shortened_commit_is_found_on_the_main_branch(hub: Hub) -> None:
    commit = hub.add("org/model", {"a.json": b"{}"})
    hub.move("org/model")

    assert listing(Address("org/model", commit[:9])).commit == commit
    assert names(locate(f"org/model@{commit[:9]}")) == {"a.json"}
    hub.requests.clear()
    locate(f"org/model@{commit[:7]}")
    with pytest.raises(HubError, match="the repository has no such revision"):
        listing(Address("org/model", "0123456"))


@pytest.mark.parametrize("name", ["../up.safetensors", "/etc/x.json", "a\\b.json", "a/../../b.json"])
def test_a_listing_with_a_name_that_leads_elsewhere_is_refused(name: str, hub: Hub) -> None:
    hub.add("org/evil", {name: b"x"})

    with pytest.raises(InvalidFileError, match="org/evil holds") as caught:
        listing(Address("org/evil"))
    assert caught.value.hint == "do not use this repository"
    assert names(hub.home) == {"token"}


def test_what_is_not_in_the_cache_is_downloaded_and_pickles_never(any_hub: Hub, model: str) -> None:
    folder = locate("org/tiny")

    assert names(folder) > {"model.safetensors", "config.json", *BESIDE}
    assert not names(folder) & OTHERS.keys()
    assert open_source(folder).kind == "checkpoint"
    assert origin(folder) == Address("org/tiny", model)
    files = any_hub.files("org/tiny")
    assert all((folder / name).read_bytes() == files[name] for name in names(folder))


@pytest.mark.usefixtures("model")
def test_what_is_in_the_cache_is_not_asked_for_again_not_even_if_the_branch_moved(any_hub: Hub) -> None:
    first = locate("org/tiny")
    any_hub.move("org/tiny")
    any_hub.requests.clear()

    assert locate("org/tiny") == locate("hf://org/tiny@main") == first
    assert any_hub.requests == []


def test_what_was_downloaded_is_there_offline(
    any_hub: Hub, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = locate("org/tiny")
    any_hub.requests.clear()
    offline(monkeypatch)

    for text in ("org/tiny", "hf://org/tiny", f"org/tiny@{model}", f"org/tiny@{model[:9]}"):
        assert locate(text) == first
    with pytest.raises(HubError, match="org/tiny at revision 'v1' is not in the Hub's cache"):
        locate("org/tiny@v1")
    assert any_hub.requests == []


def test_revisions_that_are_one_commit_share_its_files(any_hub: Hub, model: str) -> None:
    any_hub.repositories["org/tiny"].refs["refs/tags/v1"] = model
    first = locate("org/tiny")
    any_hub.requests.clear()

    assert locate("org/tiny@v1") == locate(f"org/tiny@{model}") == first
    assert not [one for one in any_hub.requests if "/resolve/" in one.path]


@pytest.mark.usefixtures("model")
def test_a_file_brings_the_small_ones_beside_it_and_no_other_weights(any_hub: Hub) -> None:
    any_hub.add("org/vectors", {
        "a.safetensors": b"a", "b.safetensors": b"b", "a.json": b"{}", "sub/c.safetensors": b"c",
        "sub/d.md": b"d",
    })  # fmt: skip

    assert locate("hf://org/vectors/a.safetensors").read_bytes() == b"a"
    folder = locate("hf://org/vectors/a.safetensors").parent
    assert names(folder) == {"a.safetensors", "a.json"}
    assert locate("hf://org/vectors/sub/c.safetensors").read_bytes() == b"c"
    assert names(locate("hf://org/vectors/sub")) == {"c.safetensors", "d.md"}
    with pytest.raises(HubError, match=r"org/vectors holds no 'e.safetensors' at commit") as caught:
        locate("hf://org/vectors/e.safetensors")
    assert "'a.safetensors'" in caught.value.hint


@pytest.mark.usefixtures("model")
def test_without_weights_only_the_small_files_come() -> None:
    folder = snapshot(Address("org/tiny"), weights=False)

    assert names(folder) > {"config.json", *BESIDE}
    assert "model.safetensors" not in names(folder)
    assert "model.safetensors" in names(locate("org/tiny"))


@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors"])
@pytest.mark.usefixtures("model")
def test_a_download_that_was_broken_off_is_finished(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = locate("org/tiny")
    (folder / name).unlink()
    with monkeypatch.context() as patch:
        offline(patch)
        assert locate("org/tiny") == folder  # whoever opens it says what is missing

    assert (locate("org/tiny") / name).is_file()


def test_weights_in_layouts_that_are_never_read_are_not_downloaded(hub: Hub) -> None:
    hub.add("org/old", {"pytorch_model.bin": b"pickle", "config.json": b"{}"})
    hub.add("org/empty", {"a.png": b"\x89PNG\0"})

    with pytest.raises(UnsupportedError, match=r"has its weights in 'pytorch_model\.bin' only"):
        locate("org/old")
    with pytest.raises(HubError, match="hf://org/empty holds no file that is read here"):
        locate("org/empty")
    assert names(hub.home) == {"token"}


def test_what_does_not_fit_is_refused_before_it_comes(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("org/big", {"model.safetensors": b"x" * 5000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4999))

    with pytest.raises(StorageError, match="needs 5,000 bytes in the Hub's cache, and 4,999 are free"):
        locate("org/big")


def test_a_slip_in_a_path_asks_the_hub_nothing(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs" / "negative").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InvalidFileError, match="did you mean 'runs/negative'"):
        locate("runs/negativ")
    assert hub.requests == []


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        ("gated", "downloading org/tiny at 'main': the repository is gated"),
        ("private", "listing org/tiny at 'main': the Hub knows no such repository, or it is private"),
        ("gone", "cannot connect to 127.0.0.1"),
    ],
)
@pytest.mark.usefixtures("model")
def test_what_the_hub_refuses_leaves_no_snapshot(prepare: str, message: str, any_hub: Hub) -> None:
    if prepare == "gated":
        any_hub.repositories["org/tiny"].gated = True
    elif prepare == "private":
        any_hub.repositories["org/tiny"].private = True
        (any_hub.home / "token").unlink()
    else:
        any_hub.close()

    with pytest.raises(WeightArithError) as caught:
        locate("org/tiny")

    assert message in caught.value.message
    assert caught.value.exit_code == 8
    assert "model.safetensors" not in {Path(name).name for name in names(any_hub.home)}
    assert not list(any_hub.home.rglob("refs/*"))


@pytest.mark.parametrize("how", ["cut", "503"])
@pytest.mark.usefixtures("model")
def test_a_download_survives_one_failure_of_any_request(how: str, any_hub: Hub, tmp_path: Path) -> None:
    locate("org/tiny")
    count = len(any_hub.requests)
    for at in range(count):
        shutil.rmtree(any_hub.home / "hub")
        any_hub.requests.clear()
        any_hub.fail(at, how)  # type: ignore[arg-type]
        folder = locate("org/tiny")
        any_hub.heal()
        assert (folder / "model.safetensors").read_bytes() == (
            tmp_path / "made" / "model.safetensors"
        ).read_bytes()


def test_an_index_of_a_broken_off_download_says_which_shards_are_missing(any_hub: Hub) -> None:
    index = {"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}
    any_hub.add("org/sharded", {
        "model.safetensors.index.json": json.dumps(index).encode(), "m-1.safetensors": b"1",
        "m-2.safetensors": b"2",
    })  # fmt: skip
    folder = locate("org/sharded")
    (folder / "m-2.safetensors").unlink()

    assert (locate("org/sharded") / "m-2.safetensors").read_bytes() == b"2"


@pytest.mark.usefixtures("model")
def test_a_command_downloads_what_it_is_given_and_prints_data_only(any_hub: Hub) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "weightarith", "inspect", "hf://org/tiny", "--json"],
        env=any_hub.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kind"] == "checkpoint"
    assert done.stderr == ""
