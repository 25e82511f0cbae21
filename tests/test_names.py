"""What names of real models say: their layers and roles."""

from __future__ import annotations

import pytest

from weightarith.names import GROUPS, ROLES, has_role, layer_of, role_of, split_layer

# Families whose names differ: Llama, DeepSeek, Mixtral, GPT-2, GPT-NeoX, BLOOM, Falcon, BERT, T5, OPT, Mamba.
NAMES = """
embed     -   model.embed_tokens.weight
head      -   lm_head.weight
norm      -   model.norm.weight
norm      3   model.layers.3.input_layernorm.weight
q         3   model.layers.3.self_attn.q_proj.weight
q         3   model.layers.3.self_attn.q_proj.bias
norm      3   model.layers.3.self_attn.q_norm.weight
k         12  model.layers.12.self_attn.k_proj.weight
v         12  model.layers.12.self_attn.v_proj.weight
o         12  model.layers.12.self_attn.o_proj.weight
q         0   model.layers.0.self_attn.q_a_proj.weight
attention 0   model.layers.0.self_attn.kv_b_proj.weight
norm      0   model.layers.0.self_attn.kv_a_layernorm.weight
gate      3   model.layers.3.mlp.gate_proj.weight
up        3   model.layers.3.mlp.gate_up_proj.weight
down      3   model.layers.3.mlp.down_proj.weight
gate      3   model.layers.3.mlp.shared_experts.gate_proj.weight
router    3   model.layers.3.mlp.gate.weight
router    3   model.layers.3.mlp.gate.e_score_correction_bias
router    3   model.layers.3.mlp.shared_expert_gate.weight
router    3   model.layers.3.block_sparse_moe.gate.weight
expert    3   model.layers.3.mlp.experts.17.down_proj.weight
expert    3   model.layers.3.block_sparse_moe.experts.1.w1.weight
embed     -   transformer.wte.weight
embed     -   transformer.wpe.weight
norm      0   transformer.h.0.ln_1.weight
norm      -   transformer.ln_f.bias
qkv       0   transformer.h.0.attn.c_attn.weight
o         0   transformer.h.0.attn.c_proj.weight
up        0   transformer.h.0.mlp.c_fc.weight
down      0   transformer.h.0.mlp.c_proj.weight
embed     -   gpt_neox.embed_in.weight
head      -   embed_out.weight
qkv       0   gpt_neox.layers.0.attention.query_key_value.weight
o         0   gpt_neox.layers.0.attention.dense.weight
up        0   gpt_neox.layers.0.mlp.dense_h_to_4h.weight
down      0   gpt_neox.layers.0.mlp.dense_4h_to_h.bias
norm      -   gpt_neox.final_layer_norm.weight
norm      -   transformer.word_embeddings_layernorm.weight
o         0   transformer.h.0.self_attention.dense.weight
norm      -   bert.embeddings.LayerNorm.weight
embed     -   bert.embeddings.position_embeddings.weight
q         1   bert.encoder.layer.1.attention.self.query.weight
o         1   bert.encoder.layer.1.attention.output.dense.weight
norm      1   bert.encoder.layer.1.attention.output.LayerNorm.weight
up        1   bert.encoder.layer.1.intermediate.dense.weight
down      1   bert.encoder.layer.1.output.dense.weight
embed     -   shared.weight
q         0   encoder.block.0.layer.0.SelfAttention.q.weight
o         0   encoder.block.0.layer.0.SelfAttention.o.weight
gate      0   encoder.block.0.layer.1.DenseReluDense.wi_0.weight
up        4   decoder.block.4.layer.2.DenseReluDense.wi.weight
down      4   decoder.block.4.layer.2.DenseReluDense.wo.weight
norm      0   encoder.block.0.layer.1.layer_norm.weight
embed     -   model.decoder.embed_positions.weight
up        0   model.decoder.layers.0.fc1.weight
o         0   model.decoder.layers.0.self_attn.out_proj.weight
embed     -   tok_embeddings.weight
head      -   output.weight
gate      0   layers.0.feed_forward.w1.weight
o         0   layers.0.attention.wo.weight
norm      0   layers.0.attention_norm.weight
qkv       0   model.layers.0.attention.wqkv.weight
embed     -   backbone.embeddings.weight
norm      -   backbone.norm_f.weight
other     0   backbone.layers.0.mixer.in_proj.weight
vision    -   visual.blocks.3.attn.qkv.weight
vision    -   vision_tower.vision_model.encoder.layers.3.layer_norm1.weight
other     -   model.rotary.inv_freq
"""


@pytest.mark.parametrize(("role", "layer", "name"), [line.split() for line in NAMES.strip().splitlines()])
def test_a_name_says_its_role_and_its_layer(role: str, layer: str, name: str) -> None:
    assert (role_of(name), layer_of(name)) == (role, None if layer == "-" else int(layer))


@pytest.mark.parametrize(
    "name", ["", ".", "layers", "layers.x.w", "players.3.w", "layers.3x.w", "layers.٣.w"]
)
def test_a_name_without_a_layer_has_none(name: str) -> None:
    assert layer_of(name) is None


@pytest.mark.parametrize("number", ["9" * 7, "9" * 5000])
def test_an_absurd_number_is_no_layer(number: str) -> None:
    assert layer_of(f"model.layers.{number}.w") is None


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("model.layers.10.mlp.w", ("model.layers.", 10, ".mlp.w")),
        ("h.0", ("h.", 0, "")),
        ("a.3.layers.3.w", ("a.3.layers.", 3, ".w")),
        ("model.layers.007.w", ("model.layers.", 7, ".w")),
        ("encoder.block.2.layer.1.w", ("encoder.block.", 2, ".layer.1.w")),
        ("norm.weight", None),
    ],
)
def test_a_name_splits_at_the_number_of_its_layer(name: str, parts: tuple[str, int, str] | None) -> None:
    assert split_layer(name) == parts


def test_a_wider_word_includes_narrower_roles() -> None:
    assert all(role in ROLES for group in GROUPS.values() for role in group)
    assert has_role("model.layers.0.mlp.up_proj.weight", "mlp")
    assert has_role("model.layers.0.self_attn.q_proj.weight", "attention")
    assert not has_role("model.layers.0.mlp.up_proj.weight", "gate")
    assert not has_role("model.layers.0.mlp.up_proj.weight", "attention")
    assert not has_role("model.layers.0.mlp.up_proj.weight", "no such role")
