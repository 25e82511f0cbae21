"""Random masks: an element's depends on the seed, the vector, the tensor and the element, and on no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.engine_operators.world import SHAPES, World, saved
from tests.reference import Raw, encode, read, shard
from weightarith.algebra import Checkpoint, Linear, Vector
from weightarith.operators.table import OPERATORS

DARE, DARE_LINEAR, MAGPRUNE, TRIM = (OPERATORS[name] for name in ("dare", "dare_linear", "magprune", "trim"))
UP, EMBED, HEAD = (
    "model.layers.0.mlp.up_proj.weight", "model.embed_tokens.weight", "lm_head.weight",
)  # fmt: skip
Mask = NDArray[np.bool_]


def kept(total: Linear, path: Path, device: str = "cpu", **options: Any) -> dict[str, Mask]:
    return {name: raw.values != 0 for name, raw in saved(total, path, device, **options).items()}


def alike(first: dict[str, Mask], second: dict[str, Mask]) -> bool:
    return all(np.array_equal(first[name], second[name]) for name in SHAPES)


def test_another_model_beside_a_vector_leaves_its_mask(world: World, tmp_path: Path) -> None:
    base, a, b, c = (world.model(label) for label in ("base", "a", "b", "c"))
    alone = kept(DARE(a - base, density=0.5, seed=1), tmp_path / "alone")
    weights = ([1], [1, 0], [0, 1], [0, 1, 0])
    sums = ([a - base], [a - base, b - base], [b - base, a - base], [c - base, a - base, b - base])

    for number, (vectors, shares) in enumerate(zip(sums, weights, strict=True)):
        of_several = DARE_LINEAR(vectors, density=0.5, seed=1, weights=shares)
        assert alike(kept(of_several, tmp_path / f"{number}"), alone)
    twice = DARE(a - base, density=0.5, seed=1) + 0.5 * DARE(b - base, density=0.5, seed=1)
    without = twice - 0.5 * DARE(b - base, density=0.5, seed=1)
    assert alike(kept(without, tmp_path / "without"), alone)


def test_shards_folders_threads_tiles_and_devices_leave_a_mask(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def total(folder: Path, pieces: int) -> Linear:
        for label in ("base", "a"):
            shard(folder / f"{label}{pieces}", dict(world.raws[label]), pieces)
        first, second = (Checkpoint.open(folder / f"{x}{pieces}", label=x) for x in ("a", "base"))
        return DARE(first - second, density=0.5, seed=5)

    once = read_all(total(tmp_path, 1), tmp_path / "once.safetensors", "cpu")
    for device in ("cpu", "torch"):
        for threads, tile in ((1, 1 << 15), (3, 8), (2, 40)):
            monkeypatch.setattr("weightarith.engine.bench.TILE", tile)
            monkeypatch.setattr("weightarith.engine.bench.Bench.tile", tile)
            monkeypatch.setattr("weightarith.engine.torch_bench.TILES", {"cpu": tile})
            path = tmp_path / f"{device}-{threads}.safetensors"
            folder = tmp_path / path.stem
            assert read_all(total(folder, threads), path, device, threads=threads) == once


def read_all(total: Linear, path: Path, device: str, **options: Any) -> bytes:
    """Return the bytes of the file a vector is saved to, its header included."""
    saved(total, path, device, **options)
    return path.read_bytes()


def test_a_mask_depends_on_the_seed(world: World, tmp_path: Path) -> None:
    delta = world.model("a") - world.model("base")
    for operator in (DARE, MAGPRUNE):
        more = {"epsilon": 0.1} if operator is MAGPRUNE else {}
        seen = [
            kept(operator(delta, density=0.5, seed=seed, **more), tmp_path / f"{operator.name}-{seed}")[UP]
            for seed in (0, 1, 2, 2**63 - 1)
        ]
        for one, mask in enumerate(seen):
            for other in seen[:one]:
                assert 0.35 < np.mean(mask == other) < 0.65


def test_a_mask_depends_on_the_tensor_and_not_on_its_place_in_a_file(world: World, tmp_path: Path) -> None:
    found = kept(DARE(world.model("a") - world.model("base"), density=0.5), tmp_path / "out")
    assert SHAPES[EMBED] == SHAPES[HEAD]
    assert 0.25 < np.mean(found[EMBED] == found[HEAD]) < 0.75

    for label in ("base", "a"):  # the same tensors, written in another order
        raws = dict(reversed(list(world.raws[label].items())))
        shard(tmp_path / label, raws, 2)
    base, a = (Checkpoint.open(tmp_path / label, label=label) for label in ("base", "a"))
    assert alike(kept(DARE(a - base, density=0.5), tmp_path / "other"), found)


def test_a_mask_depends_on_the_vector_by_what_it_is_called(world: World, tmp_path: Path) -> None:
    base, a, b = (world.model(label) for label in ("base", "a", "b"))
    same = Checkpoint.open(world.folder / "a", label="other")
    masks = [
        kept(DARE(delta, density=0.5), tmp_path / f"{number}")[UP]
        for number, delta in enumerate((a - base, b - base, same - base, 2 * (a - base), base - a))
    ]
    for one, mask in enumerate(masks):
        for other in masks[:one]:
            assert 0.35 < np.mean(mask == other) < 0.65


def test_the_order_in_which_a_vector_is_written_leaves_its_mask(world: World, tmp_path: Path) -> None:
    base, a, b = (world.model(label) for label in ("base", "a", "b"))
    pairs = [
        (a - base, -1 * base + a),
        (0.5 * (a - base) + 0.25 * (b - base), 0.25 * b - 0.75 * base + 0.5 * a),
        (a - base + TRIM(b - base, density=0.5), TRIM(-1 * base + b, density=0.5) - base + a),
        (TRIM(TRIM(a - base, density=0.8), density=0.5), TRIM(TRIM(a - base, density=0.8), density=0.5)),
    ]
    for number, (one, other) in enumerate(pairs):
        first = saved(DARE(one, density=0.5), tmp_path / f"{number}-1", dtype="float64")
        assert saved(DARE(other, density=0.5), tmp_path / f"{number}-2", dtype="float64") == first


def test_a_path_leaves_a_mask_but_for_its_last_part(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).standard_normal((40, 25))
    found = []
    for folder in ("here", "there"):
        path = tmp_path / folder / "v.safetensors"
        written = {UP: encode(numbers, "F32")}
        write_vector(path, written)
        found.append(saved(DARE(Vector.open(path), density=0.5), tmp_path / f"{folder}.safetensors"))
    assert found[0] == found[1]


def test_vectors_whose_paths_end_alike_have_masks_of_their_own(world: World, tmp_path: Path) -> None:
    base = world.model("base")
    for run in "ab":
        shard(tmp_path / run / "final", dict(world.raws[run]), 1)
    a, b = (Checkpoint.open(tmp_path / run / "final") - base for run in "ab")
    elect = OPERATORS["dare_linear"]
    one = kept(elect([a, b], density=0.5, weights=[1, 0]), tmp_path / "1")
    other = kept(elect([a, b], density=0.5, weights=[0, 1]), tmp_path / "2")
    again = kept(elect([a, b, a], density=0.5, weights=[0, 0, 1]), tmp_path / "3")

    assert 0.35 < np.mean(one[UP] == other[UP]) < 0.65
    assert alike(one, again)
    assert alike(one, kept(DARE(a, density=0.5), tmp_path / "4"))


def write_vector(path: Path, tensors: dict[str, Raw]) -> None:
    from tests.reference import write

    write(path, tensors, {"weightarith.kind": "vector"})
    assert read(path) == tensors


def test_a_mask_over_ten_thousand_elements_keeps_as_many_as_it_says(tmp_path: Path) -> None:
    numbers = 1 + np.random.default_rng(0).random((150, 200))
    write_vector(tmp_path / "v.safetensors", {UP: encode(numbers, "F32")})
    vector = Vector.open(tmp_path / "v.safetensors", label="v")
    for density in (0.1, 0.5, 0.9):
        found = saved(DARE(vector, density=density), tmp_path / f"{density}", dtype="float64")[UP].values
        share = np.mean(found != 0)
        assert abs(share - density) < 4 * np.sqrt(density * (1 - density) / found.size)
        assert np.array_equal(found, np.where(found != 0, vector_values(tmp_path) * (1 / density), 0))


def vector_values(folder: Path) -> NDArray[np.float64]:
    return read(folder / "v.safetensors")[UP].values
