"""Encoded vectors that do not fit, or whose bytes are not what their header says, on every device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tests.engines import outcome_of, planned
from tests.packed import packed, vector
from tests.small import fates
from tests.test_encoded_engine import EMBED, Q, dense, encoded, of_every_kind, on_every_device, values
from weightarith.algebra import Checkpoint, Vector
from weightarith.engine.settings import Policy
from weightarith.errors import InvalidFileError, NonFiniteError, WeightArithError
from weightarith.measure import norms
from weightarith.operators.table import OPERATORS
from weightarith.store import open_source
from weightarith.tensorfile.encoded import Kind


@pytest.fixture
def base(tmp_path: Path) -> Checkpoint:
    return Checkpoint.open(tiny.checkpoint(tmp_path / "base", tiny.weights()), label="base")


def test_names_and_shapes_must_fit_as_those_of_dense_vectors_must(base: Checkpoint, tmp_path: Path) -> None:
    foreign = encoded(tmp_path / "foreign.safetensors", "sign", {"model.other.weight": values((3, 4), 0)})
    wrong = encoded(tmp_path / "wrong.safetensors", "sign", {Q: values((8, 32), 0)})

    with pytest.raises(WeightArithError, match="foreign moves 1 tensors that base lacks"):
        planned(base + foreign)
    with pytest.raises(
        WeightArithError, match=r"expected shape \[16, 16\] as in base, found \[8, 32\] in wr"
    ):
        planned(base + wrong)


@of_every_kind
@pytest.mark.parametrize("rows", [30, 50])
def test_of_another_vocabulary_the_rows_in_common_are_moved(
    kind: Kind, rows: int, base: Checkpoint, tmp_path: Path
) -> None:
    one = encoded(tmp_path / "v.safetensors", kind, {EMBED: values((rows, 16), 3)})
    other, policy = dense(tmp_path / "d.safetensors", one), Policy(vocabulary="base")

    found, expected = planned(base + one, policy=policy), planned(base + other, policy=policy)

    assert outcome_of(found, "cpu")[0] == outcome_of(found, "torch")[0] == outcome_of(expected, "cpu")[0]
    assert "over the rows in common" in fates(found)[EMBED][1]
    with pytest.raises(WeightArithError, match="expected shape"):
        planned(base + one)
    with pytest.raises(WeightArithError, match="policy vocabulary: base has a meaning only where a model"):
        planned(Checkpoint.open(base.source.path, label="same") - base + one, policy=policy)


def test_a_buffer_of_integers_is_not_moved(tmp_path: Path) -> None:
    tiny.save(tmp_path / "base.safetensors", {"ids": np.arange(4), "w": np.ones(2)})
    base = Checkpoint.open(tmp_path / "base.safetensors", label="base")
    one = encoded(tmp_path / "v.safetensors", "sign", {"ids": np.ones(4), "w": np.ones(2)})

    for total in (base + one, base + OPERATORS["trim"](one, density=0.5)):
        with pytest.raises(WeightArithError, match="tensor 'ids' is I64, and a vector moves it"):
            planned(total)


@on_every_device
@pytest.mark.parametrize("inside", [False, True])
def test_nan_in_a_sparse_vector_is_an_error_that_names_file_and_tensor(
    device: str, inside: bool, base: Checkpoint, tmp_path: Path
) -> None:
    change = values((16, 16), 0)
    change[3, 5] = np.nan
    one = encoded(tmp_path / "v.safetensors", "sparse", {Q: change})
    total = base + (OPERATORS["trim"](one, density=0.5) if inside else 2 * one)

    with pytest.raises(NonFiniteError, match=rf"v\.safetensors': tensor '{Q}' holds nan at \[3, 5\]"):
        outcome_of(planned(total), device)
    if not inside:
        content, outcome = outcome_of(planned(total, policy=Policy(nonfinite="allow")), device)
        assert outcome.accounts[:, 4].sum() == 1
        assert len(content) > 0


@on_every_device
@pytest.mark.parametrize("inside", [False, True])
def test_flawed_bytes_are_an_error_that_names_file_and_tensor(
    device: str, inside: bool, base: Checkpoint, tmp_path: Path
) -> None:
    parts = packed(Q, "int8", values((16, 16), 0))
    parts[f"{Q}::scale"] = ("F32", np.full(16, -1.0))
    path = vector(tmp_path / "v.safetensors", parts, {Q: ("int8", (16, 16))})
    one = Vector.open(path, label="v")
    total = base + (OPERATORS["trim"](one, density=0.5) if inside else one)

    with pytest.raises(InvalidFileError, match=rf"v\.safetensors.*'{Q}::scale' is -1\.0 at 0, expected"):
        outcome_of(planned(total), device)
    with pytest.raises(InvalidFileError, match=rf"v\.safetensors.*'{Q}::scale' is -1\.0 at 0, expected"):
        norms(open_source(path))
