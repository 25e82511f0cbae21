"""Known vectors: cosines, and scores that are those of control vectors drawn one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests import tiny
from tests.audit.edits import DEPTH
from weightarith.algebra import Checkpoint, Vector
from weightarith.audit import Match, audit, find_known
from weightarith.errors import InvalidFileError

Matrices = dict[str, NDArray[np.float64]]


def product(folder: Path) -> Matrices:
    """Return the change of an adapter of `tiny`, rank 4 and alpha 8, as matrices."""
    factors = tiny.load(folder)
    names = [name for name in factors if name.endswith(".lora_A.weight")]
    return {
        name.removeprefix("base_model.model.").replace(".lora_A", ""): 2.0
        * factors[name.replace("lora_A", "lora_B")].astype("f8")
        @ factors[name].astype("f8")
        for name in names
    }


def inner(one: Matrices, other: Matrices) -> float:
    return float(sum((one[name] * other[name]).sum() for name in one))


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    tiny.checkpoint(tmp_path / "base", tiny.weights(depth=DEPTH))
    return [tiny.adapter(tmp_path / "known" / f"v{seed}", depth=DEPTH, seed=seed) for seed in (1, 2)]


def test_scores_are_those_of_rotated_copies_and_of_copies_with_random_signs(
    folders: list[Path], tmp_path: Path
) -> None:
    base = Checkpoint.open(tmp_path / "base")
    change, other = product(folders[0]), product(folders[1])

    found = {one.label: one for one in match_all(base, folders)}

    own = inner(change, other)
    random = np.random.default_rng(11)
    rotated = [
        inner(change, {name: rotate(each, random) for name, each in other.items()}) for _ in range(400)
    ]
    parts = np.array([(change[name] * other[name]).sum() for name in change])
    signed = random.choice([-1.0, 1.0], (20_000, parts.size)) @ parts
    size = np.sqrt(inner(change, change) * inner(other, other))
    assert found["v2"].cosine == pytest.approx(own / size)
    assert found["v2"].rotated == pytest.approx(own / np.std(rotated), rel=0.12)
    assert found["v2"].signed == pytest.approx(own / np.std(signed), rel=0.03)


def match_all(base: Checkpoint, folders: list[Path]) -> tuple[Match, ...]:
    known, _ = find_known(folders[0].parent)
    return audit(base, Vector.open(folders[0]), known=known, threads=1).matches


def rotate(matrix: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    left, right = (np.linalg.qr(random.standard_normal((extent, extent)))[0] for extent in matrix.shape)
    return np.asarray(left @ matrix @ right)


def test_the_vector_that_was_applied_is_found_and_an_unrelated_one_is_not(
    folders: list[Path], tmp_path: Path
) -> None:
    base = Checkpoint.open(tmp_path / "base")
    known, skipped = find_known(tmp_path / "known")

    found = audit(base, Vector.open(folders[0]), known=known, threads=1)

    assert skipped == []
    assert [one.label for one in found.matches] == ["v1", "v2"]
    assert found.matches[0].cosine == pytest.approx(1.0)
    assert [one.where for one in found.findings if one.kind == "known"] == ["v1"]
    assert found.matches[1].chance > 0.01


@pytest.mark.usefixtures("folders")
def test_what_is_no_vector_in_a_folder_is_said_to_be_left_out(tmp_path: Path) -> None:
    tiny.checkpoint(tmp_path / "known" / "model", tiny.weights())
    (tmp_path / "known" / "empty").mkdir()

    known, skipped = find_known(tmp_path / "known")

    assert [one.label for one in known] == ["v1", "v2"]
    assert skipped[0].startswith("empty: ")
    assert skipped[1] == "model: a model"


def test_one_adapter_is_a_folder_of_one(folders: list[Path]) -> None:
    assert [one.label for one in find_known(folders[0])[0]] == [str(folders[0])]


def test_a_folder_without_vectors_is_refused(tmp_path: Path) -> None:
    tiny.checkpoint(tmp_path / "base", tiny.weights())

    with pytest.raises(
        InvalidFileError, match=r"holds no vector and no adapter: model\.safetensors: a model"
    ):
        find_known(tmp_path / "base")
