"""The numbers of an audit against plain ones in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tests.audit import edits
from tests.audit.edits import DEPTH, audited
from weightarith.algebra import Checkpoint, Vector
from weightarith.audit import audit
from weightarith.audit.grain import FORMATS, bits_needed, rounded, rounding_noise
from weightarith.audit.robust import chance_of_cosine, scores
from weightarith.audit.rows import BLOCK
from weightarith.audit.spectra import sketched, whole


def test_sums_are_those_of_the_whole_tensors(tmp_path: Path) -> None:
    before = tiny.weights(depth=DEPTH)
    after = tiny.finetuned(before, seed=3)

    found = audited(tmp_path, tuned=after)

    for name, one in found.reading.looks.items():
        a, b = (each[name].astype(np.float64) for each in (before, after))
        assert one.norms == pytest.approx([np.linalg.norm(each) for each in (a, b - a, b)], rel=1e-12)
        assert one.cross == pytest.approx(float((a * (b - a)).sum()), abs=1e-12)
        assert one.changed == np.count_nonzero(a != b)
        assert one.largest == np.abs(b - a).max()


def test_singular_values_are_those_of_numpy(tmp_path: Path) -> None:
    before = tiny.weights(depth=DEPTH)
    after = tiny.finetuned(before, seed=3)

    found = audited(tmp_path, tuned=after)

    for name, one in found.reading.looks.items():
        if one.spectrum is not None:
            values = np.linalg.svd(after[name].astype("f8") - before[name], compute_uv=False)
            shares = values / values.sum()
            assert one.spectrum.values == pytest.approx(values, abs=1e-6 * values[0])
            assert one.spectrum.effective == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
            assert one.spectrum.stable == pytest.approx((values**2).sum() / values[0] ** 2)


def test_an_adapter_alone_has_the_singular_values_of_its_product(tmp_path: Path) -> None:
    base = Checkpoint.open(tiny.checkpoint(tmp_path / "base", tiny.weights()))
    folder = tiny.adapter(tmp_path / "adapter", rank=4, alpha=8)
    factors = tiny.load(folder)
    name = "model.layers.1.mlp.up_proj"
    left, right = (factors[f"base_model.model.{name}.lora_{side}.weight"] for side in "BA")

    spectrum = audit(base, Vector.open(folder), threads=1).reading.looks[f"{name}.weight"].spectrum

    assert spectrum is not None
    expected = np.linalg.svd(2.0 * left.astype("f8") @ right.astype("f8"), compute_uv=False)[:4]
    assert spectrum.values[:4] == pytest.approx(expected)
    assert spectrum.rank == 4


def test_a_sketch_finds_the_largest_values_of_a_matrix_read_in_blocks() -> None:
    random = np.random.default_rng(0)
    matrix = (
        random.standard_normal((700, 20)) @ np.diag(2.0 ** -np.arange(20)) @ random.standard_normal((20, 300))
    )
    matrix += 1e-4 * random.standard_normal(matrix.shape)
    energy = float((matrix**2).sum())

    found = sketched(
        lambda: ((first, matrix[first : first + 64]) for first in range(0, 700, 64)),
        matrix.shape,
        0.0,
        energy,
        1,
    )

    exact = np.linalg.svd(matrix, compute_uv=False)
    assert found.values[:12] == pytest.approx(exact[:12], rel=1e-4)
    assert found.side == 300
    assert not found.exact
    assert found.effective >= whole(matrix, 0.0).effective * 0.999


def test_a_tensor_of_many_blocks_is_read_whole(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    name = "model.embed_tokens.weight"
    before = {name: random.standard_normal((3 * BLOCK // 64, 64)).astype(np.float32)}
    after = {name: before[name] + 0.01 * random.standard_normal(before[name].shape).astype(np.float32)}
    tiny.save(tmp_path / "a.safetensors", before, dtype="F32")
    tiny.save(tmp_path / "b.safetensors", after, dtype="F32")
    models = [Checkpoint.open(tmp_path / f"{each}.safetensors") for each in "ab"]

    one = audit(*models, threads=1).reading.looks[name]

    change = after[name].astype("f8") - before[name]
    assert one.norms[1] == pytest.approx(np.linalg.norm(change))
    assert one.spectrum is not None
    assert one.spectrum.values[0] == pytest.approx(np.linalg.norm(change, 2), rel=1e-6)


def test_values_need_as_many_bits_as_their_last_one_that_is_set() -> None:
    values = np.array([0.0, 1.0, -1.5, 1.25, 2.0**-20 * 3, 1 + 2.0**-52, 1 + 2.0**-7])

    counted = bits_needed(values)

    assert {bits: int(count) for bits, count in enumerate(counted) if count} == {
        0: 1,
        1: 1,
        2: 2,
        3: 1,
        8: 1,
        53: 1,
    }


@pytest.mark.parametrize("name", ["bfloat16", "float16", "float8_e4m3", "float8_e5m2"])
def test_rounding_to_a_format_is_that_of_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(0).standard_normal(4000) * np.exp(
        np.random.default_rng(1).uniform(-12, 3, 4000)
    )
    form = getattr(torch, name + "fn" if name.endswith("e4m3") else name)

    expected = torch.from_numpy(values.astype("f4")).to(form).to(torch.float64).numpy()

    assert np.array_equal(rounded(values.astype("f4").astype("f8"), *FORMATS[name]), expected)


def test_what_rounding_makes_of_a_matrix_lies_below_the_edge_of_rounding() -> None:
    random = np.random.default_rng(4)
    weight = (random.standard_normal((200, 300)) * np.exp(random.standard_normal((200, 1)))).astype("f4")
    after = tiny.from_bfloat16(tiny.to_bfloat16(weight)).astype("f8")
    change = after - weight
    noise = rounding_noise(change, after, 8)
    edge = np.sqrt(noise.sum(axis=1).max()) + np.sqrt(noise.sum(axis=0).max())

    assert whole(change, float(edge)).rank == 0


def test_a_cap_of_a_sphere_is_never_larger_than_its_bound() -> None:
    random = np.random.default_rng(6)
    for dimensions in (3, 4, 8, 20):
        points = random.standard_normal((200_000, dimensions))
        cosines = np.abs(points[:, 0]) / np.linalg.norm(points, axis=1)
        for cosine in (0.3, 0.6, 0.9):
            assert np.mean(cosines >= cosine) <= chance_of_cosine(cosine, dimensions) + 0.005


def test_scores_of_equal_numbers_are_zero_and_another_is_infinitely_far() -> None:
    assert list(scores(np.array([2.0, 2.0, 2.0, 2.0, 5.0]))) == [0, 0, 0, 0, np.inf]


def test_threads_do_not_change_what_is_found(tmp_path: Path) -> None:
    audited(tmp_path, edits.row, edits.rank_one, edits.swap)
    models = [Checkpoint.open(tmp_path / name) for name in ("base", "other")]

    assert audit(*models, threads=1).to_json() == audit(*models, threads=4).to_json()


def test_scores_of_normal_numbers_are_in_standard_deviations() -> None:
    numbers = np.random.default_rng(0).normal(5, 3, 20_000)

    assert scores(numbers).std() == pytest.approx(1, abs=0.03)
