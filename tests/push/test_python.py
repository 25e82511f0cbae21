"""push, pull, verify, reproduce and locks, from Python."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import weightarith as wa
from tests.hubserver import Hub
from tests.push import things
from tests.push.hurry import hurry

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]
RECIPE = """weightarith: 1
inputs: {base: org/base, task: hf://me/task@v1}
expression: base + 0.5*task
"""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


def test_what_was_pushed_is_pulled_verified_and_made_again(any_hub: Hub, tmp_path: Path) -> None:
    things.parents(any_hub, tmp_path)
    vector = things.vector(tmp_path)
    pushed = wa.push(vector, "me/task", tag="v1")
    assert pushed.commit == any_hub.refs("me/task")["refs/tags/v1"]

    shutil.rmtree(any_hub.home / "hub")
    there = wa.pull("me/task@v1")
    copy = wa.pull("hf://me/task", tmp_path / "copy")

    assert (there / "vector.safetensors").read_bytes() == vector.read_bytes()
    assert (copy / "vector.safetensors").read_bytes() == vector.read_bytes()
    for output in (vector, copy, "me/task"):
        assert wa.verify(output).differences == ()
        assert wa.reproduce(output).differences == ()
    assert wa.verify("me/task", deep=True).tensors > 0
    assert wa.reproduce("me/task", tmp_path / "again.safetensors").differences == ()
    assert (tmp_path / "again.safetensors").read_bytes() == vector.read_bytes()


def test_a_difference_is_a_verdict_and_a_damaged_download_an_error(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path)
    wa.push(things.vector(tmp_path), "me/task")
    content = bytearray(hub.files("me/task")["vector.safetensors"])
    content[-1] ^= 1
    hub.add("me/task", {"vector.safetensors": bytes(content)})

    (difference,) = wa.verify("me/task").differences
    assert (difference.file, difference.what) == ("vector.safetensors", "SHA-256")
    with pytest.raises(wa.VerificationError, match="is not what its receipt says"):
        wa.pull("me/task", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_recipe_is_locked_and_read_as_its_lock_has_it(any_hub: Hub, tmp_path: Path) -> None:
    things.parents(any_hub, tmp_path)
    wa.push(things.vector(tmp_path), "me/task", tag="v1")
    recipe = tmp_path / "steer.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")

    lock = wa.lock_recipe(recipe)
    before = (tmp_path / "steer.lock").read_bytes()
    assert lock.inputs["base"].commit == any_hub.refs("org/base")["refs/heads/main"]
    assert wa.lock_recipe(recipe) == lock
    any_hub.add("org/base", {"model.safetensors": b"moved on"})
    for stream in (True, False):
        read = wa.load_locked(recipe, stream=stream)
        wa.save(read.total, tmp_path / f"out-{stream}", policy=read.policy)
    made = [(tmp_path / f"out-{stream}" / "model.safetensors").read_bytes() for stream in (True, False)]
    assert made[0] == made[1]
    with pytest.raises(wa.TargetError, match="exists, and says something else"):
        wa.lock_recipe(recipe)
    wa.lock_recipe(recipe, tmp_path / "new.lock")
    assert (tmp_path / "steer.lock").read_bytes() == before
    wa.lock_recipe(recipe, overwrite=True)
    assert (tmp_path / "steer.lock").read_bytes() == (tmp_path / "new.lock").read_bytes() != before


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wa.pull("no repository"), "names no repository of the Hub, expected org/name"),
        (lambda: wa.verify(Path("conftest.py"), deep=True), "deep is for an output on the Hub"),
        (lambda: wa.reproduce("nothing/at/all"), "no such file or folder"),
    ],
)
def test_what_cannot_be_is_an_error(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(wa.WeightArithError, match=message):
        call()
