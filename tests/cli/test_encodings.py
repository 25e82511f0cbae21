"""Vectors in fewer bits on the command line and in recipes: written, shown, applied, and their loss told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import tiny as models
from tests.cli.conftest import Run
from tests.conftest import Tiny
from tests.packed import naive
from weightarith.store import open_source

Q = "model.layers.0.self_attn.q_proj.weight"
KINDS = ("sign", "int8", "sparse")


@pytest.mark.parametrize("kind", KINDS)
def test_a_difference_is_written_encoded_shown_and_applied(
    kind: str, tiny: Tiny, tmp_path: Path, run: Run
) -> None:
    vector = tmp_path / "v.safetensors"
    made = run("diff", tiny.finetuned, tiny.base, "-o", vector, "--encoding", kind)
    shown = run("inspect", vector, "--tensors")
    found = run("inspect", vector, "--json").json
    applied = run("apply", tiny.base, vector, "-o", tmp_path / "out", "--dtype", "float64")

    assert (made.status, shown.status, applied.status) == (0, 0, 0)
    assert f"left after encoding as {kind} (gain " in made.stderr
    assert f"  encoded     {kind} ×16\n" in shown.stdout
    assert f"16 × 16 as {kind}" in shown.stdout
    assert found["encodings"] == {kind: 16}
    held = {name: naive(one) for name, one in open_source(vector).encoded.items()}
    assert found["tensors"][Q]["encoding"] == kind
    assert found["tensors"][Q]["norm"] == pytest.approx(float(np.linalg.norm(held[Q])), rel=1e-12)
    assert found["norms"]["by_role"]["q"] > 0
    weights, result = models.load(tiny.base), models.load(tmp_path / "out")
    for name, change in held.items():
        np.testing.assert_array_equal(result[name], weights[name] + change)


def test_the_loss_of_signs_is_warned_of(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    ran = run("diff", tiny.finetuned, tiny.base, "-o", tmp_path / "s.safetensors", "--encoding", "sign")
    other = run("diff", tiny.finetuned, tiny.base, "-o", tmp_path / "i.safetensors", "--encoding", "int8")

    assert "the encoding sign lost part of the change; without one all of it is kept" in ran.stderr
    assert "lost part" not in other.stderr


def test_a_dry_run_says_that_a_sparse_vector_is_counted_first(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    words = ("diff", tiny.finetuned, tiny.base, "-o", tmp_path / "v.safetensors", "--dry-run", "--encoding")
    shown, found = run(*words, "sparse"), run(*words, "sparse", "--json").json
    plain = run(*words, "int8", "--json").json

    assert "writes at most " in shown.stdout
    assert "a pass before that reads " in shown.stdout
    assert "to count the elements that are not zero" in shown.stdout
    assert 0 < found["counting_bytes"] < found["read_bytes"]
    assert plain["counting_bytes"] == 0
    assert plain["write_bytes"] < found["write_bytes"] / 4
    assert not (tmp_path / "v.safetensors").exists()
    assert "at most" not in run(*words, "int8").stdout


def test_counting_is_told_and_the_written_bytes_are_the_counted_ones(
    tiny: Tiny, tmp_path: Path, run: Run
) -> None:
    target = tmp_path / "v.safetensors"
    ran = run("diff", tiny.finetuned, tiny.base, "-o", target, "--encoding", "sparse", "--json")

    assert "counting the elements that are not zero" in ran.stderr
    assert ran.json["files"] == {"v.safetensors": target.stat().st_size}


def test_a_recipe_names_the_encoding_and_the_command_line_another(
    tiny: Tiny, tmp_path: Path, run: Run
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"weightarith: 1\ninputs: {{base: {tiny.base}, ft: {tiny.finetuned}}}\nexpression: ft − base\n"
        "output: {path: v.safetensors, encoding: int8}\n",
        encoding="utf-8",
    )

    assert run("merge", recipe).status == 0
    assert run("merge", recipe, "--encoding", "sign", "-o", tmp_path / "s.safetensors").status == 0

    assert open_source(tmp_path / "v.safetensors").encoded[Q].kind == "int8"
    assert open_source(tmp_path / "s.safetensors").encoded[Q].kind == "sign"
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("int8", "int4"), encoding="utf-8")
    refused = run("merge", recipe)
    assert refused.status == 2
    assert "int4" in refused.stderr
    assert "sign or int8 or sparse" in refused.stderr


def test_a_model_is_not_encoded(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"weightarith: 1\ninputs: {{base: {tiny.base}}}\nexpression: base\noutput: {{path: out}}\n", "utf-8"
    )

    refused = run("merge", recipe, "--encoding", "int8")

    assert refused.status == 2
    assert "the encoding int8 is one of vectors, and the result is a model" in refused.stderr
    assert run("apply", tiny.base, tiny.positive, "-o", tmp_path / "o", "--encoding", "int8").status == 2


def test_a_file_of_kohya_is_shown_and_applied(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    down, up = np.full((2, 16), 0.5), np.full((16, 2), 0.25)
    module = "lora_te_model_layers_0_self_attn_q_proj"
    models.save(
        tmp_path / "k.safetensors",
        {
            f"{module}.lora_down.weight": down,
            f"{module}.lora_up.weight": up,
            f"{module}.alpha": np.array(4.0),
        },
        dtype="F32",
    )

    assert "factored   rank 2 ×1" in run("inspect", tmp_path / "k.safetensors").stdout
    ran = run("apply", tiny.base, tmp_path / "k.safetensors", "-o", tmp_path / "out", "--dtype", "float64")

    assert ran.status == 0
    weights, made = models.load(tiny.base), models.load(tmp_path / "out")
    np.testing.assert_allclose(made[Q], weights[Q] + 2.0 * up @ down, rtol=1e-12)
    assert run("scale", tmp_path / "k.safetensors", "2", "-o", tmp_path / "v.safetensors").status == 0
    assert open_source(tmp_path / "v.safetensors").own_names
