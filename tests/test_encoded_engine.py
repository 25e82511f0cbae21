"""Encoded vectors in sums: they count for just the numbers they decode to, on every device."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import tiny
from tests.engines import numbers_of, outcome_of, planned
from tests.packed import VECTOR, Parts, naive, packed, vector
from tests.small import fates
from weightarith.algebra import Checkpoint, Linear, Vector
from weightarith.engine.visit import plan_of, visit
from weightarith.measure import norms
from weightarith.operators.table import OPERATORS
from weightarith.provenance import space_of
from weightarith.saving import save
from weightarith.tensorfile.encoded import Kind

KINDS: tuple[Kind, ...] = ("sign", "int8", "sparse")
DEVICES = ["cpu", "torch", pytest.param("cuda", marks=pytest.mark.gpu)]
EMBED, NORM = "model.embed_tokens.weight", "model.norm.weight"
Q, UP = "model.layers.0.self_attn.q_proj.weight", "model.layers.1.mlp.up_proj.weight"
on_every_device = pytest.mark.parametrize("device", DEVICES)
of_every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 24 float64 numbers, so that tiny tensors have several, which begin in the middle of a row."""
    monkeypatch.setattr("weightarith.engine.blocks.BLOCK_BYTES", 200)


def values(shape: tuple[int, ...], seed: int) -> tiny.Array:
    """Return float32 numbers, half of them zero."""
    random = np.random.default_rng(seed)
    return np.where(random.random(shape) < 0.5, 0.1 * random.standard_normal(shape).astype("f4"), 0.0)


def encoded(path: Path, kind: Kind, changes: tiny.Tensors, val: str = "F32") -> Vector:
    parts: Parts = {}
    for name, change in changes.items():
        parts |= packed(name, kind, change, val)
    vector(path, parts, {name: (kind, change.shape) for name, change in changes.items()})
    return Vector.open(path, label=path.stem)


def dense(path: Path, other: Vector) -> Vector:
    """Write what an encoded vector decodes to, one element at a time, as float64; call it the same."""
    tiny.save(path, {n: naive(one) for n, one in other.source.encoded.items()}, dtype="F64", metadata=VECTOR)
    return Vector.open(path, label=other.label)


def pair(folder: Path, kind: Kind, seed: int = 0, val: str = "F32") -> tuple[Vector, Vector]:
    """Return an encoded vector over part of the tiny model, and the same one as float64 numbers."""
    shapes = {EMBED: (40, 16), NORM: (16,), Q: (16, 16), UP: (32, 16)}
    changes = {name: values(shape, seed + n) for n, (name, shape) in enumerate(shapes.items())}
    one = encoded(folder / f"{kind}{seed}.safetensors", kind, changes, val)
    return one, dense(folder / f"{kind}{seed}-dense.safetensors", one)


def written(total: Linear, device: str = "cpu", dtype: str | None = None, **options: Any) -> bytes:
    return outcome_of(planned(total, dtype), device, **options)[0]


@pytest.fixture
def base(tmp_path: Path) -> Checkpoint:
    return Checkpoint.open(tiny.checkpoint(tmp_path / "base", tiny.weights()), label="base")


@on_every_device
@of_every_kind
@pytest.mark.parametrize("dtype", [None, "float32", "float64"])
def test_base_and_an_encoded_vector_make_what_base_and_its_numbers_make(
    kind: Kind, device: str, dtype: str | None, base: Checkpoint, tmp_path: Path
) -> None:
    one, other = pair(tmp_path, kind)

    for strength in (1, -0.7):
        made = written(base + strength * one, device, dtype)

        assert made == written(base + strength * other, "cpu", dtype)
        assert made == written(base + strength * one, "cpu", dtype, threads=1)


@on_every_device
def test_encoded_dense_and_factored_vectors_are_added_up_together(
    device: str, base: Checkpoint, tmp_path: Path
) -> None:
    tuned = Checkpoint.open(
        tiny.checkpoint(tmp_path / "tuned", tiny.finetuned(tiny.weights(), seed=1)), label="tuned"
    )
    lora = Vector.open(tiny.adapter(tmp_path / "lora"), label="lora")
    ones, others = zip(*(pair(tmp_path, kind, seed) for seed, kind in enumerate(KINDS)), strict=True)

    def total(vectors: tuple[Vector, ...]) -> Linear:
        return base + 0.5 * (tuned - base) + 0.5 * vectors[0] - 0.5 * vectors[1] + 1.5 * (lora - vectors[2])

    assert written(total(ones), device) == written(total(others), "cpu")
    assert written(total(ones) - base, device) == written(total(others) - base, "cpu", "float32")


@on_every_device
@of_every_kind
def test_sums_and_multiples_of_encoded_vectors_are_those_of_their_numbers(
    kind: Kind, device: str, tmp_path: Path
) -> None:
    (one, one_dense), (two, two_dense) = pair(tmp_path, kind, 0), pair(tmp_path, "int8", 7)

    for made, expected in (
        (-3 * one, -3 * one_dense),
        (one + two, one_dense + two_dense),
        (1.3 * (one - two), 1.3 * (one_dense - two_dense)),
    ):
        for dtype in ("float32", "float64"):
            assert written(made, device, dtype) == written(expected, "cpu", dtype)


CALLS: dict[str, dict[str, Any]] = {
    "ties": {"density": 0.4}, "dare_linear": {"density": 0.5, "seed": 1}, "linear": {}, "slerp": {"t": 0.3},
    "sce": {"select_topk": 0.3}, "model_stock": {},
}  # fmt: skip


@on_every_device
@of_every_kind
@pytest.mark.parametrize("name", CALLS)
def test_operators_see_encoded_vectors_as_numbers(
    name: str, kind: Kind, device: str, base: Checkpoint, tmp_path: Path
) -> None:
    (one, one_dense), (two, two_dense) = pair(tmp_path, kind, 0), pair(tmp_path, "sign", 7)
    operator = OPERATORS[name]
    made, expected = (
        1 * operator([base + a, base + b], **CALLS[name])
        if operator.takes == "checkpoint"
        else base + operator([a, b], **CALLS[name])
        for a, b in ((one, two), (one_dense, two_dense))
    )

    assert written(made, device) == written(expected, device)
    if device == "cpu":
        assert written(made, threads=1) == written(expected)


@of_every_kind
def test_one_vector_operators_and_reports_see_its_numbers(kind: Kind, tmp_path: Path) -> None:
    one, other = pair(tmp_path, kind)
    for name, options in (("trim", {"density": 0.3}), ("int8", {})):
        made, expected = (OPERATORS[name](each, **options) for each in (one, other))
        assert written(made, dtype="float32") == written(expected, dtype="float32")
    plans = [planned(OPERATORS["compress"](each, rank=3), "float32") for each in (one, other)]
    found, wanted = (numbers_of(plan, outcome_of(plan, "cpu")[0]) for plan in plans)
    assert found.keys() == wanted.keys() >= {f"{Q}::A", f"{UP}::B", NORM}
    for factor, numbers in found.items():  # taken apart as float32 in one, and as float64 in the other
        np.testing.assert_allclose(numbers, wanted[factor], rtol=1e-4, atol=1e-6)

    looked = visit(plan_of(1 * one), lambda field: field.whole()[0].astype(np.float32), threads=1)

    assert looked.keys() == one.source.encoded.keys()
    for name, found in looked.items():
        np.testing.assert_array_equal(found, naive(one.source.encoded[name]).astype(np.float32))


@settings(max_examples=20)
@given(st.sampled_from(KINDS), st.integers(1, 40), st.integers(1, 40), st.integers(0, 99), st.data())
def test_any_encoded_tensor_counts_for_the_numbers_it_decodes_to(
    kind: Kind, rows: int, columns: int, seed: int, data: st.DataObject
) -> None:
    code = data.draw(st.sampled_from(["F64", "F32", "F16", "BF16"])) if kind == "sparse" else "F32"
    strength = data.draw(st.sampled_from([1.0, -1.0, 0.3]))
    with TemporaryDirectory() as folder:
        weights = np.random.default_rng(seed).standard_normal((rows, columns))
        tiny.save(Path(folder, "base.safetensors"), {"w": weights}, dtype="BF16")
        base = Checkpoint.open(Path(folder, "base.safetensors"), label="base")
        one = encoded(Path(folder, "v.safetensors"), kind, {"w": values((rows, columns), seed)}, code)
        other = dense(Path(folder, "dense.safetensors"), one)

        expected = written(base + strength * other)
        assert written(base + strength * one) == expected
        assert written(base + strength * one, "torch", span_blocks=2) == expected


@of_every_kind
def test_empty_tensors_and_scalars_are_encoded_too(kind: Kind, tmp_path: Path) -> None:
    changes = {"s": np.array(0.5), "e": np.empty((0, 3)), "f": np.empty((3, 0)), "l": np.array([0.25])}
    one = encoded(tmp_path / "v.safetensors", kind, changes)
    tiny.save(tmp_path / "base.safetensors", {n: np.zeros_like(c) for n, c in changes.items()}, dtype="F32")
    base = Checkpoint.open(tmp_path / "base.safetensors", label="base")

    for device in ("cpu", "torch"):
        save(base + 2 * one, tmp_path / device, device=device)
        made = tiny.load(tmp_path / device)
        assert {name: change.tolist() for name, change in made.items()} == {
            "s": 1.0, "e": [], "f": [[], [], []], "l": [0.5]
        }  # fmt: skip


def test_a_plan_reads_every_part_and_says_what_is_added(base: Checkpoint, tmp_path: Path) -> None:
    one, _ = pair(tmp_path, "int8")

    plan = planned(base + 1.5 * one)

    assert fates(plan)[Q] == ("changed", "base + 1.5·int80")
    assert fates(plan)["lm_head.weight"][0] == "copied"
    assert {file.path for file in plan.inputs} == {one.source.path, base.source.files[0].path}
    (job,) = (job for job in plan.jobs if job.name == Q)
    assert job.read_bytes == 16 * 16 * 2 + 16 * 16 + 16 * 4
    assert fates(planned(0 * one))[Q] == ("absent", "every coefficient is 0")
    assert fates(planned(one - one + base))[Q][0] == "copied"


def test_only_a_vector_of_doubles_makes_doubles(tmp_path: Path) -> None:
    for kind, val, code in (("sparse", "F64", "F64"), ("sparse", "BF16", "F32"), ("int8", "F32", "F32")):
        one, _ = pair(tmp_path, kind, val=val)  # type: ignore[arg-type]
        assert {job.dtype.code for job in planned(2 * one).jobs} == {code}
        assert {job.dtype.code for job in planned(OPERATORS["trim"](one, density=0.5)).jobs} == {code}


@of_every_kind
def test_norms_are_those_of_the_numbers(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weightarith.measure.BLOCK_BYTES", 8 * 7)
    one, other = pair(tmp_path, kind)

    found, expected = norms(one.source, threads=2), norms(other.source)

    assert found.keys() == expected.keys()
    for name, norm in found.items():
        assert dataclasses.replace(norm, norm=0) == dataclasses.replace(expected[name], norm=0)
        assert norm.norm == pytest.approx(expected[name].norm, rel=1e-14)


def test_the_space_of_a_vector_does_not_tell_how_it_is_stored(tmp_path: Path) -> None:
    spaces = {space_of(each.source) for kind in KINDS for each in pair(tmp_path, kind)}

    assert len(spaces) == 1
