"""Layers taken and stacked, sums, operators and adapters in them, against dictionaries that do the same."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny
from tests.engine_operators.plainly import DEVICES
from tests.engine_operators.world import expect, multiplied, saved
from weightarith.algebra import Checkpoint, Leaf, Vector
from weightarith.engine.settings import Policy
from weightarith.errors import IncompatibleError, RecipeError, UnsupportedError, WeightArithError
from weightarith.recipe import parse_expression

LAYER = re.compile(r"(.*\.layers\.)(\d+)(\..*)")
Model = dict[str, Any]


class Shelf:
    """Models and adapters of three layers, opened and as dictionaries of float64."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.opened, self.dense = folder, dict[str, Leaf](), dict[str, Model]()
        base, tied = tiny.weights(depth=3), tiny.weights(depth=3, tied=True, seed=5)
        for label, tensors in {
            "base": base, "a": tiny.finetuned(base, seed=1), "b": tiny.finetuned(base, seed=2),
            "four": tiny.weights(depth=4, seed=3), "tied": tied, "tied2": tiny.finetuned(tied, seed=6),
        }.items():  # fmt: skip
            tiny.checkpoint(folder / label, tensors)
            self.opened[label] = Checkpoint.open(folder / label, label=label)
            self.dense[label] = {name: each.astype(np.float64) for name, each in tensors.items()}
        tiny.adapter(folder / "ad", depth=3, seed=7)
        self.opened["ad"] = Vector.open(folder / "ad", label="ad")
        held = tiny.load(folder / "ad" / "adapter_model.safetensors")
        self.dense["ad"] = {name: np.zeros_like(each) for name, each in self.dense["base"].items()}
        for name in held:
            if ".lora_A." in name:
                left = held[name.replace("lora_A", "lora_B")].astype(np.float64)
                weight = name.removeprefix("base_model.model.").replace("lora_A.", "")
                self.dense["ad"][weight] = 2.0 * left @ held[name].astype(np.float64)

    def made(self, text: str, path: Path, device: str = "cpu", **options: Any) -> dict[str, Any]:
        total = parse_expression(text, self.opened)
        return multiplied(saved(total, path, device, dtype="float64", **options))

    def change(self, label: str, by: float = 1.0) -> Model:
        """Return a model with a multiple of the adapter on it."""
        return {name: each + by * self.dense["ad"][name] for name, each in self.dense[label].items()}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(tmp_path_factory.mktemp("shelf"))


def piled(*parts: tuple[Model, int, int]) -> Model:
    """Return a model of layers of others: model, first and last, each."""
    found: Model = {}
    height = 0
    for number, (model, first, last) in enumerate(parts):
        for name, each in model.items():
            split = LAYER.fullmatch(name)
            if split and first <= int(split[2]) <= last:
                found[f"{split[1]}{int(split[2]) - first + height}{split[3]}"] = each
            above = not split and ("norm" in name or "head" in name)
            if not split and (number == 0 or (above and number == len(parts) - 1)):
                found[name] = each
        height += last - first + 1
    return found


def mixed(*terms: tuple[float, Model]) -> Model:
    return {name: sum(by * model[name] for by, model in terms) for name in terms[0][1]}


def trimmed(model: Model, density: float) -> Model:
    def one(each: Any) -> Any:
        sizes = np.sort(abs(each).ravel())[::-1]
        return np.where(abs(each) >= sizes[max(1, int(density * sizes.size)) - 1], each, 0)

    return {name: one(each) for name, each in model.items()}


def cases(shelf: Shelf) -> Mapping[str, Model]:
    base, a, b, four, ad = (shelf.dense[label] for label in ("base", "a", "b", "four", "ad"))
    moved = shelf.change("a")
    short = piled((moved, 0, 1), (b, 1, 2))
    lean = mixed((1, base), (1, trimmed(mixed((1, a), (-1, base)), 0.5)))
    return {
        'take(a, "1-2")': piled((a, 1, 2)),
        'take(take(a, "1-2"), "1-1")': piled((a, 2, 2)),
        'take(a + 0.5*ad, "1")': piled((shelf.change("a", 0.5), 1, 1)),
        'stack(take(a, "0-1"), take(b, "0-2"), a)': piled((a, 0, 1), (b, 0, 2), (a, 0, 2)),
        'stack(take(a + ad, "0-1"), take(b, "1-2"))': short,
        'stack(base + trim(a - base, density=0.5), take(b, "2"))': piled((lean, 0, 2), (b, 2, 2)),
        'stack(stack(take(a, "0"), take(b, "1")), take(base + ad, "2"))':
            piled((a, 0, 0), (b, 1, 1), (shelf.change("base"), 2, 2)),
        'take(stack(a, b), "2-3")': piled((piled((a, 0, 2), (b, 0, 2)), 2, 3)),
        "stack(mean(a, b), base)": piled((mixed((0.5, a), (0.5, b)), 0, 2), (base, 0, 2)),
        '0.5*stack(take(a + ad, "0-1"), take(b, "1-2")) + 0.5*four': mixed((0.5, short), (0.5, four)),
        'stack(take(a + ad, "0-1"), take(b, "1-2")) - four': mixed((1, short), (-1, four)),
        'four + trim(stack(take(a + ad, "0-1"), take(b, "1-2")) - four, density=0.5)':
            mixed((1, four), (1, trimmed(mixed((1, short), (-1, four)), 0.5))),
        'linear([stack(take(a + ad, "0-1"), take(b, "1-2")), four], weights=[3, 1])':
            mixed((0.75, short), (0.25, four)),
        'stack(take(base, "0"), take(a + ad, "1-2")) + 2*ad':
            mixed((1, piled((base, 0, 0), (moved, 1, 2))), (2, ad)),
        "stack(a, b + ad) - stack(a, b)": piled((mixed((0, ad)), 0, 2), (ad, 0, 2)),
        'base + restrict(stack(take(a + ad, "0"), take(b, "1-2")) - base, layers="1")':
            mixed((1, base), (1, {name: (b[name] - base[name]) * (".layers.1." in name) for name in base})),
    }  # fmt: skip


TEXTS = (
    'take(a, "1-2")',
    'take(take(a, "1-2"), "1-1")',
    'take(a + 0.5*ad, "1")',
    'stack(take(a, "0-1"), take(b, "0-2"), a)',
    'stack(take(a + ad, "0-1"), take(b, "1-2"))',
    'stack(base + trim(a - base, density=0.5), take(b, "2"))',
    'stack(stack(take(a, "0"), take(b, "1")), take(base + ad, "2"))',
    'take(stack(a, b), "2-3")',
    "stack(mean(a, b), base)",
    '0.5*stack(take(a + ad, "0-1"), take(b, "1-2")) + 0.5*four',
    'stack(take(a + ad, "0-1"), take(b, "1-2")) - four',
    'four + trim(stack(take(a + ad, "0-1"), take(b, "1-2")) - four, density=0.5)',
    'linear([stack(take(a + ad, "0-1"), take(b, "1-2")), four], weights=[3, 1])',
    'stack(take(base, "0"), take(a + ad, "1-2")) + 2*ad',
    "stack(a, b + ad) - stack(a, b)",
    'base + restrict(stack(take(a + ad, "0"), take(b, "1-2")) - base, layers="1")',
)


@DEVICES
@pytest.mark.parametrize("text", TEXTS)
def test_layers_are_those_of_the_parts_in_their_order(
    shelf: Shelf, tmp_path: Path, text: str, device: str
) -> None:
    expected = cases(shelf)[text]
    found = shelf.made(text, tmp_path / "out", device)
    for name in expected.keys() - found.keys():  # what is zero is not stored
        assert not expected[name].any()
    expect(found, {name: expected[name] for name in found}, 1e-12)


def test_a_pattern_of_layers_of_the_whole_may_weigh_a_stack(shelf: Shelf, tmp_path: Path) -> None:
    found = shelf.made('restrict(stack(a, a + ad) - stack(a, a), layers="5")', tmp_path / "out")
    assert {name.split(".")[2] for name in found} == {"5"}
    with pytest.raises(RecipeError, match="matches no tensor: layers 6-6"):
        shelf.made('restrict(stack(a, a + ad) - stack(a, a), layers="6")', tmp_path / "no")


def test_a_schedule_inside_a_part_runs_over_the_layers_of_that_part(shelf: Shelf, tmp_path: Path) -> None:
    found = shelf.made("stack(a, base + gradient(0, 1)*ad)", tmp_path / "out")
    base, ad = shelf.dense["base"], shelf.dense["ad"]
    for layer, share in enumerate((Fraction(0), Fraction(1, 2), Fraction(1))):
        inner = f"model.layers.{layer}.mlp.up_proj.weight"
        outer = f"model.layers.{layer + 3}.mlp.up_proj.weight"
        expect({outer: found[outer]}, {outer: base[inner] + float(share) * ad[inner]}, 1e-12)


@DEVICES
def test_tied_models_stay_tied_and_a_tied_head_beside_an_untied_one_is_its_embedding(
    shelf: Shelf, tmp_path: Path, device: str
) -> None:
    tied, other, a = (shelf.dense[label] for label in ("tied", "tied2", "a"))
    expected = piled((tied, 0, 1), (other, 2, 2))
    expect(shelf.made('stack(take(tied, "0-1"), take(tied2, "2"))', tmp_path / "1", device), expected, 1e-13)
    text = '0.5*stack(take(mean(tied, tied2), "0-1"), take(tied2, "2")) + 0.5*a'
    found = shelf.made(text, tmp_path / "2", device)
    low = piled((mixed((0.5, tied), (0.5, other)), 0, 1), (other, 2, 2))
    low["lm_head.weight"] = low["model.embed_tokens.weight"]
    expect(found, mixed((0.5, low), (0.5, a)), 1e-12)


@DEVICES
def test_operators_see_a_tied_head_as_its_embedding(shelf: Shelf, tmp_path: Path, device: str) -> None:
    a, b, tied, other = (shelf.dense[label] for label in ("a", "b", "tied", "tied2"))
    tied, other = ({**each, "lm_head.weight": each["model.embed_tokens.weight"]} for each in (tied, other))
    moved = trimmed(mixed((1, other), (-1, tied)), 0.5)
    calls = {
        "linear([a, tied], weights=[1, 3])": mixed((0.25, a), (0.75, tied)),
        "b + 2*trim(tied2 - tied, density=0.5)": mixed((1, b), (2, moved)),
        "a - elect([a - b, tied - b])": None,
    }
    for number, (text, expected) in enumerate(calls.items()):
        found = shelf.made(text, tmp_path / f"{number}", device)
        assert "lm_head.weight" in found
        if expected is not None:
            expect(found, expected, 1e-12)
    both = shelf.made("tied + 2*trim(tied2 - tied, density=0.5)", tmp_path / "tied", device)
    assert "lm_head.weight" not in both
    with pytest.raises(IncompatibleError, match=r"a holds 1 tensors that tied lacks: 'lm_head.weight'"):
        shelf.made("linear([tied, a], weights=[3, 1])", tmp_path / "no", device)


def test_the_config_of_a_stack_counts_its_layers(shelf: Shelf, tmp_path: Path) -> None:
    for text, layers in (('take(a, "1-2")', 2), ("stack(a, b + ad, a)", 9), ("a + 0*ad", 3)):
        shelf.made(text, tmp_path / str(layers))
        config = json.loads((tmp_path / str(layers) / "config.json").read_text())
        assert config["num_hidden_layers"] == layers
        assert config["dtype"] == "float64"


REFUSED: list[tuple[str, type[WeightArithError], str]] = [
    ('take(a, "0-3")', RecipeError, "a has layers 0-2, and 0-3 are to be taken"),
    ('take(a, "2-1")', RecipeError, "layers 2-1 count backwards"),
    ('take(ad, "0-1")', RecipeError, r"take\(\) takes a model, and this is a vector"),
    ('take(a - b, "0")', RecipeError, r"take\(\) takes a model, and this is a vector"),
    ("take(a)", RecipeError, r"take\(\) takes a model and its layers"),
    ("take(a, 1)", RecipeError, r"take\(\) takes a model and its layers"),
    ('take(a, "x")', RecipeError, "expected a layer or a range of layers, found 'x'"),
    ('take(stack(a + ad, b), "0")', RecipeError, "this holds what an operator made"),
    ('take(slerp(a, b, t=0.5), "0")', RecipeError, "this holds what an operator made"),
    ("stack()", RecipeError, r"stack\(\) of nothing"),
    ("stack(ad)", RecipeError, r"stack\(\) takes models, and this is a vector"),
    ("stack(a + b)", RecipeError, r"stack\(\) takes models, and this is a sum of models"),
    ("stack(a, tied)", IncompatibleError, "tied cannot be put on a: they differ around their layers: 'lm_"),
    ('0.5*stack(take(a + ad, "0"), b) + 0.5*base', IncompatibleError,
     r"stack\(a.0-0., b\) holds 9 tensors that base lacks"),
    ('0.5*stack(take(a + ad, "0"), take(b, "1")) + 0.5*base', IncompatibleError,
     r"lacks 9 tensors that base holds"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "message"), REFUSED)
def test_what_cannot_be_taken_or_stacked_is_refused(
    shelf: Shelf, tmp_path: Path, text: str, kind: type[WeightArithError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        shelf.made(text, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_without_layers_has_none_to_be_taken(tmp_path: Path) -> None:
    tiny.save(tmp_path / "flat" / "model.safetensors", {"w": np.ones((2, 2))})
    flat = Checkpoint.open(tmp_path / "flat", label="flat")
    with pytest.raises(UnsupportedError, match="flat has no numbered layers"):
        parse_expression('take(flat, "0")', {"flat": flat})


@pytest.mark.parametrize("policy", [Policy(), Policy(vocabulary="base")])
def test_a_stack_of_another_vocabulary_is_refused_by_what_it_is(
    shelf: Shelf, tmp_path: Path, policy: Policy
) -> None:
    tensors = tiny.weights(depth=4, seed=8)
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        tensors[name] = np.zeros((44, tiny.WIDTH), np.float32)
    tiny.checkpoint(tmp_path / "base", tensors)
    names = {**shelf.opened, "base": Checkpoint.open(tmp_path / "base", label="base")}
    for text in ('0.5*stack(take(a + ad, "0"), b) + 0.5*base', "slerp(four, base, t=0.5)"):
        with pytest.raises(
            IncompatibleError, match=r"shape \[44, 16\] as in base, found \[40, 16\]"
        ) as caught:
            saved(parse_expression(text, names), tmp_path / "out", policy=policy)
        assert "operators and stacks take models of one vocabulary only" in caught.value.hint


@DEVICES
def test_layers_that_a_stack_lacks_stay_as_they_are_in_the_base_where_the_policy_says_so(
    shelf: Shelf, tmp_path: Path, device: str
) -> None:
    short, four = piled((shelf.change("a"), 0, 1), (shelf.dense["b"], 2, 2)), shelf.dense["four"]
    text = 'four + 0.5*(stack(take(a + ad, "0-1"), take(b, "2")) - four)'
    found = shelf.made(text, tmp_path / "out", device, policy=Policy(names="base"))
    expect(found, mixed((0.5, {**four, **short}), (0.5, four)), 1e-12)
