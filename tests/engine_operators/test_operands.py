"""What operators are given: every dtype, encoded vectors, adapters, parts of vectors, options that vary."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import packed, tiny
from tests.engine_operators.plainly import DEVICES, delta, op, plain, whole
from tests.engine_operators.world import SHAPES, Values, World, build, expect, plus, saved, stored, values
from tests.reference import encode, from_bits, read, rounded, write
from tests.small import with_head
from weightarith.algebra import Checkpoint, Vector
from weightarith.engine.settings import Policy
from weightarith.errors import IncompatibleError, WeightArithError
from weightarith.recipe import parse_expression
from weightarith.store import open_source
from weightarith.weighting import Rule, Schedule, Selection, Where

NAMES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64"}


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, World]:
    return {code: build(tmp_path_factory.mktemp(code), code) for code in NAMES}


@DEVICES
@pytest.mark.parametrize("out", NAMES)
@pytest.mark.parametrize("code", NAMES)
def test_every_dtype_goes_in_and_out(
    worlds: dict[str, World], tmp_path: Path, code: str, out: str, device: str
) -> None:
    world = worlds[code]
    base, a, b = (world.model(label) for label in ("base", "a", "b"))
    lazy = (
        base
        + op("ties", [a - base, worlds["F64"].model("c") - b], density=0.5)
        + op("nuslerp", a - b, b - base, per="row")
    )
    mixed = {name: worlds["F64"].raws["c"][name].values - world.raws["b"][name].values for name in SHAPES}
    merged = plain("ties", [delta(world, "a"), mixed], density=0.5)
    arc = plain("nuslerp", [delta(world, "a", "b"), delta(world, "b")], per="row")

    found = saved(lazy, tmp_path / "out", device, dtype=NAMES[out])

    assert {raw.code for raw in found.values()} == {out}
    expect(found, plus(plus(whole(world, "base"), merged), arc), 1e-12)


@DEVICES
def test_a_vector_of_an_operator_is_as_wide_as_the_widest_of_what_it_is_made_of(
    worlds: dict[str, World], tmp_path: Path, device: str
) -> None:
    narrow, wide = worlds["BF16"], worlds["F64"]
    for number, (model, code) in enumerate(((narrow.model("a"), "F32"), (wide.model("a"), "F64"))):
        made = op("trim", op("slerp", model, narrow.model("b"), t=0.5) - narrow.model("base"), density=0.5)
        found = saved(made, tmp_path / f"{number}", device)
        assert {raw.code for raw in found.values()} == {code}


@DEVICES
@pytest.mark.parametrize("kind", ["sign", "int8", "sparse"])
def test_encoded_vectors_are_operands_as_they_are_decoded(
    world: World, tmp_path: Path, device: str, kind: str
) -> None:
    a, base, b = (world.model(label) for label in ("a", "base", "b"))
    saved(op("trim", a - base, density=0.4), tmp_path / "v.safetensors", encoding=kind)
    source = open_source(tmp_path / "v.safetensors")
    dense: Values = {name: packed.decoded(each, 64) for name, each in source.encoded.items()}
    dense |= {name: read(tmp_path / "v.safetensors")[name].values for name in source.tensors}
    exact = {name: dense.get(name, np.zeros(shape)) for name, shape in SHAPES.items()}
    vector = Vector.open(tmp_path / "v.safetensors", label="v")
    merged = plain("ties", [exact, delta(world, "b")], density=[0.3, 0.7], over="model")
    arc = plain("nuslerp", [exact, delta(world, "b")], per="row")

    lazy = op("ties", [vector, b - base], density=[0.3, 0.7], over="model") - 2 * op(
        "nuslerp", vector, b - base, per="row"
    )

    expect(saved(lazy, tmp_path / "out", device, dtype="float64"), plus(merged, arc, -2), 1e-12)


@DEVICES
@pytest.mark.parametrize("kind", ["sign", "int8", "sparse"])
def test_what_operators_make_is_stored_encoded_as_the_same_vector_is(
    world: World, tmp_path: Path, device: str, kind: str
) -> None:
    a, base, b = (world.model(label) for label in ("a", "base", "b"))
    lazy = op("dare", a - base, density=0.3) + 0.5 * op("trim", b - base, density=0.5, over="model")
    saved(lazy, tmp_path / "plain.safetensors", device, dtype="float64")
    vector = Vector.open(tmp_path / "plain.safetensors", label="v")

    straight = saved(lazy, tmp_path / "straight", device, encoding=kind, dtype="float32")

    assert straight == saved(vector, tmp_path / "by-file", device, encoding=kind, dtype="float32")


@DEVICES
def test_selections_and_schedules_weigh_operands_and_results(
    world: World, tmp_path: Path, device: str
) -> None:
    base, a, b = (world.model(label) for label in ("base", "a", "b"))
    early = Selection((Rule(Fraction(1, 2), layers=(0, 0)),), Fraction(0))
    ramp = Schedule((Fraction(0), Fraction(2)), Fraction(3))
    by_name = Where("*mlp*", Fraction(1, 4), ramp)
    lazy = base + op(
        "ties", [(a - base).weighted(early), (b - base).weighted(ramp)], density=[0.5, by_density()]
    ).__mul__(1).weighted(by_name)

    expected: dict[str, Any] = {}
    for name in SHAPES:
        first = delta(world, "a")[name] * (0.5 if ".layers.0." in name else 0)
        second = delta(world, "b")[name] * (0 if ".layers.0." in name else 2 if ".layers." in name else 3)
        density = [0.5, 0.9 if "bias" in name else 0.4]
        merged = plain("ties", [{**delta(world, "a"), name: first}, {**delta(world, "b"), name: second}],
                       density=density)[name]  # fmt: skip
        share = 0.25 if "mlp" in name else 0 if ".layers.0." in name else 2 if ".layers." in name else 3
        expected[name] = world.numbers("base", name) + share * merged
    expect(saved(lazy, tmp_path / "out", device, dtype="float64"), expected, 1e-12)


def by_density() -> Where:
    return Where("*.bias", Fraction(9, 10), Fraction(2, 5))


@DEVICES
def test_options_vary_from_tensor_to_tensor_in_a_recipe(world: World, tmp_path: Path, device: str) -> None:
    names = {label: world.model(label) for label in ("base", "a", "b")}
    text = 'slerp(a, b, t=where("*mlp*", gradient(0.25, 1), 0.5))'
    text += " + 0.5*nearswap(a - base, t=gradient(0.001, 0.003, elsewhere=0))"
    found = saved(parse_expression(text, names), tmp_path / "out", device, dtype="float64")

    for name in SHAPES:
        t = 0.25 if "mlp" in name else 0.5
        step = 0.001 if ".layers.0." in name else 0.003 if ".layers." in name else 0.0
        arc = plain("slerp", [whole(world, "a"), whole(world, "b")], t=t)[name]
        swapped = plain("nearswap", [delta(world, "a")], t=step)[name]
        expect({name: found[name]}, {name: arc + 0.5 * swapped}, 1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base + ties([a - base], density=gradient(0.1, 1.9))",
         r"ties\(density=1.9\) at 'model.layers.1.*' is out of range: between 0 and 1"),
        ('base + ties([a - base], density=gradient(0.1, 0.9), over="model")',
         r"ties\(over='model'\) cannot vary from tensor to tensor, and it does at 'model.layers"),
        ('base + ties([a - base], density=where("*lstm*", 0.1, 0.9))', r"matches no tensor: name '\*lstm\*'"),
        ('base + ties([restrict(a - base, layers="7"), b - base])', "matches no tensor: layers 7-7"),
        ("slerp(a, b, t=0.5) + gradient(0, 1)*ties([a - base, b])", "and b is a model"),
    ],
)  # fmt: skip
def test_numbers_that_vary_are_refused_where_they_mean_nothing(
    world: World, tmp_path: Path, text: str, message: str
) -> None:
    names = {label: world.model(label) for label in ("base", "a", "b")}
    with pytest.raises(WeightArithError, match=message):
        saved(parse_expression(text, names), tmp_path / "out")


def test_a_selection_on_a_model_inside_an_operator_is_refused(world: World, tmp_path: Path) -> None:
    base, a, b = (world.model(label) for label in ("base", "a", "b"))
    half = Selection((Rule(Fraction(1, 2), layers=(0, 0)),))
    lazy = op("slerp", a.weighted(half), b, t=0.5)
    with pytest.raises(WeightArithError, match=r"in an operand of slerp\(\) sum to 0.5 and not to 1"):
        saved(base + (lazy - base), tmp_path / "out")


@DEVICES
def test_an_adapter_with_a_trained_head_is_an_operand_beside_its_base(tmp_path: Path, device: str) -> None:
    tiny.checkpoint(tmp_path / "base", tiny.weights(), dtype="F64")
    base = Checkpoint.open(tmp_path / "base", label="base")
    with_head(tiny.adapter(tmp_path / "ad", seed=3), 0.5)
    adapter = Vector.open(tmp_path / "ad", label="ad", base=base)
    found = saved(base + 2 * op("trim", adapter, density=0.25), tmp_path / "out", device)

    head = tiny.load(tmp_path / "base")["lm_head.weight"]
    change = 0.5 - head
    least = np.sort(abs(change).ravel())[::-1][change.size // 4 - 1]
    expected = head + 2 * np.where(abs(change) >= least, change, 0)
    expect({"lm_head.weight": found["lm_head.weight"]}, {"lm_head.weight": expected}, 1e-14)
    lost = Vector.open(tmp_path / "ad", label="ad")
    with pytest.raises(IncompatibleError, match=r"ad holds a fully trained 'lm_head.weight'.*not known"):
        saved(op("trim", lost, density=0.5), tmp_path / "lost", device)


@DEVICES
def test_what_is_multiplied_by_nothing_is_not_made_and_what_is_negative_is_turned_round(
    world: World, tmp_path: Path, device: str
) -> None:
    base, a, b, u = (*(world.model(label) for label in ("base", "a", "b")), world.vector("u"))
    consensus = op("ties", [a - base, b - base], density=0.5)
    model = stored({name: world.numbers("base", name) for name in SHAPES})
    assert saved(base + 0 * consensus, tmp_path / "none", device) == model
    assert saved(base + op("ties", [0 * (a - base), b - b]), tmp_path / "zeros", device) == model
    assert saved(0 * consensus, tmp_path / "empty", device) == {}
    assert saved(consensus - consensus, tmp_path / "gone", device) == {}
    one_of_two = saved(op("ties", [0 * u + 0 * (a - b), b - base], density=0.5), tmp_path / "one", device)
    expect(one_of_two, plain("ties", [delta(world, "a", "a"), delta(world, "b")], density=0.5))
    turned = saved(-1.5 * consensus, tmp_path / "turned", device)
    straight = saved(1.5 * consensus, tmp_path / "straight", device)
    for name, raw in turned.items():
        assert np.array_equal(raw.values, -straight[name].values)


@DEVICES
def test_a_result_too_large_for_its_dtype_is_refused(world: World, tmp_path: Path, device: str) -> None:
    for label, factor in (("big", 6e4), ("none", 0.0)):
        numbers = {name: factor * np.ones(shape) for name, shape in SHAPES.items()}
        write(tmp_path / label / "model.safetensors", stored(numbers))
    big, none = (Checkpoint.open(tmp_path / label, label=label) for label in ("big", "none"))
    lazy = none + 2 * op("trim", big - none, density=1)
    with pytest.raises(WeightArithError, match=r"the sum is inf at \[.*\] of tensor .*: too large for F16"):
        saved(lazy, tmp_path / "out", device, dtype="float16")
    assert np.isfinite(rounded(np.array(12e4), "BF16"))
    del world


@DEVICES
def test_buffers_of_integers_are_copied_where_all_models_agree(
    world: World, tmp_path: Path, device: str
) -> None:
    ids = "model.layers.0.position_ids"
    for label, first in (("base", 1), ("a", 1), ("b", 2)):
        write(
            tmp_path / label / "model.safetensors",
            {**world.raws[label], ids: from_bits(np.array([first, 2]), "I64")},
        )
    base, a, b = (Checkpoint.open(tmp_path / label, label=label) for label in ("base", "a", "b"))
    agreeing = (op("slerp", base, a, t=0.5), base + op("ties", [a - base]), op("ties", [a - base]))
    differing = (op("slerp", base, b, t=0.5), base + op("ties", [a - base, b - base]), op("sce", [a - b]))
    for number, total in enumerate(agreeing):
        found = saved(total, tmp_path / f"{number}", device)
        assert (ids in found) == (number < 2)
        assert ids not in found or found[ids].bits.tolist() == [1, 2]
    for number, total in enumerate(differing):
        with pytest.raises(IncompatibleError, match=rf"tensor '{ids}' \(I64\) differs in b"):
            saved(total, tmp_path / "refused", device)
        found = saved(total, tmp_path / f"b{number}", device, policy=Policy(integers="base"))
        assert (ids in found) == (number < 2)


def test_values_of_the_world_are_small_enough_for_every_dtype() -> None:
    assert all(abs(each).max(initial=0) < 1 for each in values(0).values())
    assert encode(np.zeros(0), "F16").values.size == 0
