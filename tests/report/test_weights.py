"""Norms and spectra of a vector, against dense matrices and numpy's own decomposition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tests.report import made_up
from weightarith.algebra import Vector
from weightarith.report import weights as module
from weightarith.report.weights import Weights, measured


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    return measured(Vector.open(made_up.vector(tmp_path_factory.mktemp("v") / "v.safetensors")))


@pytest.fixture(scope="module")
def matrices() -> dict[str, tiny.Array]:
    """Every tensor, multiplied out."""
    return {name: left @ right for name, (left, right) in made_up.factors().items()} | made_up.dense()


def test_norms_are_those_of_the_dense_tensors(found: Weights, matrices: dict[str, tiny.Array]) -> None:
    squares = {name: float((matrix**2).sum()) for name, matrix in matrices.items()}
    layers = {
        key: sum(square for name, square in squares.items() if f"layers.{key}." in name) for key in ("0", "1")
    }
    outside = sum(square for name, square in squares.items() if "layers" not in name)

    assert found.norm == pytest.approx(sum(squares.values()) ** 0.5, rel=1e-12)
    assert dict(found.layers) == pytest.approx(
        {"outside": outside**0.5, **{key: square**0.5 for key, square in layers.items()}}, rel=1e-12
    )
    assert sum(share for _, _, share in found.roles) == pytest.approx(1, rel=1e-12)
    assert found.tensors == 5
    assert found.elements == sum(matrix.size for matrix in matrices.values())
    assert found.ranks == (2, 3)


def test_the_spectrum_is_that_of_the_dense_matrices(found: Weights, matrices: dict[str, tiny.Array]) -> None:
    spectra = [np.linalg.svd(one, compute_uv=False) for one in matrices.values() if one.ndim == 2]
    energies = [sum(float(s[i] ** 2) for s in spectra if i < len(s)) for i in range(5)]

    assert found.energies == pytest.approx(energies, rel=1e-9)
    assert found.kept == pytest.approx(np.cumsum(energies) / sum(energies), rel=1e-9)
    assert (found.decomposed, found.skipped) == (4, 0)
    wanted = next(i for i, kept in enumerate(np.cumsum(energies) / sum(energies), 1) if kept >= 0.9)
    assert found.rank_for(0.9) == wanted


def test_the_largest_tensors_come_first_with_their_stable_rank(
    found: Weights, matrices: dict[str, tiny.Array]
) -> None:
    norms = {name: float(np.linalg.norm(matrix)) for name, matrix in matrices.items()}

    assert [one.name for one in found.largest] == sorted(norms, key=lambda name: -norms[name])
    for one in found.largest:
        matrix = matrices[one.name]
        assert one.shape == matrix.shape
        assert one.norm == pytest.approx(norms[one.name], rel=1e-12)
        if matrix.ndim == 2:
            top = np.linalg.svd(matrix, compute_uv=False)[0]
            assert one.stable_rank == pytest.approx(norms[one.name] ** 2 / top**2, rel=1e-9)
        else:
            assert one.stable_rank is None


def test_a_large_dense_matrix_is_counted_and_not_decomposed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AFFORDABLE", 10)

    found = measured(Vector.open(made_up.vector(tmp_path / "v.safetensors")))

    assert (found.decomposed, found.skipped) == (3, 1)


def test_an_adapter_is_measured_as_the_change_it_makes(tmp_path: Path) -> None:
    folder = tiny.adapter(tmp_path / "lora", seed=3)

    found = measured(Vector.open(folder))

    assert len(found.kept) == 4
    assert found.kept[-1] == pytest.approx(1)
    assert found.squared == pytest.approx(found.norm**2, rel=1e-9)
