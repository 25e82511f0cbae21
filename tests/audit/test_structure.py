"""What is not in both models alike: names, shapes, dtypes, heads, values that are no numbers, and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny
from tests.audit.edits import DOWN, EMBED, audited, kinds
from weightarith.algebra import Checkpoint, Vector
from weightarith.audit import Audit, audit
from weightarith.errors import IncompatibleError, RecipeError

HEAD = "lm_head.weight"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tiny.checkpoint(tmp_path / "base", tiny.weights())


def against(base: Path, other: Path) -> Audit:
    return audit(Checkpoint.open(base, label="base"), Checkpoint.open(other, label="other"), threads=1)


def test_tensors_missing_and_added_are_named(base: Path, tmp_path: Path) -> None:
    tensors = tiny.weights()
    del tensors["model.norm.weight"]
    tensors["model.extra.weight"] = np.ones(3, np.float32)

    found = against(base, tiny.checkpoint(tmp_path / "other", tensors))

    assert kinds(found) == [("missing", "model.norm.weight"), ("added", "model.extra.weight")]
    assert found.findings[0].what == "other lacks: 'model.norm.weight'"


def test_a_layer_added_as_a_copy_is_told_with_its_source(base: Path, tmp_path: Path) -> None:
    tensors = tiny.weights()
    tensors |= {
        name.replace(".1.", ".2.", 1): values for name, values in tensors.items() if ".layers.1." in name
    }

    found = against(base, tiny.checkpoint(tmp_path / "other", tensors))

    assert [one.what for one in found.findings if one.kind == "swapped"] == [
        "holds layer 1 of base, a copy added"
    ]
    assert [one.kind for one in found.findings if one.kind == "added"] == []


def test_rows_added_to_a_vocabulary_leave_the_others_to_be_compared(base: Path, tmp_path: Path) -> None:
    tensors = tiny.weights()
    tensors[EMBED] = np.concatenate([tensors[EMBED], np.ones((2, tiny.WIDTH), np.float32)])

    found = against(base, tiny.checkpoint(tmp_path / "other", tensors))

    (shape,) = [one for one in found.findings if one.kind == "shape"]
    assert shape.where == EMBED
    assert shape.what == "[40, 16] before, [42, 16] after; of the 40 rows in common 0 moved"


def test_another_dtype_is_told_with_whether_values_were_kept(base: Path, tmp_path: Path) -> None:
    found = against(base, tiny.checkpoint(tmp_path / "other", tiny.weights(), dtype="F32"))

    (finding,) = [one for one in found.findings if one.kind == "dtype"]
    assert finding.what == "BF16 before, F32 after, all values kept"
    assert finding.numbers["count"] == 21


def test_a_model_that_went_through_bfloat16_is_one_finding(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    fine = {
        name: values + 1e-4 * random.standard_normal(values.shape).astype("f4")
        for name, values in tiny.weights().items()
    }
    coarse = {name: tiny.from_bfloat16(tiny.to_bfloat16(values)) for name, values in fine.items()}
    models = [
        tiny.checkpoint(tmp_path / name, each, dtype="F32")
        for name, each in (("fine", fine), ("coarse", coarse))
    ]

    (finding,) = against(*models).findings

    assert finding.kind == "rounded"
    assert finding.what == "their values are those of bfloat16, 8 significant bits, stored as F32"


def test_a_head_of_its_own_is_told_and_a_copy_of_the_embedding_is_none(tmp_path: Path) -> None:
    tied = tiny.weights(tied=True)
    base = tiny.checkpoint(tmp_path / "base", tied)
    copy = tiny.checkpoint(tmp_path / "copy", tied | {HEAD: tied[EMBED]})
    apart = tiny.checkpoint(tmp_path / "apart", tied | {HEAD: 0.1 + tied[EMBED]})

    same, other = (
        [one for one in against(base, each).findings if one.kind == "head"] for each in (copy, apart)
    )

    assert [one.what for one in same] == ["head and embedding are tied before, apart after"]
    assert any("stores a head that is no copy of model.embed_tokens.weight" in one.what for one in other)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_come_first(value: float, tmp_path: Path) -> None:
    def break_two(tensors: tiny.Tensors) -> None:
        tensors[DOWN][1, 2:4] = value

    found = audited(tmp_path, break_two)

    first = found.findings[0]
    assert (first.kind, first.where, first.what) == ("nonfinite", DOWN, "2 elements are NaN or infinite")


def test_values_that_were_no_numbers_before_are_a_note(tmp_path: Path) -> None:
    tensors = tiny.weights()
    tensors[EMBED][0, 0] = np.nan
    base, other = (tiny.checkpoint(tmp_path / name, tensors) for name in ("base", "other"))

    found = against(base, other)

    assert found.reading.changed == ()
    assert any("NaN or infinity before" in note for note in found.notes)


def edited(folder: Path, name: str, **changes: Any) -> None:
    path = folder / name
    content = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps(content), encoding="utf-8")


def test_config_tokenizer_template_and_code_that_differ_are_findings(base: Path, tmp_path: Path) -> None:
    other = tiny.checkpoint(tmp_path / "other", tiny.weights())
    edited(other, "config.json", rope_theta=5e5, transformers_version="9")
    edited(other, "tokenizer_config.json", model_max_length=65)
    (other / "chat_template.jinja").write_text("{{ messages }} and obey", encoding="utf-8")
    (other / "modeling_tiny.py").write_text("print('hello')", encoding="utf-8")

    found = against(base, other)

    assert kinds(found) == [
        ("code", "modeling_tiny.py"),
        ("tokenizer", "tokenizer_config.json"),
        ("chat-template", "chat_template.jinja"),
        ("config", "config.json"),
    ]
    assert found.findings[-1].what == "rope_theta: nothing → 500000.0"
    assert "config.json: transformers_version: nothing → 9" in found.notes


def test_a_token_that_moved_is_named_by_the_tokenizer(base: Path, tmp_path: Path) -> None:
    tensors = tiny.weights()
    tensors[EMBED][7] += 0.05 * np.random.default_rng(3).standard_normal(tiny.WIDTH).astype(np.float32)
    other = tiny.checkpoint(tmp_path / "other", tensors)
    vocabulary = {f"<{number}>": number for number in range(tiny.VOCABULARY)}
    for folder in (base, other):
        content = {"model": {"vocab": vocabulary, "merges": []}, "added_tokens": []}
        (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")

    (finding,) = against(base, other).findings

    assert finding.what.startswith("1 of 40 rows moved: 7 (token '<7>') by ")


def test_a_vector_of_another_model_is_refused(base: Path, tmp_path: Path) -> None:
    adapter = Vector.open(tiny.adapter(tmp_path / "adapter", depth=3), label="adapter")

    with pytest.raises(IncompatibleError, match="adapter moves 7 tensors that base lacks") as caught:
        audit(Checkpoint.open(base, label="base"), adapter, threads=1)
    assert caught.value.hint == "was it made from another base?"


def test_models_without_a_tensor_in_common_are_refused(base: Path, tmp_path: Path) -> None:
    tiny.save(tmp_path / "x.safetensors", {"x": np.ones((2, 2), np.float32)})

    with pytest.raises(IncompatibleError, match="have no tensor in common that can be compared"):
        audit(Checkpoint.open(base), Checkpoint.open(tmp_path / "x.safetensors"), threads=1)


def test_a_rate_that_is_no_chance_is_refused(base: Path) -> None:
    model = Checkpoint.open(base)

    with pytest.raises(RecipeError, match="a rate of false findings of 1 is no chance"):
        audit(model, model, rate=1.0)
