"""Names of models are found in the Hub's cache; a path that is there always wins, and no network is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import tiny
from weightarith.errors import WeightArithError
from weightarith.hub import locate
from weightarith.store import open_source

COMMIT = "7e27bd9f95328f0f3b08261d1252705110c806f8"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the cache with one model in it, laid out as the Hub's library does: links to blobs."""
    from huggingface_hub import constants

    cache = tmp_path / "cache"
    model = cache / "models--org--tiny"
    snapshot = model / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    (model / "refs" / "v1.0").write_text(COMMIT, encoding="utf-8")
    blobs = tiny.checkpoint(model / "blobs", tiny.weights())
    for blob in sorted(blobs.iterdir()):
        hashed = blob.rename(blobs / f"{len(blob.name):040x}")
        (snapshot / blob.name).symlink_to(Path("..", "..", "blobs", hashed.name))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    return snapshot


@pytest.mark.parametrize(
    "text",
    [
        "org/tiny",
        "hf://org/tiny",
        "org/tiny@main",
        "org/tiny@v1.0",
        f"org/tiny@{COMMIT}",
        f"hf://org/tiny@{COMMIT}",
        f"org/tiny@{COMMIT[:12]}",
        f"org/tiny@{COMMIT[:7]}",
    ],
)
def test_a_name_means_its_snapshot_in_the_cache(text: str, cache: Path) -> None:
    assert locate(text).resolve() == cache.resolve()


def test_a_snapshot_of_links_opens_as_a_checkpoint(cache: Path) -> None:
    source = open_source(locate("org/tiny"))

    assert source.kind == "checkpoint"
    assert source.files[0].path == cache / "model.safetensors"
    assert source.config is not None


def test_a_path_that_is_there_wins_over_a_repository(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "org" / "tiny").mkdir(parents=True)

    assert locate("org/tiny") == Path("org/tiny")
    assert locate("hf://org/tiny").resolve() == cache.resolve()


def test_a_path_is_returned_as_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "v.safetensors").touch()

    assert locate("v.safetensors") == Path("v.safetensors")
    assert locate("./v.safetensors") == Path("v.safetensors")
    assert locate("~/v.safetensors") == tmp_path / "v.safetensors"
    assert locate(str(tmp_path)) == tmp_path


def test_a_link_that_leads_nowhere_is_a_path_all_the_same(tmp_path: Path) -> None:
    link = tmp_path / "model"
    link.symlink_to("gone")

    assert locate(str(link)) == link


@pytest.mark.parametrize(
    ("text", "exit_code", "message"),
    [
        ("org/other", 8, "org/other at revision 'main' is not in the Hub's cache"),
        ("org/other", 8, "try: hf download org/other"),
        ("org/tiny@v2", 8, "hf download org/tiny --revision v2"),
        ("hf://org/tiny@0123456789ab", 8, "org/tiny at revision '0123456789ab' is not in the Hub's cache"),
        ("hf://tiny", 3, "'hf://tiny' names no repository of the Hub, expected hf://org/name[@revision]"),
        ("hf://org/../tiny", 3, "names no repository"),
        ("hf://org/tiny@../../x", 3, "names no repository"),
        ("hf://org/ti--ny", 3, "names no repository"),
        ("runs/negativ", 3, "did you mean 'runs/negative'?"),
        ("runs/zzz", 3, "no such file or folder: 'runs/zzz'"),
        ("modle", 3, "did you mean 'model'?"),
        ("zzz", 3, "give a path, or a model of the Hub as hf://org/name"),
        ("./gone/far/away", 3, "the folder 'gone/far' is not there either"),
        ("", 3, "no such file or folder: ''"),
        ("a\0b", 3, "no such file or folder: 'a\\x00b'"),
        ("x" * 5000, 3, "no such file or folder"),
        ("~nobody-of-that-name/x", 3, "no such file or folder"),
    ],
)
@pytest.mark.usefixtures("cache")
def test_what_is_not_there_is_named_with_a_remedy(
    text: str, exit_code: int, message: str, tmp_path: Path
) -> None:
    (tmp_path / "runs" / "negative").mkdir(parents=True)
    (tmp_path / "model").mkdir()

    with pytest.raises(WeightArithError) as caught:
        locate(text)

    assert message in str(caught.value)
    assert caught.value.exit_code == exit_code


def test_a_short_commit_that_fits_two_snapshots_is_refused(cache: Path) -> None:
    (cache.parent / (COMMIT[:10] + "0" * 30)).mkdir()

    with pytest.raises(WeightArithError, match="may be any of") as caught:
        locate(f"org/tiny@{COMMIT[:8]}")

    assert caught.value.exit_code == 8
    assert locate(f"org/tiny@{COMMIT[:12]}").resolve() == cache.resolve()


def test_a_snapshot_that_lacks_some_file_is_left_to_the_index_to_judge(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def incomplete(*_: object, **__: object) -> str:
        error = LocalEntryNotFoundError("README.md is missing")
        error.snapshot_path = str(cache)  # type: ignore[attr-defined]  # as its subclass for this case has
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", incomplete)

    assert locate("org/tiny") == cache
