"""Runs, adapters, recipes and results, as they are pushed."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from tests.card.test_card import SWEEP
from tests.hubserver import Hub
from tests.push import things
from tests.push.hurry import hurry
from weightarith.algebra import Vector
from weightarith.errors import InvalidFileError, RecipeError, UnsupportedError, WeightArithError
from weightarith.hub import locate
from weightarith.hub.address import Address
from weightarith.proof.remote import verify_published
from weightarith.publish import Wish, carry_out, draw
from weightarith.train.start import Start
from weightarith.train.vectors import write_vector

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]
REPO = "me/thing"
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 50


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


def a_run(folder: Path) -> Path:
    """Return the run of a contrast on the base that is on the Hub."""
    run = folder / "run"
    start = Start.of(str(locate(f"hf://{things.BASE}")))
    sides = {side: tiny.adapter(run / side, seed=seed) for seed, side in enumerate(("positive", "negative"))}
    for place in sides.values():
        config = json.loads((place / "adapter_config.json").read_text())
        config |= {"base_model_name_or_path": start.name, "revision": start.revision}
        (place / "adapter_config.json").write_text(json.dumps(config))
    (run / "data").mkdir()
    data: dict[str, Any] = {}
    for side in sides:
        (run / "data" / f"{side}.jsonl").write_text('{"secret": "training data"}\n')
        told = sha256((run / "data" / f"{side}.jsonl").read_bytes()).hexdigest()
        data[side] = {"rows": 1, "sha256": told}
    training = {"kind": "lora", "rank": 4, "learning_rate": 0.01, "step": 7, "seed": 0, "data": data}
    opened = {side: Vector.open(path, label=side) for side, path in sides.items()}
    write_vector(
        opened["positive"] - opened["negative"], run / "vector.safetensors", start=start, training=training
    )
    about = {"name": start.name, "revision": start.revision, "path": "/home/max/base"}
    chosen = {"learning_rate": 0.01, "step": 7}
    settings = {"kind": "lora", "rank": 4, "seed": 0}
    run_json = {"weightarith_run": 1, "base": about, "data": data, "settings": settings, "chosen": chosen}
    (run / "run.json").write_text(json.dumps(run_json))
    (run / "training.json").write_text('{"weightarith_training": 1}')
    (run / "weightarith.json").write_text('{"receipt": 1, "kind": "run"}')
    return run


def test_of_a_run_the_vector_is_pushed_and_never_the_data(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path)
    run = a_run(tmp_path)
    plan = draw(run, Wish(REPO))
    carry_out(plan)
    files = hub.files(REPO)
    assert set(files) - {".gitattributes"} == {
        "vector.safetensors", "weightarith.json", "training.json", "meta.yaml", "README.md",
    }  # fmt: skip
    assert not any(b'training data"' in content for content in files.values())
    assert {one.name: one.why for one in plan.left_out}["data/"] == "training data"
    card = files["README.md"].decode()
    assert "base_model: org/base\nbase_model_relation: adapter\n" in card
    assert "| learning rate | 0.01 |" in card
    assert "| `positive` | adapter | not published | 1 | a side of the contrast |" in card
    assert verify_published(Address(REPO), deep=True).differences == ()


def test_of_a_run_one_side_is_pushed_as_an_adapter(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path)
    carry_out(draw(a_run(tmp_path), Wish(REPO, part="positive")))
    files = hub.files(REPO)
    assert {"adapter_model.safetensors", "adapter_config.json", "training.json"} < set(files)
    assert "library_name: peft" in files["README.md"].decode()
    assert "vector.safetensors" not in files
    assert verify_published(Address(REPO)).differences == ()


def test_the_name_of_the_repository_tells_what_a_contrast_is_about(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path)
    run = a_run(tmp_path)
    assert "“sycophancy”" in draw(run, Wish("me/sycophancy-vector")).card
    assert "WARNING" not in draw(run, Wish("me/terse-vector")).card


def test_results_of_a_sweep_go_onto_the_card_with_their_pictures(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path)
    run = a_run(tmp_path)
    for place in (run / "sweep", tmp_path / "other"):
        place.mkdir()
        (place / "sweep.json").write_text(json.dumps({**SWEEP, "base": "/home/max/base"}))
        (place / "curve.png").write_bytes(PNG)
        (place / "strength.png").write_bytes(b"no picture")
    found = draw(run, Wish(REPO))
    assert "| **1** | 60 % (40 to 90) | 0.1 | – |" in found.card
    assert "![curve](./curve.png)" in found.card
    assert "strength" not in {item.name for item in found.items}
    carry_out(found)
    assert hub.files(REPO)["curve.png"] == PNG
    assert draw(things.vector(tmp_path), Wish("me/two", results=tmp_path / "other")).content.pictures
    (run / "again").mkdir()
    (run / "again" / "sweep.json").write_text(json.dumps(SWEEP))
    with pytest.raises(InvalidFileError, match="holds 2 sweeps"):
        draw(run, Wish(REPO))


def test_an_adapter_says_that_its_residual_is_not_in_it(hub: Hub, tmp_path: Path) -> None:
    from weightarith.lowrank import export_adapter

    things.parents(hub, tmp_path)
    base = things.opened(things.BASE)
    export_adapter(things.opened(things.TUNED) - base, tmp_path / "adapter", rank=4, base=base)
    plan = draw(tmp_path / "adapter", Wish(REPO))
    assert "'adapter-residual.safetensors' is no part of what is pushed" in plan.warnings[0]
    assert "what no LoRA carries" in plan.card
    assert 'PeftModel.from_pretrained(base, "me/thing")' in plan.card


RECIPE = (
    "weightarith: 1\ninputs:\n  base: org/base\n  safety: {model: 'hf://org/tuned', minus: base}\n"
    "expression: base − 0.5*safety\noutput: {path: /scratch/out}\n"
)


def test_a_recipe_is_pushed_with_its_lock_and_no_weights(hub: Hub, tmp_path: Path) -> None:
    from weightarith.lock import lock_of, write_lock

    things.parents(hub, tmp_path)
    path = tmp_path / "steer.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    write_lock(tmp_path / "steer.lock", lock_of(path), overwrite=False)
    carry_out(draw(path, Wish(REPO)))
    files = hub.files(REPO)
    assert set(files) - {".gitattributes"} == {
        "recipe.yaml", "recipe.lock", "README.md", "weightarith.json",
    }  # fmt: skip
    assert files["recipe.yaml"].decode() == RECIPE.replace("/scratch/out", '"./out"')
    card = files["README.md"].decode()
    assert "base_model:\n- org/base\n- org/tuned\n" in card
    assert "`safety`, which speaks of “safety”, was subtracted." in card
    assert hub.refs("org/base")["refs/heads/main"] in card
    assert "--locked" in card
    assert carry_out(draw(path, Wish(REPO))).changed == ()
    assert verify_published(Address(REPO)).differences == ()


def test_a_recipe_of_files_on_this_machine_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "steer.yaml"
    path.write_text(RECIPE.replace("org/base", "./base"), encoding="utf-8")
    with pytest.raises(RecipeError, match=r"input base is './base', which is on this machine alone"):
        draw(path, Wish(REPO))


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("missing", InvalidFileError, "no such file or folder"),
        ("v.gguf", InvalidFileError, "has no receipt"),
        ("w.gguf", UnsupportedError, "the receipt beside '.*w.gguf' is none of an adapter in GGUF"),
        ("base", InvalidFileError, "has no receipt"),
        ("single.safetensors", InvalidFileError, "has no receipt"),
    ],
)
def test_what_is_no_output_is_not_pushed(
    tmp_path: Path, name: str, error: type[WeightArithError], message: str
) -> None:
    tiny.checkpoint(tmp_path / "base", tiny.weights())
    tiny.save(tmp_path / "single.safetensors", tiny.weights(), metadata={"weightarith.kind": "vector"})
    (tmp_path / "v.gguf").write_bytes(b"GGUF")
    (tmp_path / "w.gguf").write_bytes(b"GGUF")
    (tmp_path / "w.weightarith.json").write_text('{"receipt": 1, "kind": "vector", "files": {"w.gguf": 4}}')
    with pytest.raises(error, match=message):
        draw(tmp_path / name, Wish(REPO))


def test_a_part_of_what_is_no_run_is_refused(tmp_path: Path) -> None:
    tiny.checkpoint(tmp_path / "base", tiny.weights())
    with pytest.raises(RecipeError, match="is no run, and only a run has parts"):
        draw(tmp_path / "base", Wish(REPO, part="vector"))
