"""What a vector's header says of its making, and warnings drawn from what inputs say of theirs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Tiny
from tests.reference import encode, write
from weightarith.algebra import Checkpoint, Vector
from weightarith.provenance import foreign_base, recorded_base, reversed_sign, space_of
from weightarith.saving import save
from weightarith.store import open_source


def test_a_vector_says_what_it_is_and_what_it_was_measured_from(tmp_path: Path, tiny: Tiny) -> None:
    base = Checkpoint.open(tiny.base, label="base")
    save(Checkpoint.open(tiny.finetuned, label="runs/tuned") - base, tmp_path / "v.safetensors")
    vector = open_source(tmp_path / "v.safetensors")
    metadata = vector.metadata

    assert metadata["weightarith.kind"] == "vector"
    assert metadata["weightarith.spec"] == "1"
    assert metadata["weightarith.expression"] == "tuned − base"
    assert recorded_base(vector) == {"name": "base", "space": space_of(base.source)}
    parents = json.loads(metadata["weightarith.parents"])
    assert [(parent["label"], parent["kind"]) for parent in parents] == [
        ("base", "checkpoint"),
        ("tuned", "checkpoint"),
    ]


def test_a_vector_says_nothing_of_the_machine_it_was_made_on(tmp_path: Path, tiny: Tiny) -> None:
    total = Checkpoint.open(tiny.finetuned) - Checkpoint.open(tiny.base)  # labels are paths
    save(total, tmp_path / "v.safetensors")

    assert str(tmp_path).encode() not in (tmp_path / "v.safetensors").read_bytes()
    adapters = Vector.open(tiny.positive) - Vector.open(tiny.negative)
    save(adapters, tmp_path / "w.safetensors")
    assert str(tmp_path).encode() not in (tmp_path / "w.safetensors").read_bytes()


def test_the_base_travels_through_sums_of_vectors(tmp_path: Path, tiny: Tiny) -> None:
    base = Checkpoint.open(tiny.base, label="base")
    for name, folder in (("v", tiny.finetuned), ("w", tiny.other)):
        save(Checkpoint.open(folder, label=name) - base, tmp_path / f"{name}.safetensors")
    v, w = (Vector.open(tmp_path / f"{name}.safetensors", label=name) for name in "vw")

    save(2 * v - w, tmp_path / "sum.safetensors")

    assert recorded_base(open_source(tmp_path / "sum.safetensors"))["space"] == space_of(base.source)


def test_a_space_is_names_and_shapes_and_not_dtypes_or_files(tmp_path: Path) -> None:
    for label, shape, code in (("a", (2, 3), "BF16"), ("b", (2, 3), "F32"), ("c", (3, 2), "BF16")):
        write(tmp_path / label / "model.safetensors", {"x": encode([[0.0] * shape[1]] * shape[0], code)})
    a, b, c = (space_of(open_source(tmp_path / label)) for label in "abc")

    assert a == b
    assert a != c


def test_adapters_on_the_same_modules_are_of_one_space_and_models_of_another(tiny: Tiny) -> None:
    assert space_of(open_source(tiny.positive)) == space_of(open_source(tiny.negative))
    assert space_of(open_source(tiny.positive)) != space_of(open_source(tiny.base))


CARDS = [
    ("base_model: base\n", True),
    ("base_model: org/base\n", True),
    ("base_model:\n- org/other\n- org/base\n", True),
    ('base_model: ["org/other", "org/base"]\n', True),
    ("base_model: org/other\n", False),
    ("license: mit\nbase_model_relation: finetune\n", False),
    ("tags:\n- base\n", False),
]


@pytest.mark.parametrize(("front", "warned"), CARDS)
def test_base_minus_its_fine_tune_is_warned_of(tiny: Tiny, front: str, warned: bool) -> None:
    (tiny.finetuned / "README.md").write_text(f"---\n{front}---\n# base\n", encoding="utf-8")
    base, tuned = open_source(tiny.base), open_source(tiny.finetuned)

    found = reversed_sign(base, tuned)

    assert bool(found) is warned
    assert not warned or "finetuned is recorded as a fine-tune of base, so the sign looks reversed" in found
    assert reversed_sign(tuned, base) == ""


def test_two_fine_tunes_of_one_base_have_no_reversed_sign(tiny: Tiny) -> None:
    for folder in (tiny.finetuned, tiny.other):
        (folder / "README.md").write_text("---\nbase_model: org/base\n---\n", encoding="utf-8")
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "_name_or_path": "org/base"}))

    assert reversed_sign(open_source(tiny.finetuned), open_source(tiny.other)) == ""


def test_a_model_in_the_cache_is_known_by_its_name_on_the_hub(tiny: Tiny, tmp_path: Path) -> None:
    snapshot = tmp_path / "models--org--small-model" / "snapshots" / "0123"
    snapshot.parent.mkdir(parents=True)
    tiny.base.rename(snapshot)
    (tiny.finetuned / "README.md").write_text("---\nbase_model: org/small-model\n---\n", encoding="utf-8")

    assert "the sign looks reversed" in reversed_sign(open_source(snapshot), open_source(tiny.finetuned))


@pytest.mark.parametrize(
    "card", [b"", b"---", b"---\nbase_model", b"\xff\xfe---\n", b"no card\nbase_model: base"]
)
def test_a_strange_model_card_is_no_error(tiny: Tiny, card: bytes) -> None:
    (tiny.finetuned / "README.md").write_bytes(card)

    assert reversed_sign(open_source(tiny.base), open_source(tiny.finetuned)) == ""


def test_a_vector_of_another_space_is_warned_of(tmp_path: Path, tiny: Tiny) -> None:
    base, tuned = Checkpoint.open(tiny.base, label="base"), Checkpoint.open(tiny.finetuned, label="tuned")
    save(tuned - base, tmp_path / "v.safetensors")
    write(tmp_path / "small" / "model.safetensors", {"x": encode([1.0], "F32")})
    vector = open_source(tmp_path / "v.safetensors")

    assert foreign_base(vector, base.source) == ""
    assert "v.safetensors was measured from base" in foreign_base(vector, open_source(tmp_path / "small"))


@pytest.mark.parametrize("text", ["", "[]", "{", "1", '{"name": {"a": 1}}'])
def test_a_strange_record_of_a_base_is_no_error(tmp_path: Path, text: str) -> None:
    metadata = {"weightarith.kind": "vector", "weightarith.base": text}
    write(tmp_path / "v.safetensors", {"x": encode([1.0], "F32")}, metadata)

    assert "space" not in recorded_base(open_source(tmp_path / "v.safetensors"))
