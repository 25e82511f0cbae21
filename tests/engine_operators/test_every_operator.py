"""Every operator through the whole engine: plan, threads, blocks, rounding, receipt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny
from tests.engine_operators.plainly import DEVICES, small_pieces
from tests.engine_operators.world import (
    SHAPES,
    SPECTRAL,
    Model,
    World,
    answered,
    call_of,
    expect,
    mask_key,
    plus,
    saved,
    settings,
)
from tests.reference import Raw, encode, write
from weightarith.algebra import Checkpoint, Linear, Vector, collect
from weightarith.engine.settings import Output
from weightarith.operators.field import Product, Tensors
from weightarith.operators.table import OPERATORS
from weightarith.saving import Run, carry_out, draw, encoding_named

ON_DENSE = sorted(OPERATORS.keys() - {"core_space"})  # which takes adapters alone
CODES = {"bfloat16": "BF16", "float32": "F32", "float64": "F64"}
every_operator = pytest.mark.parametrize("name", ON_DENSE)


def lazily(world: World, name: str) -> Linear:
    """Return a model: what an operator makes of models, or a base and what it makes of vectors."""
    made = call_of(name).lazily(world)
    return made if OPERATORS[name].takes == "checkpoint" else world.model("base") + made


def exactly(world: World, name: str) -> dict[str, Any]:
    expected = call_of(name).expected(world)
    if OPERATORS[name].takes == "checkpoint":
        return expected
    return plus({tensor: world.numbers("base", tensor) for tensor in SHAPES}, expected)


@every_operator
@DEVICES
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_what_is_saved_is_what_the_operator_makes_of_arrays_rounded_once(
    world: World, tmp_path: Path, name: str, dtype: str, device: str
) -> None:
    found = saved(lazily(world, name), tmp_path / "out", device, dtype=dtype)

    assert {raw.code for raw in found.values()} == {CODES[dtype]}
    expect(found, exactly(world, name), 1e-6 if name in SPECTRAL else 1e-13)
    if device == "torch" and name not in SPECTRAL:
        assert found == saved(lazily(world, name), tmp_path / "cpu", dtype=dtype)


@every_operator
def test_neither_threads_nor_tiles_nor_blocks_nor_shards_change_a_byte(
    world: World, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = lazily(world, name) - world.model("base")
    for device in ("cpu", "torch"):
        once = saved(made, tmp_path / device, device, threads=1)
        assert saved(made, tmp_path / f"{device}-3", device, threads=3, shard_size=2000) == once
        with monkeypatch.context() as patch:
            small_pieces(patch, 24)
            # what is summed in other pieces differs by its rounding in float64, which float32 does not show
            assert saved(made, tmp_path / f"{device}-tiles", device, threads=2) == once


@every_operator
def test_neither_threads_nor_the_order_of_terms_change_a_receipt(
    world: World, tmp_path: Path, name: str
) -> None:
    base, u, made = world.model("base"), world.vector("u"), lazily(world, name)
    written = []
    for threads, total in ((1, made + 0.5 * u - 0.25 * (u - u)), (3, made + 0.5 * u - 0.25 * (u - u))):
        saved(total, tmp_path / "out", threads=threads, overwrite=threads > 1)
        written.append((tmp_path / "out" / "weightarith.json").read_bytes())
    assert written[0] == written[1]

    parts = [made, -1 * base, 0.5 * u, 0.1 * (world.model("c") - base)]
    straight = parts[0] + parts[1] + parts[2] + parts[3]
    turned = parts[3] + parts[2] + (parts[1] + parts[0])
    assert saved(straight, tmp_path / "s", dtype="float64") == saved(turned, tmp_path / "t", dtype="float64")


def adapters(folder: Path) -> tuple[Checkpoint, list[Vector]]:
    tiny.checkpoint(folder / "base", tiny.weights(), dtype="F64")
    for seed in (3, 4):
        tiny.adapter(folder / f"ad{seed}", seed=seed)
    base = Checkpoint.open(folder / "base", label="base")
    return base, [Vector.open(folder / f"ad{seed}", label=f"ad{seed}") for seed in (3, 4)]


def factors(folder: Path, name: str) -> list[Product] | None:
    found = []
    for seed in (3, 4):
        held = tiny.load(folder / f"ad{seed}" / "adapter_model.safetensors")
        stem = f"base_model.model.{name.removesuffix('.weight')}"
        if f"{stem}.lora_A.weight" not in held:
            return None
        left, right = (held[f"{stem}.lora_{side}.weight"].astype(np.float64) for side in "BA")
        found.append(Product(2.0 * left, right))  # alpha / rank
    return found


@DEVICES
@pytest.mark.parametrize(
    "name", sorted(each.name for each in OPERATORS.values() if each.takes != "checkpoint" and not each.beside)
)
def test_operators_on_adapters_make_what_they_make_of_products(
    tmp_path: Path, name: str, device: str
) -> None:
    base, vectors = adapters(tmp_path)
    operator, count = OPERATORS[name], OPERATORS[name].most or 2
    options = {**call_of(name).options, **({"density": 0.5, "over": "tensor"} if name == "ties" else {})}
    found = saved(base + operator(vectors[:count], **options), tmp_path / "out", device, dtype="float64")

    expected = {}
    for tensor, weight in tiny.load(tmp_path / "base").items():
        expected[tensor] = weight
        products = factors(tmp_path, tensor)
        if products is not None:
            expected[tensor] = weight + made(operator.name, products[:count], tensor, options)
    expect(found, expected, 1e-6 if name in SPECTRAL else 1e-12)


def made(name: str, products: list[Product], tensor: str, options: dict[str, Any]) -> Any:
    operator = OPERATORS[name]
    keys = [mask_key(f"ad{seed}", tensor) for seed in (3, 4)][: len(products)]
    field = Tensors(
        [one.left @ one.right for one in products], name=tensor, keys=keys, depth=2, factors=products
    )
    given = settings(operator, len(products), options)
    if operator.prepare is not None:
        given["state"] = operator.prepare(Model([field]), **given) if given["over"] == "model" else None
    return answered(operator, field, given)


def test_a_tensor_larger_than_any_sample_is_made_as_arrays_are(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    name, shape = "model.layers.0.mlp.up_proj.weight", (301, 997)  # two tiles of the CPU, ten of torch
    raws: dict[str, Raw] = {
        label: encode(0.01 * random.standard_normal(shape), "BF16") for label in ("a", "b", "base")
    }
    for label, raw in raws.items():
        write(tmp_path / label / "model.safetensors", {name: raw})
    base, a, b = (Checkpoint.open(tmp_path / label, label=label) for label in ("base", "a", "b"))
    deltas = [raws[label].values - raws["base"].values for label in "ab"]
    for operator, options in (("ties", {"density": 0.3}), ("breadcrumbs", {"density": 0.8, "gamma": 0.05})):
        run = OPERATORS[operator]
        field = Tensors(deltas, name=name)
        expected = answered(run, field, settings(run, 2, options))
        for device in ("cpu", "torch"):
            path = tmp_path / f"{operator}-{device}.safetensors"
            found = saved(run([a - base, b - base], **options), path, device, dtype="float64")
            expect(found, {name: expected}, 1e-15)


@DEVICES
@pytest.mark.parametrize("name", ["ties", "slerp", "compress", "dare"])
def test_progress_ends_with_every_byte_that_is_read_and_written(
    world: World, tmp_path: Path, name: str, device: str
) -> None:
    for number, encoding in enumerate((None, "int8")):
        moved: list[int] = []
        total = collect((lazily(world, name) - world.model("base")).terms)
        path = tmp_path / f"{number}.safetensors"
        plan = draw(total, Output(path, encoding=encoding_named(encoding)))
        carry_out(plan, Run(device, 2, moved.append))
        tensors = sum(job.nbytes for job in plan.jobs)
        assert moved[-1] == plan.read_bytes + tensors <= plan.read_bytes + plan.write_bytes
