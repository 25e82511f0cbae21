"""Outputs made again from their receipts: the same bytes, or what is in the way named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import tiny as models
from tests.conftest import Tiny
from tests.test_verify import edited, flip, only
from weightarith.algebra import Checkpoint, Vector
from weightarith.engine.settings import Policy
from weightarith.errors import InvalidFileError, RecipeError, UnsupportedError, VerificationError
from weightarith.lowrank import export_adapter, save_compressed
from weightarith.operators.table import OPERATORS
from weightarith.proof import other_versions, reproduce
from weightarith.recipe.written import recipe_of
from weightarith.saving import save
from weightarith.store.stage import receipt_path
from weightarith.weighting import ONE, Rule, Selection


@pytest.fixture
def change(tiny: Tiny) -> Any:
    base = Checkpoint.open(tiny.base, label="my-base")
    return Checkpoint.open(tiny.finetuned, label="tuned") - base


def made(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(receipt_path(path).read_text(encoding="utf-8"))
    return found


def test_what_python_saved_is_made_again(tmp_path: Path, tiny: Tiny, change: Any) -> None:
    base = Checkpoint.open(tiny.base, label="my-base")
    other = Checkpoint.open(tiny.other, label="1 other")
    v, w = Vector.open(tiny.positive, label="refusal+"), Vector.open(tiny.negative, label="mean")
    ties, dare, project = (OPERATORS[name] for name in ("ties", "dare", "project"))
    sums = {
        "thirds": base + change / 3 - 0.1 * v,
        "cancelled": base + other - base,
        "adapters": 2 * v - w,
        "ties": base + ties([change, other - base, 2 * v], density=[0.2, 0.5, 1]),
        "dare": dare(change - w, density=0.5, seed=7),
        "project": project(change, onto=[v, w], over="model"),
        "nothing": 0 * change,
    }
    for name, total in sums.items():
        save(total, tmp_path / name, dtype="bfloat16" if name == "dare" else None)

        assert reproduce(tmp_path / name).differences == (), name
    assert sorted(path.name for path in tmp_path.glob(".*")) == []


def test_the_form_of_an_output_is_made_again(tmp_path: Path, tiny: Tiny, change: Any) -> None:
    base, other = Checkpoint.open(tiny.base, label="my-base"), Checkpoint.open(tiny.other, label="other")
    save(change, tmp_path / "sign", encoding="sign", shard_size=5_000)
    save(base + change, tmp_path / "like", like=other, tokenizer="tuned", chat_template="{{ 'é\n' }}")
    (tiny.finetuned / "extra").mkdir()
    save(base + change, tmp_path / "policy", policy=Policy(nonfinite="allow"), dtype="float16")

    for name in ("sign", "like", "policy"):
        assert reproduce(tmp_path / name).differences == (), name
    assert "nonfinite: allow" in made(tmp_path / "policy")["recipe"]
    assert "like: other" in made(tmp_path / "like")["recipe"]


def test_what_was_compressed_is_made_again(tmp_path: Path, change: Any) -> None:
    save_compressed(change, tmp_path / "thin", rank=2, dtype="bfloat16")
    save_compressed(change, tmp_path / "energy.safetensors", energy=0.9)
    export_adapter(change, tmp_path / "adapter", rank=3)

    for name in ("thin", "energy.safetensors", "adapter"):
        assert reproduce(tmp_path / name).differences == (), name
    flip(tmp_path / "adapter-residual.safetensors", 2_000)
    assert only(reproduce(tmp_path / "adapter")).file == "adapter-residual.safetensors"
    with pytest.raises(UnsupportedError, match="what adapter could not carry"):
        reproduce(tmp_path / "adapter-residual.safetensors")


def test_the_first_tensor_that_differs_is_named(tmp_path: Path, change: Any) -> None:
    save(change, tmp_path / "v.safetensors")
    flip(tmp_path / "v.safetensors", (tmp_path / "v.safetensors").stat().st_size - 2)
    last = list(models.load(tmp_path / "v.safetensors"))[-1]

    difference = only(reproduce(tmp_path / "v.safetensors"))

    assert (difference.file, difference.tensor) == ("v.safetensors", last)
    assert "from byte" in difference.found


def test_what_is_made_is_kept_where_that_is_asked_for(tmp_path: Path, change: Any) -> None:
    save(change, tmp_path / "v")

    reproduce(tmp_path / "v", tmp_path / "again")

    for name in ("vector.safetensors", "weightarith.json"):  # the receipt is the same, too
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "v" / name).read_bytes()


def test_inputs_that_moved_are_given_and_must_be_the_same(tmp_path: Path, tiny: Tiny, change: Any) -> None:
    save(change, tmp_path / "v")
    tiny.base.rename(tmp_path / "moved")

    with pytest.raises(InvalidFileError, match=r"my-base: no such file or folder") as missing:
        reproduce(tmp_path / "v")
    assert "--input 'my-base=PATH'" in missing.value.hint
    with pytest.raises(
        RecipeError, match="no input is called 'base'; inputs are 'my-base', 'my_base', 'tuned'"
    ):
        reproduce(tmp_path / "v", given={"base": "x"})
    assert reproduce(tmp_path / "v", given={"my-base": str(tmp_path / "moved")}).differences == ()
    assert reproduce(tmp_path / "v", given={"my_base": str(tmp_path / "moved")}).differences == ()


def test_another_input_is_refused_before_any_work(tmp_path: Path, change: Any) -> None:
    save(change, tmp_path / "v")
    models.checkpoint(tmp_path / "wide", models.weights(depth=3))

    with pytest.raises(VerificationError) as raised:
        reproduce(tmp_path / "v", tmp_path / "again", given={"my-base": str(tmp_path / "wide")})

    assert "'my-base/model.safetensors': bytes: expected" in str(raised.value)
    assert not (tmp_path / "again").exists()


def test_an_input_whose_hash_is_known_is_hashed_first(tmp_path: Path, tiny: Tiny, change: Any) -> None:
    from weightarith.tensorfile.digest import sha256_of

    save(change, tmp_path / "v")
    file = tiny.base / "model.safetensors"
    known = sha256_of(file)
    edited(tmp_path / "v", lambda receipt: receipt["inputs"][0]["files"][file.name].update(sha256=known))
    assert reproduce(tmp_path / "v").differences == ()
    flip(file, file.stat().st_size - 1)

    with pytest.raises(VerificationError, match=rf"'my-base/model.safetensors': SHA-256: expected {known}"):
        reproduce(tmp_path / "v")


def test_another_version_of_the_tool_is_told(tmp_path: Path, change: Any) -> None:
    save(change, tmp_path / "v")
    assert other_versions(made(tmp_path / "v")) == []
    edited(tmp_path / "v", lambda receipt: receipt.update(weightarith="0.0.1"))
    edited(tmp_path / "v", lambda receipt: receipt["numerics"].update(rounding="twice"))

    first, second = other_versions(made(tmp_path / "v"))

    assert first.startswith("weightarith: 0.0.1 then, ")
    assert second == "rounding: twice then, once, to nearest even now"


def test_what_no_expression_can_say_is_told_so(tmp_path: Path, change: Any) -> None:
    part = change.weighted(Selection((Rule(ONE, layers=(0, 0)),), ONE * 0))
    save(part, tmp_path / "part")

    assert made(tmp_path / "part")["recipe"] == ""
    with pytest.raises(UnsupportedError, match="holds no recipe"):
        reproduce(tmp_path / "part")


def test_awkward_names_become_names_that_an_expression_can_hold(tiny: Tiny) -> None:
    from weightarith.engine.settings import Output

    labels = ["a b", "a_b", "7", "mean", 'qu"ote', "vec-"]
    total = sum(
        (Vector.open(tiny.positive, label=labels[0]) * 1,), 0 * Vector.open(tiny.negative, label="mean")
    )
    written = recipe_of(total, Output(Path("x")), Policy())

    assert written is not None
    assert written.names == {"a b": "a_b", "mean": "mean_"}
    assert "expression: a_b + 0·mean_" in written.text
