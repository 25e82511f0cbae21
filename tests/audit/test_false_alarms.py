"""Silence where there is nothing: an untouched pair, honest fine-tunes, and adapters put into a model."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import tiny
from tests.audit.edits import DEPTH, audited, kinds, lora
from weightarith.algebra import Checkpoint, Vector
from weightarith.audit import PLANTED, audit
from weightarith.audit.robust import FEWEST, chance, scores


def test_an_untouched_pair_has_no_finding_and_no_note(tmp_path: Path) -> None:
    found = audited(tmp_path)

    assert found.findings == ()
    assert found.notes == ()
    assert found.reading.changed == ()


def test_a_model_against_its_own_path_has_no_finding(tmp_path: Path) -> None:
    base = Checkpoint.open(tiny.checkpoint(tmp_path / "base", tiny.weights()))

    assert audit(base, base, threads=1).findings == ()


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.sampled_from([1e-4, 1e-3, 1e-2]),
    dtype=st.sampled_from(["BF16", "F32"]),
)
def test_a_fine_tune_of_every_weight_has_no_finding(seed: int, size: float, dtype: str) -> None:
    tuned = tiny.finetuned(tiny.weights(depth=DEPTH, seed=seed), seed=seed + 1, size=size)

    with TemporaryDirectory() as folder:
        assert kinds(audited(Path(folder), tuned=tuned, dtype=dtype, seed=seed)) == []


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), rank=st.sampled_from([1, 2, 8]), dtype=st.sampled_from(["BF16", "F32"])
)
def test_an_adapter_on_every_linear_module_has_no_finding(seed: int, rank: int, dtype: str) -> None:
    tuned = lora(tiny.weights(depth=DEPTH, seed=seed), seed=seed + 1, rank=rank)

    with TemporaryDirectory() as folder:
        assert kinds(audited(Path(folder), tuned=tuned, dtype=dtype, seed=seed)) == []


def test_an_adapter_of_rank_two_is_noted_as_one(tmp_path: Path) -> None:
    tuned = lora(tiny.weights(depth=DEPTH), seed=1, rank=2, size=0.02)

    found = audited(tmp_path, tuned=tuned, dtype="F32")

    assert any(
        "rank of the change: 2 in 70 matrices, as of a low-rank adapter" in note for note in found.notes
    )


def test_an_adapter_alone_against_its_base_has_no_planted_edit(tmp_path: Path) -> None:
    base = Checkpoint.open(tiny.checkpoint(tmp_path / "base", tiny.weights(depth=DEPTH)))
    adapter = Vector.open(tiny.adapter(tmp_path / "adapter", depth=DEPTH))

    found = audit(base, adapter, threads=1)

    assert [one.kind for one in found.findings if one.kind in PLANTED] == []
    assert len(found.reading.changed) == 7 * DEPTH


def test_an_adapter_on_the_last_layers_only_is_a_note(tmp_path: Path) -> None:
    base = tiny.weights(depth=DEPTH)
    tuned = lora(base, seed=1, rank=4)
    tuned |= {name: base[name] for name in base if ".layers." in name and int(name.split(".")[2]) < DEPTH - 2}

    found = audited(tmp_path, tuned=tuned)

    assert found.findings == ()
    assert "of most roles only layers 8, 9 changed" in found.notes


def test_scores_of_normal_numbers_are_significant_no_more_often_than_stated() -> None:
    random = np.random.default_rng(5)
    for count in (FEWEST, 16, 30):
        values = random.standard_normal((4000, count))
        found = [chance(float(scores(row)[0]), count) for row in values]

        assert np.mean(np.array(found) <= 0.01) <= 0.0135, count


def test_a_model_that_was_weight_decayed_as_a_whole_is_a_note(tmp_path: Path) -> None:
    base = tiny.weights(depth=DEPTH)
    decayed = {name: (0.9 * values).astype(np.float32) for name, values in base.items()}

    found = audited(tmp_path, tuned=decayed, dtype="F32")

    assert [one.where for one in found.findings if ".layers." in one.where] == []
    assert any(note.startswith("scaled-tensor in ") for note in found.notes)
