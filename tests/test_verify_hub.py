"""Outputs on the Hub: verified by what it lists, made again without their weights, and pulled."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests import tiny as models
from tests.cli.conftest import Run
from tests.cli.conftest import run as run  # noqa: PLC0414  (a fixture)
from tests.conftest import Tiny
from tests.hubserver import Hub
from weightarith.tensorfile.digest import sha256_of

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]


@pytest.fixture
def merged(any_hub: Hub, tiny: Tiny, tmp_path: Path, run: Run) -> Path:
    """Return a merge of two models of the Hub, published there as org/merged."""
    any_hub.add("org/base", tiny.base)
    any_hub.add("org/tuned", tiny.finetuned)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "weightarith: 1\ninputs: {base: org/base, ft: {model: org/tuned, minus: base}}\n"
        "expression: base + 0.5*ft\noutput: {shard_size: 5kB}\n"
    )
    assert run("merge", recipe, "-o", tmp_path / "merged").status == 0
    publish(any_hub, tmp_path / "merged")
    return tmp_path / "merged"


def publish(hub: Hub, folder: Path, *, hashes: bool = True, **change: Any) -> None:
    """Publish a folder as org/merged, its receipt with the SHA-256 of its weights, or with changes."""
    receipt = json.loads((folder / "weightarith.json").read_text(encoding="utf-8")) | change
    if hashes:
        receipt["sha256"] = {path.name: sha256_of(path) for path in folder.glob("*.safetensors")}
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    text = json.dumps(receipt, indent=1).encode()
    hub.add("org/merged", {**files, "weightarith.json": text, "README.md": b"# It\n"})


def weights_asked_for(hub: Hub) -> list[str]:
    return [each.path for each in hub.requests if "/resolve/" in each.path and ".safetensors" in each.path]


def spoilt(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def test_a_published_output_is_verified_without_its_weights(merged: Path, any_hub: Hub, run: Run) -> None:
    any_hub.requests.clear()

    ran = run("verify", "org/merged", "--json")

    assert ran.status == 0, ran.stderr
    commit = any_hub.refs("org/merged")["refs/heads/main"]
    assert ran.json["what"] == f"hf://org/merged@{commit}"
    assert ran.json["files"] == len(list(merged.iterdir())) - 1
    assert not [path for path in weights_asked_for(any_hub) if not path.endswith(".index.json")]


def test_a_published_output_that_was_tampered_with_is_named(merged: Path, any_hub: Hub, run: Run) -> None:
    shard = sorted(merged.glob("*.safetensors"))[0]
    any_hub.add(
        "org/merged",
        {shard.name: spoilt(shard.read_bytes()), "config.json": b"{}", "modeling.py": b"", "x/y.json": b""},
    )

    ran = run("verify", "hf://org/merged@main")

    assert ran.status == 9
    assert f"\n  '{shard.name}': SHA-256: expected {sha256_of(shard)}, found " in ran.stderr
    assert "\n  'config.json': bytes: expected 315, found 2" in ran.stderr
    assert "\n  'modeling.py': a file that the receipt does not know" in ran.stderr
    assert "\n  'x/': a file that the receipt does not know" in ran.stderr


def test_without_hashes_only_a_deep_look_sees_weights(merged: Path, any_hub: Hub, run: Run) -> None:
    shard = sorted(merged.glob("*.safetensors"))[0]
    publish(any_hub, merged, hashes=False)
    any_hub.add("org/merged", {shard.name: spoilt(shard.read_bytes())})

    shallow, deep = run("verify", "org/merged"), run("verify", "org/merged", "--deep")

    assert (shallow.status, deep.status) == (0, 9)
    assert f"Note: only the size of '{shard.name}', " in shallow.stderr
    assert f"'{shard.name}', tensor '" in deep.stderr


def test_a_published_output_is_made_again_without_its_weights(merged: Path, any_hub: Hub, run: Run) -> None:
    shutil.rmtree(merged)
    shutil.rmtree(any_hub.home / "hub")  # an empty machine
    any_hub.add("org/tuned", {"model.safetensors": b"moved on"})
    any_hub.requests.clear()

    ran = run("reproduce", "org/merged")

    assert ran.status == 0, ran.stderr
    assert not [path for path in weights_asked_for(any_hub) if "org/merged" in path and "index" not in path]


def test_a_published_output_that_is_another_is_told_by_its_first_tensor(
    merged: Path, any_hub: Hub, run: Run
) -> None:
    receipt = json.loads((merged / "weightarith.json").read_text(encoding="utf-8"))
    publish(any_hub, merged, recipe=receipt["recipe"].replace("0.5", "0.6"))
    first = next(iter(models.load(sorted(merged.glob("*.safetensors"))[0])))

    ran = run("reproduce", "org/merged")

    assert ran.status == 9
    assert f"'model-00001-of-00003.safetensors', tensor '{first}': checksum: expected " in ran.stderr


def test_an_output_is_pulled_verified_and_copied(
    merged: Path, any_hub: Hub, tmp_path: Path, run: Run
) -> None:
    planned = run("pull", "org/merged", "--dry-run")
    assert planned.stdout.startswith("would download hf://org/merged@")
    assert "  model-00001-of-00003.safetensors  " in planned.stdout

    cached = run("pull", "org/merged")
    copied = run("pull", "hf://org/merged@main", "-o", tmp_path / "out", "--json")

    assert (cached.status, copied.status) == (0, 0), copied.stderr
    folder = Path(cached.stdout.strip())
    assert folder.name == any_hub.refs("org/merged")["refs/heads/main"]
    assert copied.json["path"] == str(tmp_path / "out")
    assert copied.json["equal"] is True
    for path in merged.glob("*.safetensors"):
        there = tmp_path / "out" / path.name
        assert (there.read_bytes(), there.is_symlink()) == (path.read_bytes(), False)
    assert run("pull", "org/merged", "-o", tmp_path / "out").status == 5
    assert run("verify", tmp_path / "out").status == 0
    assert run("pull", "org/merged", "-o", tmp_path / "x.safetensors").status == 5


def test_what_was_tampered_with_is_not_copied(merged: Path, any_hub: Hub, tmp_path: Path, run: Run) -> None:
    shard = sorted(merged.glob("*.safetensors"))[0]
    any_hub.add("org/merged", {shard.name: spoilt(shard.read_bytes())})

    ran = run("pull", "org/merged", "-o", tmp_path / "out")

    assert (ran.status, ran.stdout) == (9, "")
    assert f"'{shard.name}', tensor '" in ran.stderr
    assert not (tmp_path / "out").exists()


def test_what_has_no_receipt_is_compared_with_what_the_hub_lists(any_hub: Hub, tiny: Tiny, run: Run) -> None:
    any_hub.add("org/base", tiny.base)

    pulled, verified = run("pull", "org/base"), run("verify", "org/base")

    assert (pulled.status, verified.status) == (0, 3)
    assert (
        "Note: it has no receipt, so its files were compared with the hashes that the Hub lists"
        in pulled.stderr
    )
    assert "has no receipt" in verified.stderr
    blob = (Path(pulled.stdout.strip()) / "model.safetensors").resolve()
    blob.chmod(0o644)
    blob.write_bytes(spoilt(blob.read_bytes()))
    assert "'model.safetensors': SHA-256: expected " in run("pull", "org/base").stderr


@pytest.mark.usefixtures("merged")
def test_a_vector_from_the_hub_says_in_its_header_what_it_was_measured_from(
    any_hub: Hub, tmp_path: Path, run: Run
) -> None:
    run("diff", "org/tuned", "org/base", "-o", tmp_path / "v.safetensors")
    run("diff", "org/tuned@main", "hf://org/base", "-o", tmp_path / "w.safetensors")

    told = json.loads(header(tmp_path / "v.safetensors")["weightarith.base"])
    commit = any_hub.refs("org/base")["refs/heads/main"]
    assert (told["repo"], told["revision"]) == ("org/base", commit)
    assert run("reproduce", tmp_path / "v.safetensors").status == 0
    assert run("reproduce", tmp_path / "w.safetensors", "--input", f"base={tmp_path / 'base'}").status == 0
    adapter = run(
        "compress", tmp_path / "v.safetensors", "--rank", 2, "--format", "peft", "-o", tmp_path / "a"
    )
    assert adapter.status == 0, adapter.stderr
    config = json.loads((tmp_path / "a" / "adapter_config.json").read_text(encoding="utf-8"))
    assert (config["base_model_name_or_path"], config["revision"]) == ("org/base", commit)


@pytest.mark.usefixtures("merged")
def test_a_single_file_with_its_receipt_is_an_output_too(any_hub: Hub, tmp_path: Path, run: Run) -> None:
    run("diff", "org/tuned", "org/base", "-o", tmp_path / "v.safetensors")
    files = {name: (tmp_path / name).read_bytes() for name in ("v.safetensors", "v.weightarith.json")}
    any_hub.add("org/vector", files)

    for words in (["verify"], ["verify", "--deep"], ["reproduce"]):
        for repo in ("org/vector", "hf://org/vector/v.safetensors"):
            ran = run(*words, repo)
            assert ran.status == 0, (words, repo, ran.stderr)
    pulled = run("pull", "org/vector", "-o", tmp_path / "pulled")
    assert pulled.status == 0, pulled.stderr
    assert run("reproduce", tmp_path / "pulled").status == 0


def header(path: Path) -> dict[str, str]:
    content = path.read_bytes()
    found: dict[str, Any] = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    told: dict[str, str] = found["__metadata__"]
    return told
