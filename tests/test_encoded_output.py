"""Vectors written in fewer bits: they come back as what the file says, and the loss is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny as models
from tests.conftest import Tiny
from tests.packed import naive
from tests.reference import read
from weightarith.algebra import Checkpoint, Linear, Vector, collect
from weightarith.engine.settings import Output, Policy
from weightarith.errors import InvalidFileError, NonFiniteError, RecipeError
from weightarith.kernels.encodings import encode
from weightarith.operators.table import OPERATORS
from weightarith.saving import Run, carry_out, draw, save, with_counts
from weightarith.tensorfile.encoded import KEY, MAIN, Kind, parts_of, tensor_name

KINDS: tuple[Kind, ...] = ("sign", "int8", "sparse")
UP, NORM = "model.layers.0.mlp.up_proj.weight", "model.norm.weight"
DEVICES = ["cpu", "torch", pytest.param("cuda", marks=pytest.mark.gpu)]
of_every_kind = pytest.mark.parametrize("kind", KINDS)
on_every_device = pytest.mark.parametrize("device", DEVICES)


@pytest.fixture
def task(tiny: Tiny) -> Linear:
    return Checkpoint.open(tiny.finetuned, label="tuned") - Checkpoint.open(tiny.base, label="base")


def differences(tiny: Tiny) -> models.Tensors:
    tuned, base = models.load(tiny.finetuned), models.load(tiny.base)
    return {name: tuned[name].astype(np.float64) - base[name] for name in base}


def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few bytes, and rows and elements in pieces of 24."""
    monkeypatch.setattr("weightarith.engine.blocks.BLOCK_BYTES", 200)
    monkeypatch.setattr("weightarith.engine.bench.Bench.tile", 24)
    monkeypatch.setattr("weightarith.engine.torch_bench.TILES", {"cpu": 24, "cuda": 24})


@on_every_device
@of_every_kind
@pytest.mark.parametrize("small", [False, True])
def test_matrices_are_stored_as_a_naive_encoder_stores_them(
    kind: Kind,
    device: str,
    small: bool,
    task: Linear,
    tiny: Tiny,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if small:
        small_pieces(monkeypatch)

    save(task, tmp_path / "v.safetensors", encoding=kind, device=device)

    found = read(tmp_path / "v.safetensors")
    for name, change in differences(tiny).items():
        if change.ndim == 1:
            np.testing.assert_array_equal(found.pop(name).values, change.astype(np.float32))
            continue
        expected = encode(change.astype(np.float32).astype(np.float64) if kind == "sparse" else change, kind)
        layout = parts_of(kind, change.shape, kept=expected.get("idx", np.empty(0)).size)
        for part, (dtype, shape) in layout.items():
            raw = found.pop(tensor_name(name, part))
            assert (raw.code, raw.shape) == (dtype.code, shape)
            wide = {"I32": "<i4", "F32": "<f4", "I8": "i1", "U8": "u1"}[dtype.code]
            assert raw.data == expected[part].astype(wide).tobytes()
    assert not found


@of_every_kind
def test_what_is_read_back_is_what_the_receipt_reports(
    kind: Kind, task: Linear, tiny: Tiny, tmp_path: Path
) -> None:
    receipt = save(task, tmp_path / "v.safetensors", encoding=kind)

    vector = Vector.open(tmp_path / "v.safetensors")
    assert {one.kind for one in vector.source.encoded.values()} == {kind}
    totals = np.zeros(3)
    for name, change in differences(tiny).items():
        encoded = vector.source.encoded.get(name)
        held = naive(encoded) if encoded is not None else change.astype(np.float32).astype(np.float64)
        record = receipt["tensors"][tensor_name(name, MAIN[kind]) if encoded is not None else name]
        sums = np.array([(change**2).sum(), (held**2).sum(), (change * held).sum()])
        assert record["intended"] == pytest.approx(sums[0] ** 0.5, rel=1e-5)
        assert record["realised"] == pytest.approx(sums[1] ** 0.5, rel=1e-5)
        assert record["gain"] == pytest.approx(sums[2] / sums[0], rel=1e-5)
        assert record["elements_changed"] == np.count_nonzero(held)
        assert record.get("encoding") == (kind if encoded is not None else None)
        totals += sums
    assert receipt["change"]["gain"] == pytest.approx(totals[2] / totals[0], rel=1e-5)
    assert receipt["change"]["cosine"] == pytest.approx(totals[2] / (totals[0] * totals[1]) ** 0.5, rel=1e-5)
    least = {"sign": 0.6, "int8": 0.9999, "sparse": 1.0}[kind]
    assert least <= receipt["change"]["gain"] <= 1.0001


@on_every_device
@of_every_kind
def test_equal_inputs_give_equal_bytes_and_apply_as_they_decode(
    kind: Kind, device: str, task: Linear, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(task, tmp_path / "one.safetensors", encoding=kind, threads=1)
    small_pieces(monkeypatch)
    save(task, tmp_path / "two.safetensors", encoding=kind, device=device)

    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    vector = Vector.open(tmp_path / "two.safetensors")
    save(Checkpoint.open(tiny.base) + vector, tmp_path / "out", dtype="float64", device=device)
    made, weights = models.load(tmp_path / "out"), models.load(tiny.base)
    for name, encoded in vector.source.encoded.items():
        np.testing.assert_array_equal(made[name], weights[name] + naive(encoded))


@of_every_kind
def test_an_encoded_vector_encoded_again_is_the_same_one(kind: Kind, task: Linear, tmp_path: Path) -> None:
    save(task, tmp_path / "one.safetensors", encoding=kind)
    save(1 * Vector.open(tmp_path / "one.safetensors"), tmp_path / "two.safetensors", encoding=kind)

    one, two = read(tmp_path / "one.safetensors"), read(tmp_path / "two.safetensors")
    assert one == two


@of_every_kind
def test_factors_and_single_rows_of_numbers_stay_as_they_are(kind: Kind, tiny: Tiny, tmp_path: Path) -> None:
    vector = Vector.open(tiny.positive)
    save(0.5 * vector, tmp_path / "v.safetensors", encoding=kind)
    save(0.5 * vector, tmp_path / "plain.safetensors")

    assert (tmp_path / "v.safetensors").read_bytes() == (tmp_path / "plain.safetensors").read_bytes()


@of_every_kind
def test_the_parts_lie_in_shards_that_are_read_as_one_vector(
    kind: Kind, task: Linear, tmp_path: Path
) -> None:
    save(task, tmp_path / "one.safetensors", encoding=kind)
    save(task, tmp_path / "many", encoding=kind, shard_size=700)

    assert len(list((tmp_path / "many").glob("*.safetensors"))) > 1
    assert read(tmp_path / "many") == read(tmp_path / "one.safetensors")
    assert (
        Vector.open(tmp_path / "many").source.encoded.keys()
        == Vector.open(tmp_path / "one.safetensors").source.encoded.keys()
    )


@of_every_kind
def test_what_operators_make_is_encoded_too(kind: Kind, task: Linear, tiny: Tiny, tmp_path: Path) -> None:
    other = Checkpoint.open(tiny.other, label="other") - Checkpoint.open(tiny.base, label="base")
    for over in ("tensor", "model"):
        made = OPERATORS["trim"](task + other, density=0.2, over=over)
        save(made, tmp_path / f"{over}-dense.safetensors")
        save(made, tmp_path / f"{over}.safetensors", encoding=kind)

        dense = read(tmp_path / f"{over}-dense.safetensors")
        for name, encoded in Vector.open(tmp_path / f"{over}.safetensors").source.encoded.items():
            if kind == "sparse":
                np.testing.assert_array_equal(naive(encoded), dense[name].values)
                assert encoded.length("idx") == np.count_nonzero(dense[name].values)
            else:
                assert encoded.shape == dense[name].shape


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_sparse_values_are_of_the_dtype_of_the_output(dtype: str, task: Linear, tmp_path: Path) -> None:
    total = 1e-6 * OPERATORS["trim"](task, density=0.5)  # in float16 some of it vanishes

    save(total, tmp_path / "dense.safetensors", dtype=dtype)
    save(total, tmp_path / "v.safetensors", dtype=dtype, encoding="sparse")

    dense = read(tmp_path / "dense.safetensors")
    for name, encoded in Vector.open(tmp_path / "v.safetensors").source.encoded.items():
        np.testing.assert_array_equal(naive(encoded), dense[name].values)
        assert encoded.code("val") == dense[name].code
        assert encoded.length("val") == np.count_nonzero(dense[name].values)


def test_a_plan_of_a_sparse_vector_says_that_its_elements_are_yet_to_be_counted(
    task: Linear, tmp_path: Path
) -> None:
    total = collect(OPERATORS["trim"](task, density=0.1).terms)
    output = Output(tmp_path / "v.safetensors", encoding="sparse")
    moved: list[int] = []

    first = draw(total, output)
    then = with_counts(first, Run(progress=moved.append))

    assert (first.uncounted, then.uncounted) == (True, False)
    assert then.write_bytes < first.write_bytes / 4
    assert moved[-1] == first.counting_bytes < first.read_bytes == then.read_bytes
    assert then.counting_bytes == 0
    assert with_counts(then) is then
    carry_out(then)
    assert (tmp_path / "v.safetensors").stat().st_size == then.write_bytes
    assert not draw(total, Output(tmp_path / "w.safetensors", encoding="int8")).uncounted


@on_every_device
@pytest.mark.parametrize("off", [-1, 1])
def test_a_count_that_is_off_is_an_error_and_nothing_is_written(
    off: int, device: str, task: Linear, tmp_path: Path
) -> None:
    total, output = collect(task.terms), Output(tmp_path / "v.safetensors", encoding="sparse")
    names = {name: int(np.count_nonzero(one.values)) for name, one in written_dense(task, tmp_path).items()}

    plan = draw(total, output, kept=names | {UP: names[UP] + off})

    with pytest.raises(InvalidFileError, match=f"'{UP}' is another one than when its elements were counted"):
        carry_out(plan, Run(device))
    assert not output.path.exists()


def written_dense(total: Linear, folder: Path) -> Any:
    save(total, folder / "dense.safetensors")
    return read(folder / "dense.safetensors")


def test_signs_take_one_more_reading(task: Linear, tmp_path: Path) -> None:
    def reads(encoding: Kind | None) -> int:
        return sum(
            job.read_bytes
            for job in draw(collect(task.terms), Output(tmp_path / "v", encoding=encoding)).jobs
            if job.tensor == UP
        )

    assert reads("int8") == reads(None)
    assert reads("sign") == 2 * reads(None)


def test_the_header_says_what_is_encoded(task: Linear, tmp_path: Path) -> None:
    save(task, tmp_path / "v.safetensors", encoding="sign")

    told = json.loads(Vector.open(tmp_path / "v.safetensors").source.metadata[KEY])
    assert told[UP] == {"enc": "sign", "shape": [32, 16]}
    assert NORM not in told
    save(task, tmp_path / "plain.safetensors")
    assert KEY not in Vector.open(tmp_path / "plain.safetensors").source.metadata


def test_a_tensor_that_is_zero_is_encoded_as_such(tiny: Tiny, tmp_path: Path) -> None:
    base, same = Checkpoint.open(tiny.base, label="a"), Checkpoint.open(tiny.finetuned, label="b")
    models.checkpoint(tmp_path / "same", models.load(tiny.base))
    same = Checkpoint.open(tmp_path / "same", label="b")
    for kind in KINDS:
        save(same - base, tmp_path / f"{kind}.safetensors", encoding=kind)
        for encoded in Vector.open(tmp_path / f"{kind}.safetensors").source.encoded.values():
            np.testing.assert_array_equal(naive(encoded), np.zeros(encoded.shape))


def test_models_and_unknown_encodings_are_refused(task: Linear, tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="the encoding int8 is one of vectors, and the result is a model"):
        save(Checkpoint.open(tiny.base) + 0.5 * task, tmp_path / "out", encoding="int8")
    with pytest.raises(RecipeError, match="unknown encoding 'int4'; known are sign, int8, sparse"):
        save(task, tmp_path / "v.safetensors", encoding="int4")
    assert not (tmp_path / "out").exists()


def nonfinite(tmp_path: Path, number: float) -> Linear:
    values = np.zeros((3, 4))
    values[1, 2] = number
    models.save(tmp_path / "b.safetensors", {"w": values}, dtype="F64")
    models.save(tmp_path / "a.safetensors", {"w": np.zeros((3, 4))}, dtype="F64")
    a, b = (Checkpoint.open(tmp_path / f"{name}.safetensors", label=name) for name in "ab")
    return b - a


@on_every_device
@of_every_kind
def test_numbers_that_are_not_finite_are_refused(kind: Kind, device: str, tmp_path: Path) -> None:
    total, target = nonfinite(tmp_path, np.nan), tmp_path / "v.safetensors"
    options: dict[str, Any] = {"encoding": kind, "device": device}

    with pytest.raises(NonFiniteError, match=r"b\.safetensors': tensor 'w' holds nan at \[1, 2\]"):
        save(total, target, **options)
    if kind == "sparse":
        save(total, target, policy=Policy(nonfinite="allow"), **options)
        assert np.isnan(naive(Vector.open(target).source.encoded["w"])[1, 2])
    else:
        with pytest.raises(NonFiniteError, match=f"'w' holds a number that the encoding {kind} cannot"):
            save(total, target, policy=Policy(nonfinite="allow"), **options)


@pytest.mark.parametrize("kind", ["sign", "int8"])
def test_a_scale_that_float32_cannot_hold_is_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError, match=f"'w' holds a number that the encoding {kind} cannot"):
        save(nonfinite(tmp_path, 1e300), tmp_path / "v.safetensors", encoding=kind)
