"""Locks of inputs on the Hub: nothing downloaded to write one, and branches held to the commit they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import tiny as models
from tests.cli.conftest import Run
from tests.cli.conftest import run as run  # noqa: PLC0414  (a fixture)
from tests.conftest import Tiny
from tests.hubserver import Hub
from weightarith.tensorfile.digest import git_oid_of, sha256_of

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]

RECIPE = """\
weightarith: 1
inputs: {base: org/base, ft: {model: "hf://org/tuned@main", minus: base}}
expression: base + 0.5*ft
"""


@pytest.fixture
def recipe(any_hub: Hub, tiny: Tiny, tmp_path: Path) -> Path:
    any_hub.add("org/base", tiny.base)
    any_hub.add("org/tuned", tiny.finetuned)
    path = tmp_path / "recipes" / "recipe.yaml"
    path.parent.mkdir()
    path.write_text(RECIPE, encoding="utf-8")
    return path


def lock_of(recipe: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(recipe.with_suffix(".lock").read_text(encoding="utf-8"))
    return found


def test_a_lock_holds_what_the_hub_lists_and_downloads_nothing(
    recipe: Path, any_hub: Hub, tiny: Tiny, run: Run
) -> None:
    any_hub.requests.clear()

    assert run("lock", recipe).status == 0

    base = lock_of(recipe)["inputs"]["base"]
    assert base["commit"] == any_hub.refs("org/base")["refs/heads/main"]
    assert (base["where"], base["repo"], base["revision"]) == ("org/base", "org/base", "main")
    weights, config = tiny.base / "model.safetensors", tiny.base / "config.json"
    assert base["files"]["model.safetensors"] == {
        "bytes": weights.stat().st_size,
        "sha256": sha256_of(weights),
    }
    assert base["files"]["config.json"] == {"bytes": config.stat().st_size, "git": git_oid_of(config)}
    assert not [each for each in any_hub.requests if "/resolve/" in each.path]


def test_a_branch_that_moved_on_still_means_the_locked_commit(
    recipe: Path, any_hub: Hub, tiny: Tiny, tmp_path: Path, run: Run
) -> None:
    run("lock", recipe)
    assert run("merge", recipe, "-o", tmp_path / "before").status == 0
    locked = lock_of(recipe)["inputs"]["ft"]["commit"]
    moved = any_hub.add("org/tuned", tiny.other)

    checked = run("lock", recipe, "--check")
    assert checked.status == 9
    assert f"\n  input ft: commit: expected {locked}, found {moved}" in checked.stderr
    assert "\n  ft/model.safetensors: expected " in checked.stderr

    assert run("merge", recipe, "--locked", "-o", tmp_path / "after").status == 0
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "after" / name).read_bytes() == (tmp_path / "before" / name).read_bytes()
    told = json.loads((tmp_path / "after" / "weightarith.json").read_text(encoding="utf-8"))["inputs"]
    assert {each["label"]: each["hub"]["commit"] for each in told}["ft"] == locked
    assert all(each["files"]["model.safetensors"]["sha256"] for each in told)


def test_a_locked_merge_on_an_empty_machine_fetches_the_locked_commit(
    recipe: Path, any_hub: Hub, tiny: Tiny, tmp_path: Path, run: Run
) -> None:
    run("lock", recipe)
    any_hub.add("org/tuned", tiny.other)

    assert run("merge", recipe, "--locked", "-o", tmp_path / "out").status == 0

    base, tuned = (models.load(each / "model.safetensors") for each in (tiny.base, tiny.finetuned))
    out = models.load(tmp_path / "out" / "model.safetensors")
    name = "model.norm.weight"
    assert abs(out[name] - (base[name] + tuned[name]) / 2).max() < 1e-3


def test_a_spoilt_lock_or_a_spoilt_cache_is_named(recipe: Path, tmp_path: Path, run: Run) -> None:
    run("lock", recipe)
    lock = lock_of(recipe)
    lock["inputs"]["base"]["files"]["model.safetensors"]["sha256"] = "0" * 64
    lock["inputs"]["ft"]["files"]["config.json"]["git"] = "0" * 40
    lock["inputs"]["ft"]["files"]["missing.json"] = {"bytes": 2, "git": "0" * 40}
    recipe.with_suffix(".lock").write_text(json.dumps(lock), encoding="utf-8")

    ran = run("merge", recipe, "--locked", "-o", tmp_path / "out")

    assert ran.status == 9
    assert f"\n  base/model.safetensors: expected 14,016 bytes, SHA-256 {'0' * 64}, found " in ran.stderr
    assert "\n  ft/config.json: expected 315 bytes, git object 000" in ran.stderr
    assert f"\n  ft/missing.json: expected 2 bytes, git object {'0' * 40}, found no file" in ran.stderr


def test_a_file_in_a_repository_is_locked_alone(any_hub: Hub, tiny: Tiny, tmp_path: Path, run: Run) -> None:
    run("diff", tiny.finetuned, tiny.base, "-o", tmp_path / "v.safetensors")
    content = (tmp_path / "v.safetensors").read_bytes()
    any_hub.add(
        "org/vectors", {"some/v.safetensors": content, "some/w.safetensors": content, "config.json": b"{}"}
    )
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        'weightarith: 1\ninputs: {v: "hf://org/vectors/some/v.safetensors", b: ./base}\nexpression: b + v\n'
    )

    assert run("lock", recipe).status == 0

    told = lock_of(recipe)["inputs"]["v"]
    assert (list(told["files"]), told["path"]) == (["v.safetensors"], "some/v.safetensors")
    assert run("merge", recipe, "--locked", "-o", tmp_path / "out").status == 0


@pytest.mark.usefixtures("any_hub")
def test_what_the_hub_lacks_is_named_with_the_line_of_the_recipe(tmp_path: Path, run: Run) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text("weightarith: 1\ninputs:\n  b: org/none\nexpression: b\n", encoding="utf-8")
    missing = run("lock", recipe)
    recipe.write_text("weightarith: 1\ninputs:\n  b: a/b/c\nexpression: b\n", encoding="utf-8")
    nothing = run("lock", recipe)

    assert (missing.status, nothing.status) == (8, 3)
    assert f"{recipe}:3:6: input b: listing org/none" in missing.stderr
    assert f"{recipe}:3:6: input b: no such file or folder: 'a/b/c'" in nothing.stderr


def weights_of(hub: Hub) -> list[str]:
    """Return the requests for files of weights whole."""
    asked = [one for one in hub.requests if "/resolve/" in one.path and ".safetensors" in one.path]
    return [one.path for one in asked if one.method == "GET" and "range" not in one.headers]


def test_a_locked_merge_may_leave_the_weights_on_the_hub(
    recipe: Path, any_hub: Hub, tiny: Tiny, tmp_path: Path, run: Run
) -> None:
    run("lock", recipe)
    any_hub.add("org/tuned", tiny.other)  # the branch moves
    any_hub.requests.clear()

    streamed = run("merge", recipe, "--locked", "--stream", "-o", tmp_path / "streamed")
    assert streamed.status == 0, streamed.stderr
    assert weights_of(any_hub) == []
    assert not list((any_hub.home / "hub").rglob("*.safetensors"))
    assert run("merge", recipe, "--locked", "-o", tmp_path / "downloaded").status == 0

    made = [tmp_path / way for way in ("streamed", "downloaded")]
    files = {path.name for path in made[0].iterdir()}
    assert files == {path.name for path in made[1].iterdir()}
    for name in files - {"weightarith.json"}:
        assert (made[0] / name).read_bytes() == (made[1] / name).read_bytes()
    told = [json.loads((place / "weightarith.json").read_text(encoding="utf-8"))["inputs"] for place in made]
    assert [[one["files"] for one in each] for each in told[:1]] == [[one["files"] for one in told[1]]]


def test_a_spoilt_lock_is_named_before_a_weight_is_streamed(
    recipe: Path, any_hub: Hub, tmp_path: Path, run: Run
) -> None:
    run("lock", recipe)
    lock = lock_of(recipe)
    files = lock["inputs"]["base"]["files"]
    expected = files["model.safetensors"]["sha256"]
    files["model.safetensors"]["sha256"] = "0" * 64
    files["extra.json"] = {"bytes": 2, "git": "0" * 40}
    lock["inputs"]["ft"]["files"].pop("config.json")
    recipe.with_suffix(".lock").write_text(json.dumps(lock), encoding="utf-8")
    any_hub.requests.clear()

    ran = run("merge", recipe, "--locked", "--stream", "-o", tmp_path / "out")

    assert ran.status == 9
    assert (
        f"\n  base/model.safetensors: expected 14,016 bytes, SHA-256 {'0' * 64}, found 14,016 bytes, "
        f"SHA-256 {expected}\n"
    ) in ran.stderr
    assert f"\n  base/extra.json: expected 2 bytes, git object {'0' * 40}, found no file\n" in ran.stderr
    assert "\n  ft/config.json: expected no file, found 315 bytes, git object " in ran.stderr
    assert not [one for one in any_hub.requests if ".safetensors" in one.path]


def test_a_mergekit_document_is_locked_without_a_download(
    any_hub: Hub, tiny: Tiny, tmp_path: Path, run: Run
) -> None:
    any_hub.add("org/base", tiny.base)
    document = tmp_path / "mergekit.yaml"
    document.write_text(
        "merge_method: linear\nmodels: [{model: org/base, parameters: {weight: [1, 2]}}]\ndtype: bfloat16\n"
    )
    ran = run("lock", document)

    assert ran.status == 0, ran.stderr
    assert weights_of(any_hub) == []
