"""Names of models on the Hub: what is one, what its parts are, and which names never become paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from weightarith.hub.address import Address, parse, unsafe
from weightarith.hub.cached import origin

COMMIT = "7e27bd9f95328f0f3b08261d1252705110c806f8"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("org/name", Address("org/name")),
        ("org/name@v1.0", Address("org/name", "v1.0")),
        ("org/name@feature/x", Address("org/name", "feature/x")),
        ("hf://org/name", Address("org/name")),
        ("hf://org/name/", Address("org/name")),
        ("hf://models/org/name", Address("org/name")),
        (f"hf://org/name@{COMMIT}", Address("org/name", COMMIT)),
        ("hf://org/name/v.safetensors", Address("org/name", "main", "v.safetensors")),
        ("hf://org/name@v1/sub/v.safetensors", Address("org/name", "v1", "sub/v.safetensors")),
        ("hf://org/name@refs/pr/3", Address("org/name", "refs/pr/3")),
        ("hf://org/name@refs/pr/3/sub", Address("org/name", "refs/pr/3", "sub")),
        ("hf://org/name@feature%2Fx/sub", Address("org/name", "feature/x", "sub")),
    ],
)
def test_a_name_has_a_repository_a_revision_and_a_path(text: str, address: Address) -> None:
    assert parse(text) == address


@pytest.mark.parametrize(
    "address",
    [
        Address("org/name"), Address("org/name", "v1", "a/b.json"), Address("org/name", "feature/x", "sub"),
        Address("org/name", "refs/pr/1"), Address("org/name", "main", "v.safetensors"),
    ],
)  # fmt: skip
def test_an_address_is_written_as_it_is_read(address: Address) -> None:
    assert parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "name", "a/b/c", "org/name@", "org/na--me", "org/name.git", "org/..", "./org/name", "org/name@../x",
        "hf://", "hf://name", "hf://org/name@", "hf://org/name@..", "hf://org/name@a%2F..%2Fb",
        "hf://org/name/../../etc/passwd", "hf://org/name//etc", "hf://org/name/a\\b", "hf://org/name/a\0b",
        "hf://datasets/org/name", "hf://spaces/org/name", "hf://buckets/org/name", "https://huggingface.co/a/b",
    ],
)  # fmt: skip
def test_anything_else_is_no_address(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("path", ["a", "a/b.c", "...", "a..b", "ä/ö"])
def test_ordinary_names_may_become_paths(path: str) -> None:
    assert unsafe(path) == ""


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/etc/passwd", "absolute"), ("C:/x", "absolute"), ("~/x", "absolute"), ("../x", "leads out"),
        ("a/../../x", "leads out"), ("a//b", "leads out"), ("a/./b", "leads out"), ("", "leads out"),
        ("a\\..\\b", "backslash"), ("a\0b", "control"), ("a\nb", "control"),
    ],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_must_not(path: str, why: str) -> None:
    assert why in unsafe(path)


def test_a_whole_commit_pins_and_a_branch_does_not() -> None:
    assert Address("org/name", COMMIT).pinned
    assert not Address("org/name", COMMIT[:12]).pinned


def test_a_path_in_the_cache_says_where_it_is_from(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--org--na-me" / "snapshots" / COMMIT
    (snapshot / "sub").mkdir(parents=True)
    blob = tmp_path / "models--org--na-me" / "blobs" / "0123"
    blob.parent.mkdir()
    blob.touch()
    (snapshot / "sub" / "v.safetensors").symlink_to(blob)
    (tmp_path / "link").symlink_to(snapshot)

    whole, file = Address("org/na-me", COMMIT), Address("org/na-me", COMMIT, "sub/v.safetensors")
    assert origin(snapshot) == origin(tmp_path / "link") == whole
    assert origin(snapshot / "sub" / "v.safetensors") == file
    assert origin(tmp_path / "link" / "sub" / "v.safetensors") == file
    assert origin(snapshot / "sub" / ".." / "sub" / "v.safetensors") == file
    assert origin(tmp_path) is origin(tmp_path / "models--org--na-me") is origin(blob) is None


def test_a_relative_path_in_the_cache_says_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = tmp_path / "models--org--name" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    monkeypatch.chdir(snapshot.parent)

    assert origin(Path(COMMIT)) == Address("org/name", COMMIT)
