"""What is made of vectors: which combinations there are, and what is in each."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.interference.made_up import NAMES, parts, tensors
from weightarith.algebra import Vector
from weightarith.errors import RecipeError
from weightarith.interference import Combination, combinations, part, ways_named
from weightarith.interference.combinations import WAYS
from weightarith.interference.foretold import sizes
from weightarith.operators.table import OPERATORS
from weightarith.saving import save


def labels(made: tuple[Combination, ...]) -> list[str]:
    return [one.label for one in made]


def saved(one: Combination, folder: Path) -> dict[str, np.ndarray]:
    save(one.vector, folder / "made.safetensors", overwrite=True)
    return load_file(folder / "made.safetensors")


def test_two_vectors_are_measured_alone_together_and_by_every_way(world: Path) -> None:
    assert labels(combinations(parts(world), WAYS)) == [
        "v", "w", "v + w", "v + reject(w, onto=v)", "w + reject(v, onto=w)", "ties([v, w])",
        "project(v, onto=w)", "project(w, onto=v)",
    ]  # fmt: skip


def test_three_vectors_are_measured_in_pairs_and_all_together(world: Path) -> None:
    made = combinations(parts(world, "vwx"), ("reject",))

    assert [one.of for one in made if one.way == "sum"] == [
        ("v", "w"), ("v", "x"), ("w", "x"), ("v", "w", "x"),
    ]  # fmt: skip
    assert made[-1].label == "v + reject(w, onto=v) + reject(x, onto=[v, w])"
    assert len({one.identity for one in made}) == len(made)


def test_a_rejected_vector_leaves_the_other_what_it_is(world: Path, tmp_path: Path) -> None:
    v, w = tensors(world, "v"), tensors(world, "w")
    made = {one.label: one for one in combinations(parts(world), WAYS)}

    kept = saved(made["v + reject(w, onto=v)"], tmp_path)
    shared = saved(made["project(w, onto=v)"], tmp_path)

    for name in NAMES:
        along = (w[name] * v[name]).sum() / (v[name] ** 2).sum() * v[name]
        assert np.allclose(kept[name], v[name] + w[name] - along, atol=1e-6)
        assert np.allclose(shared[name], along, atol=1e-6)


def test_ties_keeps_the_share_that_it_is_told_to(world: Path, tmp_path: Path) -> None:
    for density in (0.5, 1.0):
        (made,) = (one for one in combinations(parts(world), ("ties",), density=density) if one.way == "ties")
        save(
            OPERATORS["ties"]([one.vector for one in parts(world)], density=density),
            tmp_path / "expected.safetensors",
            overwrite=True,
        )

        found, expected = saved(made, tmp_path), load_file(tmp_path / "expected.safetensors")
        assert all(np.array_equal(found[name], expected[name]) for name in NAMES)


def test_weights_are_said_and_part_of_what_a_measurement_is_known_by(world: Path) -> None:
    plain, turned = combinations(parts(world), ()), combinations(parts(world, weights=(-1, 0.5)), ())

    assert labels(turned) == ["−v", "0.5·w", "−v + 0.5·w"]
    assert not {one.identity for one in plain} & {one.identity for one in turned}
    assert combinations(parts(world), ())[2].identity == plain[2].identity


def test_norms_are_those_of_what_is_applied(world: Path) -> None:
    v, w = tensors(world, "v"), tensors(world, "w")
    naive = np.sqrt(sum(((2 * v[name] - w[name]) ** 2).sum() for name in NAMES))

    found = sizes(combinations(parts(world, weights=(2, -1)), ()))

    assert np.isclose(found["2·v − w"], naive, rtol=1e-9)


def test_what_means_nothing_is_refused(world: Path) -> None:
    both = parts(world)
    with pytest.raises(RecipeError, match="one vector alone has nothing to interfere with"):
        combinations(both[:1])
    with pytest.raises(RecipeError, match="two vectors are called 'v'"):
        combinations([both[0], both[0]])
    with pytest.raises(RecipeError, match="a weight of 0 leaves its vector out"):
        part(Vector.open(world / "v.safetensors"), [world / "v.safetensors"], Fraction(0))
    with pytest.raises(RecipeError, match="no way to combine is called 'rejet'"):
        ways_named("rejet")
    with pytest.raises(RecipeError, match="named twice"):
        ways_named("ties,ties")
    assert (ways_named("all"), ways_named("none")) == (WAYS, ())
