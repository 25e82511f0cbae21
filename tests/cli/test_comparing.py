"""compare: vectors, adapters, runs and models; tables, JSON, pictures and refusals."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from tests import tiny as models
from tests.cli.conftest import Run
from tests.conftest import Tiny
from tests.geometry.vectors import adapter_changes, differences, naive_gram


def cosine(one: dict[str, models.Array], other: dict[str, models.Array]) -> float:
    total = np.sum(list(naive_gram([one, other]).values()), axis=0)
    return float(total[0, 1] / np.sqrt(total[0, 0] * total[1, 1]))


def test_two_adapters_are_compared_in_a_table(tiny: Tiny, run: Run) -> None:
    ran = run("compare", tiny.positive, tiny.negative)

    expected = cosine(adapter_changes(tiny.positive), adapter_changes(tiny.negative))
    assert (ran.status, ran.stderr) == (0, "")
    assert ran.stdout.startswith("2 vectors, 14 tensors\n")
    assert f"  1 positive  +1.0000  {expected:+.4f}\n" in ran.stdout
    assert "in embeddings and head" in ran.stdout


def test_the_json_has_norms_products_and_cosines(tiny: Tiny, run: Run) -> None:
    found = run("compare", tiny.positive, tiny.negative, "--by", "role", "--json").json

    changes = [adapter_changes(tiny.positive), adapter_changes(tiny.negative)]
    total = np.sum(list(naive_gram(changes).values()), axis=0)
    assert found["labels"] == ["positive", "negative"]
    assert found["norms"]["negative"] == pytest.approx(float(np.sqrt(total[1, 1])), rel=1e-12)
    assert np.allclose(found["dot"], total, rtol=1e-10)
    assert found["embeddings_and_head"] == {"positive": 0, "negative": 0}
    assert found["by"] == "role"
    assert list(found["groups"]) == ["down", "gate", "k", "o", "q", "up", "v"]
    assert found["groups"]["q"]["norms"].keys() == {"positive", "negative"}


def test_models_count_as_their_difference_from_the_base(tiny: Tiny, run: Run) -> None:
    found = run("compare", tiny.finetuned, tiny.other, tiny.positive, "--base", tiny.base, "--json").json

    changes = [differences(folder, tiny.base) for folder in (tiny.finetuned, tiny.other)]
    assert found["compared"] == "vectors"
    assert found["cosine"][0][1] == pytest.approx(cosine(*changes), abs=1e-9)
    assert 0 < found["embeddings_and_head"]["other"] < 1


def test_two_models_without_a_base_are_compared_as_they_are(tiny: Tiny, run: Run) -> None:
    ran = run("compare", tiny.finetuned, tiny.base)
    found = run("compare", tiny.finetuned, tiny.base, "--json").json

    change = differences(tiny.finetuned, tiny.base)
    apart = float(np.sqrt(sum(float((each**2).sum()) for each in change.values())))
    assert ran.stdout.startswith("2 models and their difference, 21 tensors\n")
    assert found["labels"] == ["finetuned", "base", "finetuned − base"]
    assert found["norms"]["finetuned − base"] == pytest.approx(apart, rel=1e-12)


def test_a_model_among_vectors_needs_its_base(tiny: Tiny, run: Run) -> None:
    ran = run("compare", tiny.finetuned, tiny.positive)

    assert ran.status == 2
    assert "finetuned is a model, and what it was trained from is not known" in ran.stderr
    assert "--base BASE" in ran.stderr


def test_groups_of_many_vectors_leave_the_pairs_to_json(tmp_path: Path, run: Run) -> None:
    many = [models.adapter(tmp_path / f"a{seed}", seed=seed) for seed in range(5)]

    shown = run("compare", *many, "--by", "layer").stdout

    assert "(the cosines of 10 pairs: --json)" in shown
    assert "cos 1,2" in run("compare", *many[:3], "--by", "layer").stdout


def test_what_is_asked_for_beside_is_told(tiny: Tiny, run: Run) -> None:
    asked = ("--signs", "--spectrum", "--overlap", 2, "--realised", "bfloat16", "--strength", "0.1")
    words = ("compare", tiny.positive, tiny.negative, "--base", tiny.base, *asked)

    shown, found = run(*words, "--by", "layer").stdout, run(*words, "--json").json

    assert "share of elements moved the same way" in shown
    assert "overlap of the strongest directions" in shown
    assert "left of base + 0.1·v in bfloat16" in shown
    assert "  positive, 0  " in shown
    assert found["spectrum"]["positive"]["tensors"]["model.layers.0.mlp.up_proj.weight"]["rank"] == 4
    assert found["overlap"][0]["of"] == ["positive", "negative"]
    assert found["signs"]["agreement"][0][0] == 1
    assert found["realised"]["vectors"]["negative"]["gain"] == pytest.approx(1, abs=0.1)


def test_a_vector_of_no_length_has_no_cosine(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    zero = tmp_path / "zero.safetensors"
    name = "model.layers.0.self_attn.q_proj.weight"
    models.save(zero, {name: np.zeros((16, 16))}, dtype="F32", metadata={"weightarith.kind": "vector"})

    assert run("compare", tiny.positive, zero, "--json").json["cosine"][1] == [None, None]
    assert "–" in run("compare", tiny.positive, zero).stdout


@pytest.mark.parametrize(
    ("picture", "name"), [("cosines", "c.png"), ("layers", "l.svg"), ("spectrum", "s.svg")]
)
def test_pictures_are_drawn(tiny: Tiny, tmp_path: Path, run: Run, picture: str, name: str) -> None:
    place = tmp_path / name
    words = ("compare", tiny.positive, tiny.negative, "--picture", picture, "--by", "layer", "--plot", place)

    assert run(*words).status == 0
    assert place.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml")
    again = run(*words)
    assert (again.status, "exists" in again.stderr, "--overwrite" in again.stderr) == (5, True, True)
    assert run(*words, "--overwrite").status == 0


def test_what_cannot_be_drawn_or_rounded_is_refused_before_anything_is_read(
    tiny: Tiny, tmp_path: Path, run: Run
) -> None:
    other = tmp_path / "notes.svg"
    other.write_text("mine", encoding="utf-8")
    layers = ("--picture", "layers", "--plot", tmp_path / "l.svg")
    refusals = {
        ("--plot", tmp_path / "c.pdf"): (2, "names no picture"),
        ("--plot", other, "--overwrite"): (5, "is no picture"),
        ("--realised", "bfloat16"): (2, "--base BASE"),
        layers: (2, "--by layer"),
    }
    for words, (status, text) in refusals.items():
        ran = run("compare", tiny.positive, *words)
        assert (ran.status, text in ran.stderr, ran.stdout) == (status, True, ""), words
    assert other.read_text(encoding="utf-8") == "mine"
    assert run("compare", tiny.base, tiny.other, "--signs").status == 2


@pytest.fixture
def contrast(tmp_path: Path) -> Path:
    """Return the folder of a run with two adapters, the files of its training left small."""
    from weightarith.algebra import Vector
    from weightarith.saving import save
    from weightarith.train.settings import Settings

    folder = tmp_path / "run"
    sides = {side: models.adapter(folder / side, seed=seed)
             for seed, side in enumerate(("positive", "negative"), 3)}  # fmt: skip
    save(Vector.open(sides["positive"]) - Vector.open(sides["negative"]), folder / "vector.safetensors")
    row = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    line = json.dumps(row) + "\n"
    (folder / "data").mkdir()
    for side in sides:
        (folder / "data" / f"{side}.jsonl").write_text(line, encoding="utf-8")
    told = {"rows": 1, "sha256": hashlib.sha256(line.encode()).hexdigest()}
    content = {
        "weightarith_run": 1, "base": {"name": "base", "path": "../base"},
        "data": dict.fromkeys(sides, told), "settings": Settings().to_json(),
        "chosen": {"learning_rate": 1e-4, "step": 1}, "warnings": [], "versions": {},
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_a_run_counts_as_its_vector_and_tells_of_its_sides(contrast: Path, run: Run) -> None:
    shown = run("compare", contrast).stdout
    found = run("compare", contrast, contrast / "positive", "--json").json

    sides = [adapter_changes(contrast / side) for side in ("positive", "negative")]
    assert "run: its two sides" in shown
    assert "what both share, ‖τ⁺ + τ⁻‖/2" in shown
    told = found["runs"]["run"]
    assert told["cosine"] == pytest.approx(cosine(*sides), abs=1e-6)
    assert found["norms"]["run"] == pytest.approx(told["difference"], rel=1e-6)
    assert told["behaviour"] == pytest.approx(told["difference"] / 2)


def test_a_run_whose_sides_are_gone_says_so(contrast: Path, run: Run) -> None:
    (contrast / "run.json").write_text(
        (contrast / "run.json").read_text().replace('"kind": "lora"', '"kind": "full"'), encoding="utf-8"
    )
    for side in ("positive", "negative"):
        (contrast / side).rename(contrast / f"{side}-gone")

    ran = run("compare", contrast)

    assert (ran.status, "run: its two sides were discarded" in ran.stdout) == (0, True)
