"""A tiny model with tensors of every kind, every operator called on it, and what each is to make of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.reference import Raw, encode, read, rounded, write
from weightarith.algebra import Checkpoint, Linear, Vector
from weightarith.operators.field import Array, Tensors, computed
from weightarith.operators.operator import Operator
from weightarith.operators.table import OPERATORS
from weightarith.saving import save

Doubles = NDArray[np.float64]
Values = dict[str, Doubles]

STREAM = 8
SHAPES: dict[str, tuple[int, ...]] = {
    "model.embed_tokens.weight": (10, STREAM),
    "model.layers.0.mlp.down_proj.weight": (STREAM, 17),
    "model.layers.0.mlp.up_proj.weight": (40, 17),  # several tiles
    "model.layers.0.input_layernorm.weight": (13,),
    "model.layers.0.nothing": (0, 4),
    "model.layers.1.self_attn.q_proj.weight": (12, 12),
    "model.layers.1.self_attn.q_proj.bias": (1,),
    "model.layers.1.conv.weight": (6, 1, 3),
    "model.layers.1.scale": (),
    "lm_head.weight": (10, STREAM),
}
DEPTH = 2
BUFFER = "model.layers.0.position_ids"
DIRECTION = tuple(float(number) for number in (1, -2, 3, 0, 0.5, -1, 2, 1))

OPTIONS: Mapping[str, dict[str, Any]] = {
    "abliterate": {"direction": DIRECTION},
    "breadcrumbs": {"density": 0.7, "gamma": 0.1},
    "breadcrumbs_ties": {"density": 0.7, "gamma": 0.1},
    "compress": {"rank": 3},
    "dare": {"density": 0.6, "seed": 3},
    "dare_linear": {"density": 0.6, "seed": 3},
    "dare_ties": {"density": 0.6, "seed": 3},
    "della": {"density": 0.6, "epsilon": 0.1, "seed": 3},
    "della_linear": {"density": 0.6, "epsilon": 0.1, "seed": 3},
    "expo": {"alpha": 0.4},
    "lines": {"alpha": 0.3, "beta": 0.9},
    "magprune": {"density": 0.6, "epsilon": 0.1, "seed": 3},
    "nearswap": {"t": 0.002},
    "nuslerp": {"weights": [1, 2], "per": "row"},
    "passthrough": {"scale": 0.9},
    "ramplus": {"over": "model"},
    "sce": {"select_topk": 0.6},
    "slerp": {"t": 0.3},
    "ties": {"density": [0.4, 0.5, 0.6], "over": "model"},
    "trim": {"density": 0.4},
}
"""What operators are given where a default would not do, or would test little."""

SPECTRAL = frozenset((
    "compress", "core_space", "iso_c", "iso_cts", "knots", "safe_lora", "subspace_boosting", "tsv",
))  # fmt: skip
"""Operators that work on whole matrices, in float32 where no input is wider."""


def values(seed: int, size: float = 0.1) -> Values:
    """Return numbers for every tensor."""
    random = np.random.default_rng(seed)
    return {name: size * random.standard_normal(shape) for name, shape in SHAPES.items()}


def stored(numbers: Mapping[str, Any], code: str = "BF16") -> dict[str, Raw]:
    """Return numbers as a file of one dtype stores them."""
    return {name: encode(each, code) for name, each in numbers.items()}


@dataclass(frozen=True)
class World:
    """A base, three models near it, two vectors and three maps of importance; `raws` is what is in files."""

    folder: Path
    raws: Mapping[str, Mapping[str, Raw]]

    def model(self, label: str) -> Checkpoint:
        return Checkpoint.open(self.folder / label, label=label)

    def vector(self, label: str) -> Vector:
        return Vector.open(self.folder / f"{label}.safetensors", label=label)

    def numbers(self, text: str, name: str) -> Doubles:
        """Return an input at a tensor, `a`, or the difference of two, `a − base`, in float64."""
        first, _, second = text.partition(" − ")
        own = self.raws[first][name].values
        return own - self.raws[second][name].values if second else own


def build(folder: Path, code: str = "BF16") -> World:
    """Write the inputs into a folder."""
    base = values(0)
    raws = {"base": stored(base, code)}
    for seed, label in enumerate("abc", start=1):
        change = values(seed, 0.01)
        raws[label] = stored({name: base[name] + change[name] for name in base}, code)
    for seed, label in ((7, "u"), (8, "f1"), (9, "f2"), (10, "f3")):
        raws[label] = stored({name: abs(each) for name, each in values(seed).items()}, "F32")
    raws["u"] = stored(values(7), "F32")
    for label, tensors in raws.items():
        if label in ("base", "a", "b", "c"):
            write(folder / label / "model.safetensors", tensors)
        else:
            write(folder / f"{label}.safetensors", tensors, {"weightarith.kind": "vector"})
    return World(folder, raws)


@dataclass(frozen=True)
class Call:
    """An operator on inputs of the world: texts such as `a − base`."""

    operator: Operator
    operands: tuple[str, ...]
    beside: tuple[str, ...]
    options: Mapping[str, Any]

    def lazily(self, world: World) -> Linear:
        """Return the call on the models themselves."""
        beside = {self.operator.beside: [_sum(world, each) for each in self.beside]} if self.beside else {}
        return self.operator([_sum(world, each) for each in self.operands], **self.options, **beside)

    def expected(self, world: World, names: Sequence[str] = tuple(SHAPES)) -> Values:
        """Return what the operator makes of numpy arrays, tensor by tensor."""
        given = (*self.operands, *self.beside)
        fields = {
            name: Tensors(
                [world.numbers(text, name) for text in given],
                name=name, keys=[mask_key(text, name) for text in given], depth=DEPTH,
            )
            for name in names
        }  # fmt: skip
        options = settings(self.operator, len(self.operands), self.options)
        if self.operator.prepare is not None:
            over = options["over"] == "model"
            moved = [fields[name] for name in sorted(fields) if fields[name].count]
            options["state"] = self.operator.prepare(Model(moved), **options) if over else None
        return {name: answered(self.operator, field, options) for name, field in fields.items()}


def answered(operator: Operator, field: Tensors, options: Mapping[str, Any]) -> Doubles:
    """Return what an operator makes of arrays; of empty ones, which it is never asked for, an empty one."""
    if not field.count:
        return np.zeros(field.shape)
    return np.asarray(computed(operator.run(field, **options), field), np.float64)


def call_of(name: str, **options: Any) -> Call:
    """Return a call of an operator on as many inputs as it takes, three where it takes any number."""
    operator = OPERATORS[name]
    count = operator.most or 3
    models = operator.takes == "checkpoint"
    operands = tuple(letter if models else f"{letter} − base" for letter in "abc"[:count])
    beside = {"": (), "importance": ("f1", "f2", "f3")[:count]}.get(operator.beside, ("u",))
    return Call(operator, operands, beside, {**OPTIONS.get(name, {}), **options})


def settings(operator: Operator, operands: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return all keywords of `run` but the state."""
    found = {**operator.defaults, **options}
    for option in operator.options:
        if option.each:
            given = found[option.name]
            found[option.name] = tuple(given) if isinstance(given, list) else (float(given),) * operands
        if option.kind == "direction":
            found[option.name] = np.array(found[option.name])
    if operator.beside:
        found["operands"] = operands
    return found


def mask_key(text: str, name: str) -> int:
    """Return the key of random masks: of what a vector says and of the tensor's name, nothing else."""
    return int.from_bytes(hashlib.sha256(f"{text}\0{name}".encode()).digest()[:8], "little")


class Model:
    """Several fields, one after the other: what `prepare` goes over."""

    def __init__(self, fields: Sequence[Tensors]) -> None:
        self.fields = fields
        self.count = sum(prod(field.shape) for field in fields)

    def blocks(self) -> Any:
        for field in self.fields:
            yield from field.blocks()

    def sample(self) -> Array:
        return np.concatenate([field.sample() for field in self.fields], axis=1)


def saved(total: Linear, path: Path, device: str = "cpu", **options: Any) -> dict[str, Raw]:
    """Write a sum, and return the tensors that were written."""
    save(total, path, device=device, **options)
    return read(path)


def multiplied(found: Mapping[str, Raw]) -> dict[str, Raw]:
    """Return tensors with every pair of factors multiplied, as one of float64."""
    stems = {name.removesuffix("::A") for name in found if name.endswith("::A")}
    products = {
        stem: encode(found[f"{stem}::B"].values @ found[f"{stem}::A"].values, "F64") for stem in stems
    }
    return {name: raw for name, raw in found.items() if "::" not in name} | products


def expect(found: Mapping[str, Raw], exact: Mapping[str, Any], noise: float = 1e-13) -> None:
    """Compare tensors with numbers in float64 that are right but for some noise, relative to the largest."""
    assert found.keys() == exact.keys()
    for name, raw in found.items():
        wanted = np.asarray(exact[name])
        slack = noise * np.abs(wanted).max(initial=0.0)
        low, high = rounded(wanted - slack, raw.code), rounded(wanted + slack, raw.code)
        assert raw.shape == wanted.shape, name
        assert np.all((low <= raw.values) & (raw.values <= high)), name


def plus(first: Mapping[str, Any], second: Mapping[str, Any], by: float = 1.0) -> Values:
    """Return `first + by · second`, tensor by tensor."""
    return {name: np.asarray(first[name] + by * second[name]) for name in first}


def _sum(world: World, text: str) -> Linear:
    first, _, second = text.partition(" − ")
    if second:
        return world.model(first) - world.model(second)
    return world.model(first) if (world.folder / first).is_dir() else world.vector(first)
