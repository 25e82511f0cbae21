"""inspect: models, vectors and adapters, and strangers' files that would rather not be read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests import tiny as models
from tests.cli.conftest import Run
from tests.conftest import Tiny

Q = "model.layers.0.self_attn.q_proj.weight"


@pytest.fixture
def vector(tiny: Tiny, tmp_path: Path, run: Run) -> Path:
    run("diff", tiny.finetuned, tiny.base, "-o", tmp_path / "task.safetensors")
    return tmp_path / "task.safetensors"


def norm(*arrays: models.Array) -> float:
    return float(np.sqrt(sum(float((array.astype(np.float64) ** 2).sum()) for array in arrays)))


def test_a_model_is_shown_with_sizes_and_norms(tiny: Tiny, run: Run) -> None:
    ran = run("inspect", tiny.base)

    weights = models.load(tiny.base)
    elements = sum(values.size for values in weights.values())
    assert (ran.status, ran.stderr) == (0, "")
    assert ran.stdout.startswith(f"{tiny.base}: checkpoint, 21 tensors of {elements:,} elements, ")
    assert "  stored as  BF16 ×21\n" in ran.stdout
    assert f"  norm       {norm(*weights.values()):.6g}\n" in ran.stdout
    assert f"    outside  {norm(*(v for n, v in weights.items() if 'layers' not in n)):.6g}\n" in ran.stdout


def test_the_json_of_a_model_holds_every_tensor(tiny: Tiny, run: Run) -> None:
    found = run("inspect", tiny.base, "--json").json

    weights = models.load(tiny.base)
    assert found["kind"] == "checkpoint"
    assert found["dtypes"] == {"BF16": 21}
    assert found["norms"]["total"] == pytest.approx(norm(*weights.values()), rel=1e-12)
    assert list(found["norms"]["by_layer"]) == ["outside", "0", "1"]
    assert found["tensors"][Q]["norm"] == pytest.approx(norm(weights[Q]), rel=1e-12)
    assert found["tensors"][Q]["shape"] == [16, 16]
    assert found["tensors"].keys() == weights.keys()


def test_a_vector_tells_what_it_was_made_of_in_words(vector: Path, run: Run) -> None:
    shown = run("inspect", vector).stdout

    assert "  expression  finetuned − base\n" in shown
    assert "  parents     base (checkpoint, " in shown
    assert "  base        name base, space " in shown
    assert not set('{}[]"') & set(shown.removeprefix(str(vector)))
    assert run("inspect", vector, "--json").json["provenance"]["base"]["name"] == "base"


def test_the_norms_of_an_adapter_are_those_of_what_it_changes(tiny: Tiny, run: Run) -> None:
    found = run("inspect", tiny.positive, "--json").json

    lowrank = models.load(tiny.positive)
    prefix = "base_model.model.model.layers.0.self_attn.q_proj"
    change = 2 * lowrank[f"{prefix}.lora_B.weight"].astype(np.float64) @ lowrank[f"{prefix}.lora_A.weight"]
    assert found["tensors"][Q]["norm"] == pytest.approx(norm(change), rel=1e-12)
    assert found["tensors"][Q]["rank"] == 4
    assert found["ranks"] == {"4": 14}
    assert "  factored   rank 4 ×14\n" in run("inspect", tiny.positive, "--headers").stdout


def test_what_an_adapter_trained_whole_is_named_and_not_measured(
    tiny: Tiny, tmp_path: Path, run: Run
) -> None:
    folder = tmp_path / "whole"
    folder.mkdir()
    tensors = models.load(tiny.positive) | {"base_model.model.lm_head.weight": np.ones((40, 16), np.float32)}
    models.save(folder / "adapter_model.safetensors", tensors, dtype="F32")
    config = json.loads((tiny.positive / "adapter_config.json").read_text()) | {
        "modules_to_save": ["lm_head"]
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))

    ran, found = run("inspect", folder, "--tensors"), run("inspect", folder, "--json").json

    assert "trained whole  lm_head\n" in ran.stdout
    assert found["tensors"]["lm_head.weight"] == {"dtype": "F32", "shape": [40, 16], "trained_whole": True}
    assert found["norms"] == run("inspect", tiny.positive, "--json").json["norms"]


def test_headers_alone_read_no_weight(tiny: Tiny, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("weightarith.tensorfile.reader.OpenFile.read_into", read)

    found = run("inspect", tiny.base, "--headers", "--json").json
    assert "norms" not in found
    assert "norm" not in found["tensors"][Q]


def test_a_line_a_tensor_lines_up(tiny: Tiny, run: Run) -> None:
    lines = run("inspect", tiny.base, "--headers", "--tensors").stdout.splitlines()[2:]

    assert len(lines) == 21
    assert len({line.index("BF16") for line in lines}) == 1
    assert f"  {Q:<46}  BF16  16 × 16" in lines


def test_equal_numbers_of_any_number_of_threads(tiny: Tiny, run: Run) -> None:
    shown = [run("inspect", tiny.base, "--threads", threads, "--json").stdout for threads in (1, 2, 5)]

    assert shown[0] == shown[1] == shown[2]


def test_nan_and_infinity_are_counted_and_named(tmp_path: Path, run: Run) -> None:
    models.save(
        tmp_path / "m.safetensors", {"fine": np.ones(2), "bad": np.array([np.nan, 3, -np.inf])}, dtype="F32"
    )

    ran = run("inspect", tmp_path / "m.safetensors", "--json")

    assert ran.stderr == "Warning: 2 elements NaN or infinite, counted as 0 here, in 'bad'\n"
    assert ran.json["tensors"]["bad"]["norm"] == 3
    assert ran.json["tensors"]["bad"]["nonfinite"] == 2


def test_a_norm_above_the_largest_number_is_null_in_json(tmp_path: Path, run: Run) -> None:
    models.save(tmp_path / "m.safetensors", {"w": np.full(4, 1.7e308)}, dtype="F64")

    assert run("inspect", tmp_path / "m.safetensors", "--json").json["norms"]["total"] is None
    assert "norm       too large for a float64" in run("inspect", tmp_path / "m.safetensors").stdout


HOSTILE = "a\x1b[2J\nb\u202e"


def test_hostile_metadata_move_no_cursor_and_pass_for_nothing_of_ours(tmp_path: Path, run: Run) -> None:
    metadata = {
        HOSTILE: HOSTILE * 100, "norm": "1e9", "stored as": "gold",
        "weightarith.expression": HOSTILE, "weightarith.parents": "[" * 90_000,
    }  # fmt: skip
    models.save(tmp_path / "m.safetensors", {"w": np.ones(3)}, metadata=metadata)

    shown = run("inspect", tmp_path / "m.safetensors", "--tensors").stdout

    assert shown.replace("\n", "").isprintable()
    assert [line.split()[-1] for line in shown.splitlines() if line.startswith("  stored as")] == [
        "×1",
        "gold",
    ]
    assert "a\\x1b[2J\\nb\\u202e" in shown
    assert run("inspect", tmp_path / "m.safetensors", "--json").json["provenance"]["norm"] == "1e9"


def test_a_hostile_tensor_name_is_refused_and_escaped(tmp_path: Path, run: Run) -> None:
    models.save(tmp_path / "m.safetensors", {HOSTILE: np.ones(3)})

    ran = run("inspect", tmp_path / "m.safetensors")

    assert (ran.status, ran.stdout) == (3, "")
    assert "tensor 'a\\x1b[2J\\nb\\u202e': the name holds the control character" in ran.stderr


def test_a_layer_of_absurd_number_is_no_layer(tmp_path: Path, run: Run) -> None:
    name = f"model.layers.{'9' * 200}.w"
    models.save(tmp_path / "m.safetensors", {name: np.ones(3)})

    assert list(run("inspect", tmp_path / "m.safetensors", "--json").json["norms"]["by_layer"]) == ["outside"]


def test_an_empty_or_scalar_tensor_is_measured(tmp_path: Path, run: Run) -> None:
    models.save(tmp_path / "m.safetensors", {"none": np.ones((0, 3)), "one": np.array(-2.0)}, dtype="F32")

    ran = run("inspect", tmp_path / "m.safetensors", "--tensors")

    assert "none  F32  0 × 3   norm 0" in ran.stdout
    assert "one   F32  scalar  norm 2" in ran.stdout
