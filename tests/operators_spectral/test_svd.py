from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.operators_spectral.arrays import LIBRARIES, Doubles, back, normal, orthonormal, to, with_spectrum
from weightarith.operators import sketch, svd
from weightarith.operators.sketch import TOLERANCE, gaussian
from weightarith.operators.svd import is_small, reaching, truncated


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def lora_like(rows: int, columns: int, rank: int = 16) -> Doubles:
    """Return a matrix of a rank, and noise below it."""
    return with_spectrum(1, rows, columns, np.linspace(3, 1, rank)) + 1e-3 * normal(2, rows, columns)


def power_law(rows: int, columns: int, exponent: float = 0.5) -> Doubles:
    return with_spectrum(3, rows, columns, np.arange(1, min(rows, columns) + 1) ** -exponent)


SPECTRA = {
    "lora-like": lora_like(300, 260),
    "power law": power_law(300, 260),
    "steep power law": power_law(260, 300, 1.0),
    "noise": normal(4, 260, 260),
    "flat": orthonormal(5, 260, 260),
}


def smallest_error(matrix: Doubles, rank: int) -> float:
    return float(np.sqrt((np.linalg.svd(matrix, compute_uv=False)[rank:] ** 2).sum()))


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("rank", [16, 32])
def test_the_error_is_within_half_a_per_cent_of_the_smallest_possible(name: str, rank: int) -> None:
    matrix = SPECTRA[name].astype("float32")
    assert not is_small(matrix, rank)
    found = truncated(matrix, rank)
    assert found.within
    assert float(found.error) <= (1 + TOLERANCE) * smallest_error(matrix.astype(float), rank)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [16, 32])
@pytest.mark.parametrize("name", ["lora-like", "power law", "noise"])
def test_the_error_of_a_large_matrix_is_within_half_a_per_cent_too(name: str, rank: int) -> None:
    side = 2048
    if name == "power law":
        scale = np.arange(1, side + 1) ** -0.8
        matrix = ((normal(0, side, side) * scale) @ normal(1, side, side)).astype("float32")
    else:
        matrix = (normal(0, side, 16) @ normal(1, 16, side) * (name != "noise")).astype("float32")
        matrix += 0.1 * normal(2, side, side).astype("float32")
    found = truncated(matrix, rank)
    values = np.linalg.eigvalsh(matrix.astype(float).T @ matrix)[: side - rank]
    assert float(found.error) <= (1 + TOLERANCE) * np.sqrt(values.sum())


@pytest.mark.parametrize("shape", [(300, 200), (200, 300), (40, 30)])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-9), ("float64", 1e-13)])
def test_the_error_told_is_that_of_the_factors_returned(
    library: str, shape: tuple[int, int], dtype: str, tolerance: float
) -> None:
    matrix = power_law(*shape).astype(dtype)
    found = truncated(to(library, matrix), 8)
    left, right = back(found.left).astype(float), back(found.right).astype(float)
    assert back(found.left).dtype == back(found.right).dtype == matrix.dtype
    np.testing.assert_allclose(found.error, np.linalg.norm(matrix - left @ right), rtol=tolerance)
    np.testing.assert_allclose(found.norm, np.linalg.norm(matrix.astype(float)), rtol=tolerance)
    np.testing.assert_allclose(found.energy, 1 - (found.error / found.norm) ** 2, rtol=tolerance)


def test_a_small_matrix_gets_its_best_approximation(library: str) -> None:
    matrix = normal(6, 50, 30)
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    found = truncated(to(library, matrix), 5)
    np.testing.assert_allclose(
        back(found.left @ found.right), (left[:, :5] * values[:5]) @ right[:5], atol=1e-12
    )
    np.testing.assert_allclose(back(found.values), values[:5])
    assert float(found.excess) == 0


@pytest.mark.parametrize("shape", [(300, 200), (50, 30)])
def test_factors_are_balanced_and_their_signs_fixed(library: str, shape: tuple[int, int]) -> None:
    found = truncated(to(library, power_law(*shape)), 4)
    left, right, values = back(found.left), back(found.right), back(found.values)
    np.testing.assert_allclose((left**2).sum(0), values, rtol=1e-9)
    np.testing.assert_allclose((right**2).sum(1), values, rtol=1e-9)
    assert (left[np.abs(left).argmax(0), range(4)] > 0).all()
    negated = truncated(to(library, -power_law(*shape)), 4)
    np.testing.assert_allclose(back(negated.left), left, atol=1e-9)
    np.testing.assert_allclose(back(negated.right), -right, atol=1e-9)


def test_what_is_drawn_depends_on_the_seed_and_the_key_only(library: str) -> None:
    matrix = to(library, SPECTRA["noise"].astype("float32"))
    one, same, other, third = (
        back(truncated(matrix, 16, seed=seed, key=key).left) for seed, key in ((0, 1), (0, 1), (1, 1), (0, 2))
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, third)


def test_numpy_and_torch_agree() -> None:
    matrix = SPECTRA["power law"]
    one, two = truncated(matrix, 16), truncated(torch.from_numpy(matrix), 16)
    np.testing.assert_allclose(one.left @ one.right, back(two.left @ two.right), atol=1e-10)
    np.testing.assert_allclose(one.error, two.error, rtol=1e-12)


@pytest.mark.parametrize("shape", [(200, 180), (30, 20)])
def test_a_batch_gives_what_its_matrices_give_alone(library: str, shape: tuple[int, int]) -> None:
    matrices = [with_spectrum(seed, *shape, 0.7 ** np.arange(20)) for seed in range(3)]
    found = truncated(to(library, np.stack(matrices)), 4)
    assert found.left.shape == (3, shape[0], 4)
    for number, matrix in enumerate(matrices):
        alone = truncated(to(library, matrix), 4)
        np.testing.assert_allclose(back(found.left)[number], back(alone.left), atol=1e-8)
        np.testing.assert_allclose(back(found.values)[number], back(alone.values), rtol=1e-8)
        np.testing.assert_allclose(found.error[number], alone.error, rtol=1e-8)
    assert found.within
    assert found.energy.shape == (3,)


@pytest.mark.parametrize("shape", [(200, 180), (20, 10), (3, 1)])
def test_zero_is_approximated_by_zero(library: str, shape: tuple[int, int]) -> None:
    found = truncated(to(library, np.zeros(shape, "float32")), 4)
    assert not back(found.left @ found.right).any()
    assert float(found.error) == float(found.excess) == 0
    assert float(found.energy) == 1


def test_a_matrix_of_low_rank_is_found_to_rounding(library: str) -> None:
    matrix = with_spectrum(8, 300, 250, [3.0, 2.0, 1.0]).astype("float32")
    found = truncated(to(library, matrix), 16)
    assert float(found.error / found.norm) < 1e-6
    assert found.within


def test_the_rank_never_exceeds_the_shorter_side(library: str) -> None:
    assert truncated(to(library, normal(9, 5, 3)), 64).left.shape == (5, 3)


def test_iterations_go_on_until_the_error_has_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = SPECTRA["noise"].astype("float32")
    patient = truncated(matrix, 32, iterations=1)
    monkeypatch.setattr(sketch, "MOST_ITERATIONS", 1)
    hasty = truncated(matrix, 32, iterations=1)
    assert not hasty.within
    assert float(patient.error) < float(hasty.error)


def test_without_enough_iterations_nothing_is_said_of_the_excess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketch, "MOST_ITERATIONS", 0)
    found = truncated(SPECTRA["flat"], 16, iterations=0)
    assert float(found.excess) == np.inf
    assert not found.within


@pytest.mark.parametrize("energy", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("shape", [(400, 300), (40, 30)])
def test_the_smallest_rank_that_holds_the_energy_is_found(
    library: str, energy: float, shape: tuple[int, int]
) -> None:
    values = 0.97 ** np.arange(min(shape))
    shares = np.cumsum(values**2) / (values**2).sum()
    wanted = int(np.count_nonzero(shares < energy)) + 1
    found = reaching(to(library, with_spectrum(10, *shape, values)), energy)
    assert found.values.shape[0] == wanted
    assert float(found.energy) >= energy - 1e-6


def test_the_sketch_grows_until_the_energy_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svd, "FIRST_RANK", 2)
    monkeypatch.setattr(svd, "OVERSAMPLE", 4)
    matrix = with_spectrum(11, 400, 390, np.ones(20))
    assert reaching(matrix, 0.74).values.shape[0] == 15
    assert reaching(matrix, 1.0).values.shape[0] == 20
    assert reaching(matrix, 1.0, most=7).values.shape[0] == 7


def test_the_whole_energy_of_a_full_matrix_takes_all_its_rank(library: str) -> None:
    found = reaching(to(library, normal(12, 20, 12)), 1.0)
    assert found.values.shape[0] == 12
    assert float(found.error / found.norm) < 1e-12


def test_the_random_vectors_are_normal_and_the_same_everywhere() -> None:
    like = np.zeros(1)
    drawn = gaussian(301, 333, 5, 7, like)
    assert drawn.shape == (301, 333)
    assert abs(drawn.mean()) < 0.02
    assert abs(drawn.std() - 1) < 0.02
    assert abs((drawn**4).mean() - 3) < 0.1
    np.testing.assert_allclose(back(gaussian(301, 333, 5, 7, torch.zeros(1).double())), drawn, atol=1e-12)
    assert gaussian(2, 2, 0, 0, np.zeros(1, "float32")).dtype == np.float32


@pytest.mark.gpu
def test_a_cuda_device_agrees_with_the_processor() -> None:
    matrix = SPECTRA["power law"]
    one, two = truncated(matrix, 16), truncated(torch.from_numpy(matrix).cuda(), 16)
    np.testing.assert_allclose(one.left @ one.right, (two.left @ two.right).cpu(), atol=1e-9)
