"""What operators meet that they cannot take: damaged numbers, names and rows that differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny
from tests.engine_operators.plainly import DEVICES, delta, op, plain, whole
from tests.engine_operators.test_every_operator import ON_DENSE
from tests.engine_operators.world import SHAPES, World, call_of, expect, plus, saved
from tests.reference import Raw, encode, from_bits, write
from weightarith.algebra import Checkpoint, Linear, Vector
from weightarith.engine.settings import Policy
from weightarith.errors import IncompatibleError, NonFiniteError
from weightarith.operators.table import OPERATORS

UP, CONV = "model.layers.0.mlp.up_proj.weight", "model.layers.1.conv.weight"


def damaged(world: World, folder: Path, bits: int, place: tuple[int, int] = (3, 5)) -> Checkpoint:
    """Return model `a` with one element of a tensor made NaN or infinite."""
    raw = world.raws["a"][UP]
    held = raw.bits.copy()
    held[place[0] * 17 + place[1]] = bits
    write(folder / "bad" / "model.safetensors", {**world.raws["a"], UP: from_bits(held, "BF16", raw.shape)})
    return Checkpoint.open(folder / "bad", label="a")


def on(world: World, bad: Checkpoint, name: str) -> Linear:
    """Return an operator's call with a damaged model in place of `a`."""
    call = call_of(name)
    models = {"a": bad, **{label: world.model(label) for label in ("base", "b", "c")}}
    operands: list[Linear] = []
    for text in call.operands:
        first, _, second = text.partition(" − ")
        operands.append(models[first] - models[second] if second else models[first])
    beside = {call.operator.beside: [world.vector(each) for each in call.beside]} if call.beside else {}
    return call.operator(operands, **call.options, **beside)


@pytest.mark.parametrize("name", ON_DENSE)
@DEVICES
def test_a_damaged_input_of_every_operator_is_named_by_file_tensor_and_place(
    world: World, tmp_path: Path, name: str, device: str
) -> None:
    for bits, shown in ((0x7FC0, "nan"), (0xFF80, "-inf")):
        made = on(world, damaged(world, tmp_path, bits), name)
        total = made if OPERATORS[name].takes == "checkpoint" else world.model("base") + made

        with pytest.raises(
            NonFiniteError, match=rf"bad/model.safetensors': tensor '{UP}' holds {shown} at \[3, 5\]"
        ):
            saved(total, tmp_path / "out", device)

        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", [(0, 0), (0, 1)])
def test_the_first_element_of_a_damaged_input_is_looked_at_too(
    world: World, tmp_path: Path, place: tuple[int, int]
) -> None:
    made = on(world, damaged(world, tmp_path, 0x7FC0, place), "ties")

    with pytest.raises(NonFiniteError, match=rf"tensor '{UP}' holds nan at \[{place[0]}, {place[1]}\]"):
        saved(world.model("base") + made, tmp_path / "out", "cpu")


@DEVICES
def test_a_damaged_input_deep_inside_is_named_too(world: World, tmp_path: Path, device: str) -> None:
    bad, base, b = damaged(world, tmp_path, 0x7FC0), world.model("base"), world.model("b")
    deep: list[Linear] = [
        base + op("task_arithmetic", [op("lines", bad - base, alpha=1, beta=1), b - base]),
        op("linear", [base + op("trim", op("task_arithmetic", [bad - base]), density=0.5), b]),
        op("trim", op("ties", [b - base, 0.5 * (bad - b)], density=0.5, over="model"), density=1),
    ]
    for total in deep:
        with pytest.raises(
            NonFiniteError, match=rf"bad/model.safetensors': tensor '{UP}' holds nan at \[3, 5\]"
        ):
            saved(total, tmp_path / "out", device)


@DEVICES
@pytest.mark.parametrize("name", ["task_arithmetic", "ties", "iso_c", "dare"])
def test_a_damaged_adapter_of_an_operator_is_named(tmp_path: Path, device: str, name: str) -> None:
    tiny.checkpoint(tmp_path / "base", tiny.weights())
    tiny.adapter(tmp_path / "ad")
    held = tiny.load(tmp_path / "ad" / "adapter_model.safetensors")
    factor = next(key for key in held if "lora_A" in key)
    held[factor] = np.where(
        np.arange(held[factor].size).reshape(held[factor].shape) == 3, np.inf, held[factor]
    )
    tiny.save(tmp_path / "ad" / "adapter_model.safetensors", held, dtype="F32")
    base, adapter = Checkpoint.open(tmp_path / "base", label="base"), Vector.open(tmp_path / "ad", label="ad")
    options = {"density": 0.5} if name == "dare" else {}

    with pytest.raises(NonFiniteError, match=r"ad/adapter_model.safetensors'.*tensor 'model\.layers\.0"):
        saved(base + op(name, adapter, **options), tmp_path / "out", device)


@DEVICES
def test_what_overflows_inside_an_operator_is_no_damage(tmp_path: Path, device: str) -> None:
    big, none = (model(tmp_path, label, {UP: encode(np.full((2, 2), value), "F64")})
                 for label, value in (("big", 1e300), ("none", 0.0)))  # fmt: skip
    with pytest.raises(NonFiniteError, match=f"an operand at tensor '{UP}' becomes too large for a float64"):
        saved(op("ties", [10**10 * (big - none)], density=0.5), tmp_path / "out", device)


@DEVICES
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_damage_that_is_allowed_is_carried_over_or_refused_by_what_cannot(
    world: World, tmp_path: Path, device: str
) -> None:
    bad, base, allow = damaged(world, tmp_path, 0x7FC0), world.model("base"), Policy(nonfinite="allow")
    for name in ("trim", "dare", "task_arithmetic", "lines"):
        call = call_of(name).options
        found = saved(base + op(name, bad - base, **call), tmp_path / name, device, policy=allow)
        wrong = {tensor: int((~np.isfinite(raw.values)).sum()) for tensor, raw in found.items()}
        assert wrong == {tensor: int(tensor == UP) for tensor in SHAPES}
    for name in ("compress", "iso_c", "tsv", "subspace_boosting"):
        call = call_of(name).options
        with pytest.raises(NonFiniteError, match=rf"{name}\(\) cannot decompose what it is given at '{UP}'"):
            saved(base + op(name, bad - base, **call), tmp_path / "out", device, policy=allow)


def test_damage_that_is_allowed_is_carried_through_a_vote_alike(world: World, tmp_path: Path) -> None:
    bad, base, b = damaged(world, tmp_path, 0x7FC0), world.model("base"), world.model("b")
    total, allow = op("ties", [bad - base, b - base], density=0.5), Policy(nonfinite="allow")
    on_torch, on_cpu = (saved(total, tmp_path / device, device, policy=allow) for device in ("torch", "cpu"))
    assert np.array_equal(np.isnan(on_cpu[UP].values), np.isnan(on_torch[UP].values))


def model(folder: Path, label: str, tensors: dict[str, Raw], called: str = "") -> Checkpoint:
    write(folder / label / "model.safetensors", tensors)
    return Checkpoint.open(folder / label, label=called or label)


@DEVICES
def test_a_tensor_that_a_model_lacks_counts_as_the_bases_where_the_policy_says_so(
    world: World, tmp_path: Path, device: str
) -> None:
    base, b = world.model("base"), world.model("b")
    held = {name: raw for name, raw in world.raws["a"].items() if name != CONV}
    less = model(tmp_path, "less", held)
    lenient = Policy(names="base")
    filled = {**delta(world, "a"), CONV: np.zeros(SHAPES[CONV])}

    for total in (op("slerp", base, less, t=0.5), base + op("ties", [less - base])):
        with pytest.raises(IncompatibleError, match=f"less lacks 1 tensors that base holds: '{CONV}'"):
            saved(total, tmp_path / "out", device)

    merged = plain("ties", [filled, delta(world, "b")], density=0.5)
    found = saved(
        base + op("ties", [less - base, b - base], density=0.5), tmp_path / "1", device,
        policy=lenient, dtype="float64",
    )  # fmt: skip
    expect(found, plus(whole(world, "base"), merged), 1e-12)
    arc = plain("slerp", [plus(whole(world, "base"), filled), whole(world, "b")], t=0.5)
    total = 0.5 * op("slerp", less, b, t=0.5) + 0.5 * base
    half = {name: 0.5 * (arc[name] + world.numbers("base", name)) for name in SHAPES}
    expect(saved(total, tmp_path / "2", device, policy=lenient, dtype="float64"), half, 1e-12)
    found = saved(less + op("trim", b - less, density=0.5), tmp_path / "3", device, policy=lenient)
    assert CONV not in found


@DEVICES
def test_shapes_that_differ_are_refused_inside_operators_too(
    world: World, tmp_path: Path, device: str
) -> None:
    base, a = world.model("base"), world.model("a")
    turned = model(tmp_path, "turned", {**world.raws["b"], CONV: encode(np.zeros((6, 3, 1)), "BF16")})
    rows = {
        name: encode(np.zeros((12, 8)), "BF16") for name in ("model.embed_tokens.weight", "lm_head.weight")
    }
    larger = model(tmp_path, "larger", {**world.raws["b"], **rows})
    calls: list[tuple[Linear, Any, str]] = [
        (base + op("ties", [a - base, turned - base]), None,
         r"shape \[6, 1, 3\] as in base, found \[6, 3, 1\] in turned"),
        (op("slerp", base, larger, t=0.5), None, r"shape \[10, 8\] as in base, found \[12, 8\] in larger"),
        (op("slerp", base, larger, t=0.5), Policy(vocabulary="base"), r"found \[12, 8\] in larger"),
    ]  # fmt: skip
    for total, policy, message in calls:
        with pytest.raises(IncompatibleError, match=message):
            saved(total, tmp_path / "out", device, policy=policy)
    lenient = Policy(vocabulary="base")
    outside = base + op("trim", a - base, density=0.5) + 0.5 * (larger - base)
    found = saved(outside, tmp_path / "outside", device, policy=lenient, dtype="float64")
    exact = plus(whole(world, "base"), plain("trim", [delta(world, "a")], density=0.5))
    exact = {
        name: each + 0.5 * ((0 if name in rows else world.numbers("b", name)) - world.numbers("base", name))
        for name, each in exact.items()
    }
    expect(found, exact, 1e-12)
