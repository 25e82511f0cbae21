"""Operators inside operators and among ordinary terms, against plain numpy of what each of them makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.engine_operators.plainly import DEVICES, delta, op, plain, small_pieces, whole
from tests.engine_operators.world import SHAPES, Values, World, expect, plus, saved, values
from tests.reference import encode, write
from weightarith.algebra import Linear, Vector

Case = Callable[[World], tuple[Linear, Values]]


def trimmed_ties(world: World) -> tuple[Linear, Values]:
    base, a, b = (world.model(label) for label in ("base", "a", "b"))
    lazy = op("trim", op("ties", [a - base, b - base], density=0.6), density=0.4)
    merged = plain("ties", [delta(world, "a"), delta(world, "b")], density=0.6)
    return lazy, plain("trim", [merged], density=0.4)


def ties_of_a_rejection_and_a_mask(world: World) -> tuple[Linear, Values]:
    base, a, b, u = (*(world.model(label) for label in ("base", "a", "b")), world.vector("u"))
    lazy = op(
        "ties",
        [op("reject", a - base, onto=u), op("dare", b - base, density=0.7, seed=2)],
        density=[0.5, 0.9],
    )
    rejected = plain("reject", [delta(world, "a"), whole(world, "u")])
    dropped = plain("dare", [delta(world, "b")], ["b − base"], density=0.7, seed=2)
    return lazy, plain("ties", [rejected, dropped], density=[0.5, 0.9])


def a_point_on_an_arc_among_ordinary_terms(world: World) -> tuple[Linear, Values]:
    base, a, b, c = (world.model(label) for label in ("base", "a", "b", "c"))
    lazy = op("slerp", a, b, t=0.3) + (c - base)
    return lazy, plus(plain("slerp", [whole(world, "a"), whole(world, "b")], t=0.3), delta(world, "c"))


def half_an_arc_of_vectors_onto_a_base(world: World) -> tuple[Linear, Values]:
    base, a, b = (world.model(label) for label in ("base", "a", "b"))
    lazy = base + 0.5 * op("slerp", a - base, b - base, t=0.3)
    arc = plain("slerp", [delta(world, "a"), delta(world, "b")], t=0.3)
    return lazy, plus(whole(world, "base"), arc, 0.5)


def a_vector_and_a_consensus(world: World) -> tuple[Linear, Values]:
    base, a, b, u = (*(world.model(label) for label in ("base", "a", "b")), world.vector("u"))
    lazy = u - 1.5 * op("ties", [a - base, 0.3 * u, b - a], density=0.5)
    scaled = {name: 0.3 * each for name, each in whole(world, "u").items()}
    merged = plain("ties", [delta(world, "a"), scaled, delta(world, "b", "a")], density=0.5)
    return lazy, plus(whole(world, "u"), merged, -1.5)


def two_arcs_that_cancel_but_for_a_difference(world: World) -> tuple[Linear, Values]:
    base, a, b = (world.model(label) for label in ("base", "a", "b"))
    lazy = op("slerp", a, b, t=0.3) - op("slerp", a, b, t=0.6)
    first, second = (plain("slerp", [whole(world, "a"), whole(world, "b")], t=t) for t in (0.3, 0.6))
    del base
    return lazy, plus(first, second, -1)


def the_same_call_twice(world: World) -> tuple[Linear, Values]:
    base, a = world.model("base"), world.model("a")
    one, other = (op("trim", a - base, density=0.5) for _ in range(2))
    lazy = op("elect", [one + other, 2 * one, other - 0.5 * one], weights=[1, -2, 1])
    kept = plain("trim", [delta(world, "a")], density=0.5)
    parts = [{name: by * each for name, each in kept.items()} for by in (2, 2, 0.5)]
    return lazy, plain("elect", parts, weights=[1, -2, 1])


def a_mean_of_models_that_operators_made(world: World) -> tuple[Linear, Values]:
    base, a, b, c = (world.model(label) for label in ("base", "a", "b", "c"))
    moved = base + 2 * op("trim", c - base, density=0.3)
    lazy = op("linear", [op("slerp", a, b, t=0.5), moved, c], weights=[1, 2, 1])
    arc = plain("slerp", [whole(world, "a"), whole(world, "b")], t=0.5)
    kept = plus(whole(world, "base"), plain("trim", [delta(world, "c")], density=0.3), 2)
    return lazy, plain("linear", [arc, kept, whole(world, "c")], weights=[1, 2, 1])


def three_deep_with_rows_and_columns(world: World) -> tuple[Linear, Values]:
    base, a, b, u = (*(world.model(label) for label in ("base", "a", "b")), world.vector("u"))
    inner = op("nuslerp", a - base, b - base, per="column")
    lazy = op("nuslerp", op("nuslerp", inner, u, per="row", weights=[3, 1]), a - b, per="column")
    rows = plain("nuslerp", [delta(world, "a"), delta(world, "b")], per="column")
    rows = plain("nuslerp", [rows, whole(world, "u")], per="row", weights=[3, 1])
    return lazy, plain("nuslerp", [rows, delta(world, "a", "b")], per="column")


def a_fusion_with_a_model_on_an_arc(world: World) -> tuple[Linear, Values]:
    base, a, b = (world.model(label) for label in ("base", "a", "b"))
    lazy = op("arcee_fusion", base, op("nuslerp", a, b, per="row"))
    arc = plain("nuslerp", [whole(world, "a"), whole(world, "b")], per="row")
    return lazy, plain("arcee_fusion", [whole(world, "base"), arc])


def the_rest_of_a_projection(world: World) -> tuple[Linear, Values]:
    base, a, u = world.model("base"), world.model("a"), world.vector("u")
    lazy = (a - base) - op("project", a - base, onto=u) - op("reject", a - base, onto=u) + 0 * u
    return lazy, {name: np.zeros(shape) for name, shape in SHAPES.items()}


CASES: list[Case] = [
    trimmed_ties, ties_of_a_rejection_and_a_mask, a_point_on_an_arc_among_ordinary_terms,
    half_an_arc_of_vectors_onto_a_base, a_vector_and_a_consensus, two_arcs_that_cancel_but_for_a_difference,
    the_same_call_twice, a_mean_of_models_that_operators_made, three_deep_with_rows_and_columns,
    a_fusion_with_a_model_on_an_arc,
]  # fmt: skip


@DEVICES
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__.replace("_", " "))
@pytest.mark.parametrize("tile", [None, 8])
def test_nested_calls_are_the_calls_of_numpy(
    world: World, tmp_path: Path, case: Case, device: str, tile: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lazy, expected = case(world)
    if tile is not None:
        small_pieces(monkeypatch, tile)

    found = saved(lazy, tmp_path / "out", device, dtype="float64")

    expect(found, expected, 1e-12)


@DEVICES
def test_a_vector_less_its_projection_and_its_rest_is_all_but_zero(
    world: World, tmp_path: Path, device: str
) -> None:
    lazy, _ = the_rest_of_a_projection(world)
    for raw in saved(lazy, tmp_path / "out", device, dtype="float64").values():
        assert np.abs(raw.values).max(initial=0) < 1e-16


@DEVICES
def test_what_is_measured_over_the_model_is_measured_inside_first(
    world: World, tmp_path: Path, device: str
) -> None:
    """The inner call is not at the first tensor, where only the other operand moves."""
    late = {name: each if ".1." in name else 0 * each for name, each in values(5, 0.3).items()}
    kept = {name: encode(each, "F32") for name, each in late.items() if ".1." in name}
    write(tmp_path / "late.safetensors", kept, {"weightarith.kind": "vector"})
    vector, u = Vector.open(tmp_path / "late.safetensors", label="late"), world.vector("u")
    inner = op("trim", vector, density=0.3, over="model")
    lazy = op("ties", [inner, u, op("trim", inner, density=0.5)], density=0.5, over="model")

    exact = {name: np.asarray(each, np.float32).astype(np.float64) for name, each in late.items()}
    trimmed = plain("trim", [exact], density=0.3, over="model")
    expected = plain(
        "ties", [trimmed, whole(world, "u"), plain("trim", [trimmed], density=0.5)], density=0.5, over="model"
    )
    expect(saved(lazy, tmp_path / "out", device, dtype="float64"), expected, 1e-12)


@DEVICES
def test_a_projection_of_a_trimmed_vector_has_one_coefficient_over_the_model(
    world: World, tmp_path: Path, device: str
) -> None:
    base, a, u = world.model("base"), world.model("a"), world.vector("u")
    trimmed = op("trim", a - base, density=0.4, over="model")
    lazy = op("project", trimmed, onto=[u, op("trim", u, density=0.5, over="model")], over="model")
    kept = plain("trim", [delta(world, "a")], density=0.4, over="model")
    bank = [whole(world, "u"), plain("trim", [whole(world, "u")], density=0.5, over="model")]
    flat = [np.concatenate([each[name].ravel() for name in SHAPES]) for each in (kept, *bank)]
    share = np.linalg.lstsq(np.stack(flat[1:]).T, flat[0], rcond=None)[0]

    found = saved(lazy, tmp_path / "out", device, dtype="float64")

    expect(found, {name: share[0] * bank[0][name] + share[1] * bank[1][name] for name in SHAPES}, 1e-12)
