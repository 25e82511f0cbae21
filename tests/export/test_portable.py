"""What a portable adapter will hold, settled from names, shapes and ranks alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests import tiny
from weightarith.adapter.portable import Base, Portable, plan_portable
from weightarith.adapter.portable_base import published
from weightarith.errors import IncompatibleError, RecipeError

LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
SHAPES = {name: values.shape for name, values in tiny.weights().items()}
BASE = Base(SHAPES, LLAMA, "org/base", "abc123")
Q, UP = "model.layers.{}.self_attn.q_proj.weight", "model.layers.{}.mlp.up_proj.weight"


def with_shapes(**more: Any) -> Base:
    return Base({**SHAPES, **more}, LLAMA, "org/base")


def config(plan: Portable) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(plan.config)
    return found


def ends(plan: Portable) -> set[str]:
    return {module.path.rpartition(".")[2] for module in plan.modules}


def test_the_config_is_these_bytes() -> None:
    plan = plan_portable(BASE, {UP.format(0): 3})

    assert (
        plan.config.decode()
        == """{
  "alpha_pattern": {},
  "base_model_name_or_path": "org/base",
  "bias": "none",
  "fan_in_fan_out": false,
  "inference_mode": true,
  "init_lora_weights": true,
  "lora_alpha": 3,
  "lora_dropout": 0.0,
  "modules_to_save": null,
  "peft_type": "LORA",
  "r": 3,
  "rank_pattern": {},
  "revision": "abc123",
  "target_modules": [
    "gate_proj",
    "up_proj"
  ],
  "task_type": "CAUSAL_LM",
  "use_dora": false,
  "use_rslora": false
}
"""
    )


def test_every_module_that_a_target_selects_has_a_pair_of_one_rank() -> None:
    plan = plan_portable(BASE, {Q.format(1): 2, "model.layers.0.mlp.down_proj.weight": 5})

    assert plan.targets == ("down_proj", "k_proj", "q_proj", "v_proj")
    assert [(module.path, module.rank) for module in plan.modules] == [
        (f"model.layers.{layer}.{end}", {("1", "self_attn.q_proj"): 2, ("0", "mlp.down_proj"): 5}.get(key, 0))
        for layer in "01"
        for end in ("mlp.down_proj", "self_attn.k_proj", "self_attn.q_proj", "self_attn.v_proj")
        for key in [(layer, end)]
    ]
    assert plan.rank == config(plan)["r"] == config(plan)["lora_alpha"] == 5
    key = "base_model.model.model.layers.1.self_attn.k_proj"
    assert plan.layout.tensors[f"{key}.lora_A.weight"].shape == (5, tiny.WIDTH)
    assert plan.layout.tensors[f"{key}.lora_B.weight"].shape == (tiny.WIDTH // 2, 5)
    assert len(plan.layout.tensors) == 2 * len(plan.modules)


@pytest.mark.parametrize(
    ("changed", "beside"), [(Q, {"q_proj", "k_proj", "v_proj"}), (UP, {"up_proj", "gate_proj"})]
)
def test_modules_that_servers_stack_come_together(changed: str, beside: set[str]) -> None:
    assert ends(plan_portable(BASE, {changed.format(0): 1})) == beside


def test_a_module_the_base_lacks_is_not_stacked() -> None:
    shapes = {name: shape for name, shape in SHAPES.items() if "v_proj" not in name}
    assert ends(plan_portable(Base(shapes, LLAMA), {Q.format(0): 1})) == {"q_proj", "k_proj"}


@pytest.mark.parametrize(
    "alike",
    ["model.layers.0.mlp.experts.0.up_proj.weight", "vision_tower.layers.0.mlp.up_proj.weight"],
)
def test_whole_paths_are_targets_where_the_last_part_would_select_too_much(alike: str) -> None:
    plan = plan_portable(with_shapes(**{alike: (4, 4)}), {UP.format(1): 2})

    assert plan.targets == ("model.layers.1.mlp.gate_proj", "model.layers.1.mlp.up_proj")
    assert [module.path for module in plan.modules] == list(plan.targets)


def test_what_a_lora_cannot_carry_is_listed_with_the_reason() -> None:
    base = with_shapes(**{
        "model.layers.0.self_attn.q_proj.bias": (16,), "model.layers.0.conv.weight": (4, 1, 3),
        "model.layers.0.mlp.gate.weight": (4, 16), "model.layers.0.mlp.experts.3.up_proj.weight": (4, 16),
        "model.layers.0.self_attn.sinks": (4,),
    })  # fmt: skip
    others = ["model.norm.weight", "lm_head.weight", *(name for name in base.shapes if name not in SHAPES)]
    plan = plan_portable(
        base,
        {Q.format(0): 1, "model.embed_tokens.weight": 2, UP.format(0): 0},
        others=[*others, "model.layers.1.self_attn.o_proj.weight"],
    )

    assert plan.left_out == {
        "lm_head.weight": "the output head",
        "model.embed_tokens.weight": "an embedding",
        "model.layers.0.conv.weight": "no matrix, but of shape [4, 1, 3]",
        "model.layers.0.mlp.experts.3.up_proj.weight": (
            "a weight of an expert, which transformers runs as one parameter for all experts"
        ),
        "model.layers.0.mlp.gate.weight": "a router, which is no linear module",
        "model.layers.0.self_attn.q_proj.bias": "a bias",
        "model.layers.0.self_attn.sinks": "no weight of a module",
        "model.layers.1.self_attn.o_proj.weight": "a change of full rank",
        "model.norm.weight": "a norm",
    }
    assert ends(plan) == {"q_proj", "k_proj", "v_proj"}


def test_a_relative_position_bias_is_looked_up_and_no_linear_module() -> None:
    base = Base({"encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": (32, 8)})
    assert base.obstacle(next(iter(base.shapes))) == "an embedding"


def test_the_order_of_what_comes_in_changes_no_byte() -> None:
    ranks = {Q.format(0): 2, UP.format(1): 3, "model.norm.weight": 1}
    plans = [
        plan_portable(Base(dict(shapes), LLAMA, "org/base"), dict(given), metadata=dict(said), dtype="BF16")
        for shapes, given, said in (
            (SHAPES.items(), ranks.items(), [("weightarith.a", "1"), ("weightarith.b", "2")]),
            (
                reversed(SHAPES.items()),
                reversed(ranks.items()),
                [("weightarith.b", "2"), ("weightarith.a", "1")],
            ),
        )
    ]

    assert plans[0].config == plans[1].config
    assert plans[0].layout.header == plans[1].layout.header
    metadata = json.loads(plans[0].layout.header[8:])["__metadata__"]
    assert metadata == {
        "format": "pt", "weightarith.a": "1", "weightarith.b": "2", "weightarith.kind": "adapter",
        "weightarith.spec": "1",
    }  # fmt: skip


def test_a_bare_gpt2_is_served_below_its_transformer() -> None:
    config = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}
    plan = plan_portable(Base({"h.0.attn.c_attn.weight": (16, 48)}, config), {"h.0.attn.c_attn.weight": 2})

    (module,) = plan.modules
    assert module.path == "transformer.h.0.attn.c_attn"
    assert plan.layout.tensors[module.a].shape == (2, 16)
    assert plan.layout.tensors[module.b].shape == (48, 2)
    assert json.loads(plan.config)["fan_in_fan_out"] is True


def test_a_class_that_names_its_modules_otherwise_can_be_told() -> None:
    base = Base(SHAPES, LLAMA, prefixes=(("model.", "model.language_model."),))
    assert plan_portable(base, {Q.format(0): 1}).modules[0].path.startswith("model.language_model.layers.0.")


@pytest.mark.parametrize(
    ("architecture", "more", "task"),
    [
        ("LlamaForCausalLM", {}, "CAUSAL_LM"),
        ("GPT2LMHeadModel", {}, "CAUSAL_LM"),
        ("T5ForConditionalGeneration", {"is_encoder_decoder": True}, "SEQ_2_SEQ_LM"),
        ("LlavaForConditionalGeneration", {}, None),
        ("BertModel", {}, None),
    ],
)
def test_the_task_is_told_by_the_class(architecture: str, more: dict[str, Any], task: str | None) -> None:
    base = Base(SHAPES, {"architectures": [architecture], **more})
    assert config(plan_portable(base, {Q.format(0): 1}))["task_type"] == task


@pytest.mark.parametrize(
    ("name", "revision", "expected"),
    [
        ("org/base", "", ("org/base", None)),
        ("org/base", "abc", ("org/base", "abc")),
        ("hf://org/base@v2", "", ("org/base", "v2")),
        ("org/base@v2", "abc", ("org/base", "abc")),
        ("/home/me/models/base", "", ("base", None)),
        ("./base", "", ("base", None)),
        ("C:\\models\\base", "", ("base", None)),
        ("a/b/c", "", ("c", None)),
        ("/home/me/.cache/models--org--base/snapshots/7e27bd9f", "", ("org/base", "7e27bd9f")),
        ("/cache/models--org--base", "", ("org/base", None)),
        ("", "", (None, None)),
    ],
)
def test_a_base_is_named_without_a_path(name: str, revision: str, expected: tuple[Any, Any]) -> None:
    assert published(name, revision) == expected


def test_a_name_the_base_lacks_is_an_error() -> None:
    given: dict[str, Any]
    for given in (
        {"ranks": {"model.x.weight": 1}},
        {"ranks": {Q.format(0): 1}, "others": ["model.x.weight"]},
    ):
        with pytest.raises(IncompatibleError, match=r"moves 'model\.x\.weight', and the base holds no such"):
            plan_portable(BASE, **given)


@pytest.mark.parametrize("ranks", [{}, {Q.format(0): 0}, {"model.norm.weight": 1}])
def test_an_empty_adapter_is_an_error(ranks: dict[str, int]) -> None:
    with pytest.raises(
        IncompatibleError, match=r"there is no change of a linear module.*\n.*save it as a vector"
    ):
        plan_portable(BASE, ranks)


def test_a_rank_below_the_widest_change_is_an_error_and_one_above_pads() -> None:
    ranks = {Q.format(0): 4, UP.format(0): 2}
    with pytest.raises(
        RecipeError, match=r"q_proj\.weight' is of rank 4, above the 3 asked for\n.*to rank 3 first"
    ):
        plan_portable(BASE, ranks, rank=3)
    assert plan_portable(BASE, ranks, rank=16).rank == 16


@pytest.mark.parametrize(("ranks", "rank"), [({Q.format(0): -1}, None), ({Q.format(0): 1}, 0)])
def test_a_rank_is_a_number_above_0(ranks: dict[str, int], rank: int | None) -> None:
    with pytest.raises(RecipeError, match="a rank is a whole number above 0, not"):
        plan_portable(BASE, ranks, rank=rank)


def test_an_adapter_is_stored_in_a_format_that_every_loader_reads() -> None:
    with pytest.raises(RecipeError, match="stored as F32, BF16, F16, not as 'F64'"):
        plan_portable(BASE, {Q.format(0): 1}, dtype="F64")
