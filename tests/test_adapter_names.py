"""Names of single-file adapters are found among a base's: exactly one each, or an error that names them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import tiny
from tests.test_kohya import UNET, lora, saved
from weightarith.adapter import map_names
from weightarith.errors import IncompatibleError, UnsupportedError
from weightarith.store import components, onto, open_source, part

LLAMA = tuple(tiny.weights())
BLOCK = "down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_q"
FLAT = f"lora_unet_{BLOCK.replace('.', '_')}"


def mapped(names: Iterable[str], held: Iterable[str], **options: Iterable[str]) -> dict[str, str]:
    return map_names(list(names), list(held), "x", "base", dense=list(options.get("dense", ())))


def test_every_name_with_underscores_is_found_among_those_of_a_model() -> None:
    own = {f"lora_te_{name.removesuffix('.weight').replace('.', '_')}.weight": name for name in LLAMA}

    assert mapped(own, LLAMA) == own


@pytest.mark.parametrize("prefix", ["transformer.", "text_encoder_2.", "unet.", "diffusion_model.", ""])
@pytest.mark.parametrize("front", ["", "model.diffusion_model.", "text_model."])
def test_dotted_names_are_found_with_and_without_what_stands_in_front(prefix: str, front: str) -> None:
    own = {f"{prefix}{name}": f"{front}{name}" for name in LLAMA}

    assert mapped(own, [*own.values(), "first_stage_model.encoder.weight"]) == own


def test_names_that_are_the_base_s_stay_as_they_are_though_they_begin_like_a_component() -> None:
    held = ["transformer.h.0.attn.c_attn.weight", "h.0.attn.c_attn.weight"]

    assert mapped(held[:1], held) == {held[0]: held[0]}


def test_the_front_is_the_one_that_serves_every_name_of_a_model() -> None:
    held = ["a.x.q.weight", "b.x.q.weight", "b.x.k.weight", "q.weight"]

    assert mapped(["unet.x.q.weight", "unet.x.k.weight"], held) == {
        "unet.x.q.weight": "b.x.q.weight",
        "unet.x.k.weight": "b.x.k.weight",
    }


def test_each_model_of_a_pipeline_has_a_front_of_its_own() -> None:
    held = ["model.diffusion_model.mid.q.weight", "cond_stage_model.text.q.weight"]

    assert mapped(["lora_unet_mid_q.weight", "lora_te_text_q.weight"], held) == {
        "lora_unet_mid_q.weight": held[0],
        "lora_te_text_q.weight": held[1],
    }


def test_a_difference_may_be_of_a_parameter_that_is_not_called_weight() -> None:
    held = ["blocks.0.modulation", "blocks.0.norm.weight", "blocks.0.norm.bias"]
    own = [f"diffusion_model.{name}" for name in ("blocks.0.norm.weight", "blocks.0.norm.bias")]
    bare = "diffusion_model.blocks.0.modulation.weight"

    found = mapped([*own, bare], held, dense=[own[0], bare])

    assert list(found.values()) == [held[1], held[2], held[0]]
    with pytest.raises(IncompatibleError, match=r"lacks: 'diffusion_model\.blocks"):
        mapped([bare], held)


@pytest.mark.parametrize(
    ("own", "held", "message"),
    [
        (
            ["lora_unet_a_b.weight"],
            ["a.b.weight", "a_b.weight"],
            "x moves 'lora_unet_a_b.weight', which can mean 'a.b.weight', 'a_b.weight'",
        ),
        (
            ["lora_unet_a_b.weight"],
            ["p.a.b.weight", "q.a.b.weight"],
            "x moves 'lora_unet_a_b.weight', which can mean 'p.a.b.weight', 'q.a.b.weight'",
        ),
        (["lora_unet_b.weight"], ["a_b.weight"], "x moves 1 tensors that base lacks: 'lora_unet_b.weight'"),
        (
            [f"{FLAT}.weight", "lora_unet_gone.weight"],
            [f"{BLOCK}.weight"],
            "x moves 1 tensors that base lacks: 'lora_unet_gone.weight'",
        ),
        (
            ["lora_unet_down_blocks_0_attn1_to_k.weight"],
            ["down_blocks.0.attn1.to_q.weight"],
            "(nearest name there: 'down_blocks.0.attn1.to_q.weight')",
        ),
        (
            ["lora_unet_a.weight", "unet.a.weight"],
            ["a.weight"],
            "x moves 'a.weight' twice, as 'lora_unet_a.weight' and as 'unet.a.weight'",
        ),
        (["lora_unet_a.bias"], ["a.weight"], "lacks: 'lora_unet_a.bias'"),
        (["a.weight"], [], "lacks: 'a.weight'"),
    ],
)
def test_a_name_that_can_mean_nothing_or_two_things_is_an_error(
    own: list[str], held: list[str], message: str
) -> None:
    with pytest.raises(IncompatibleError) as caught:
        mapped(own, held)

    assert message in str(caught.value)
    assert caught.value.exit_code == 4


PARTS = st.lists(st.sampled_from(["a", "b", "a_b", "b_a", "0", "q"]), min_size=1, max_size=4).map(".".join)


@given(st.sets(PARTS, min_size=1, max_size=8), st.data())
def test_underscored_names_are_mapped_back_or_refused_and_never_to_another_tensor(
    modules: set[str], data: st.DataObject
) -> None:
    held = [f"{module}.weight" for module in sorted(modules)]
    chosen = data.draw(st.lists(st.sampled_from(sorted(modules)), unique=True, min_size=1))
    own = {f"lora_unet_{module.replace('.', '_')}.weight": f"{module}.weight" for module in chosen}
    alike = [sum(other.replace(".", "_") == one.replace(".", "_") for other in held) for one in own.values()]

    if any(count > 1 for count in alike) or len(own) < len(chosen):
        with pytest.raises(IncompatibleError):
            mapped(own, held)
    else:
        assert mapped(own, held) == own


def test_a_source_is_laid_onto_a_base_and_keeps_what_it_stores(tmp_path: Path) -> None:
    tensors = lora(UNET, 1.0) | {"lora_unet_norm.diff": np.ones(3), "lora_unet_norm.diff_b": np.ones(3)}
    source = saved(tmp_path / "x.safetensors", tensors)
    held = ["mid_block.attentions.0.to_q.weight", "norm.weight", "norm.bias"]

    laid = onto(source, held, "base")

    assert (list(laid.factors), list(laid.tensors), laid.own_names) == (held[:1], held[1:], False)
    assert laid.factors[held[0]] is source.factors[f"{UNET}.weight"]
    assert onto(laid, ["other"], "base") is laid


def test_an_adapter_folder_is_not_renamed(tmp_path: Path) -> None:
    source = open_source(tiny.adapter(tmp_path))

    assert onto(source, [], "base") is source
    assert components(source) == ()


def test_a_file_for_two_models_is_taken_in_parts(tmp_path: Path) -> None:
    tensors = lora("unet.mid.q", 1.0) | lora("text_encoder.layers.0.q", 1.0) | {"unet.mid.k.diff": np.ones(2)}
    source = saved(tmp_path / "x.safetensors", tensors)

    kept, left_out = part(source, "unet")

    assert components(source) == ("text_encoder", "unet")
    assert ([*kept.factors, *kept.tensors], left_out) == (
        ["unet.mid.q.weight", "unet.mid.k.weight"],
        ("text_encoder.layers.0.q.weight",),
    )
    with pytest.raises(
        UnsupportedError, match="moves nothing of 'vae', expected one of 'text_encoder', 'unet'"
    ):
        part(source, "vae")
