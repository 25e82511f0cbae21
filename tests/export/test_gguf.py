"""Adapters as GGUF files: the names, the order and the numbers that llama.cpp looks for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader

from tests.export.models import FAMILIES, base_of, pairs, seeded
from tests.reference import encode
from weightarith.adapter.portable import Base, Portable, plan_portable
from weightarith.errors import IncompatibleError, StorageError, UnsupportedError
from weightarith.export import Pair, plan_gguf, write_gguf
from weightarith.export.gguf import FAMILIES as KNOWN
from weightarith.export.gguf import interleaved

HEADS = {"attn_q": 4, "attn_k": 2}
NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
    "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down",
}  # fmt: skip


def planned(base: Base, changes: dict[str, Pair], **options: Any) -> Portable:
    return plan_portable(base, {name: pair.rank for name, pair in changes.items()}, **options)


def naive_rows(weight: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """Return the rows in llama.cpp's order, one after the other: row 2i of a head is row i of it here."""
    size = len(weight) // heads
    found = np.empty_like(weight)
    for row in range(len(weight)):
        head, place = divmod(row, size)
        pair, member = divmod(place, 2)
        found[row] = weight[head * size + member * (size // 2) + pair]
    return found


def products(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    tensors = {tensor.name: tensor for tensor in GGUFReader(path).tensors}
    found = {}
    for name, tensor in tensors.items():
        if name.endswith(".lora_b"):
            a = tensors[name.removesuffix("b") + "a"]
            found[name.removesuffix(".weight.lora_b")] = tensor.data.astype(float) @ a.data.astype(float)
    assert len(tensors) == 2 * len(found)
    return found


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_each_weight_moves_as_llama_cpp_keeps_it(tmp_path: Path, family: str) -> None:
    base = base_of(seeded(FAMILIES[family]))
    changes = pairs(base)
    plan = plan_gguf(planned(base, changes))
    write_gguf(tmp_path / "adapter.gguf", plan, changes)

    found = products(tmp_path / "adapter.gguf")
    meant = {}
    for name, pair in changes.items():
        *_, layer, block, end, _ = name.split(".")
        kept = NAMES[f"{block}.{end}"]
        dense = pair.left @ pair.right
        dense = dense.T if family == "gpt2" else dense
        if family == "llama" and kept in HEADS:
            dense = naive_rows(dense, HEADS[kept])
        meant[f"blk.{layer}.{kept}"] = dense
    assert found.keys() == meant.keys()
    for name, dense in meant.items():
        assert np.linalg.norm(found[name] - dense) < 1e-6 * np.linalg.norm(dense)


def test_the_header_says_a_scale_of_1_and_whose_adapter_it_is(tmp_path: Path) -> None:
    base = base_of(seeded(FAMILIES["llama"]), "org/base", "abc123")
    changes = pairs(base)
    plan = plan_gguf(planned(base, changes), metadata={"weightarith.expression": "a − b"})
    write_gguf(tmp_path / "adapter.gguf", plan, changes)

    fields = GGUFReader(tmp_path / "adapter.gguf").fields
    said = {key: field.contents() for key, field in fields.items() if not key.startswith("GGUF.")}
    assert said == {
        "general.architecture": "llama", "general.type": "adapter", "adapter.type": "lora",
        "adapter.lora.alpha": 3.0, "general.file_type": 0, "general.base_model.count": 1,
        "general.base_model.0.name": "base", "general.base_model.0.organization": "org",
        "general.base_model.0.version": "abc123", "weightarith.expression": "a − b",
    }  # fmt: skip


def test_only_what_moves_is_in_the_file_and_all_of_one_rank(tmp_path: Path) -> None:
    base = base_of(seeded(FAMILIES["llama"]))
    changes = {name: pair for name, pair in pairs(base).items() if "layers.1" in name and "mlp" in name}
    plan = plan_gguf(planned(base, changes))
    write_gguf(tmp_path / "adapter.gguf", plan, changes)

    tensors = GGUFReader(tmp_path / "adapter.gguf").tensors
    assert len(tensors) == 6
    assert {min(map(int, tensor.shape)) for tensor in tensors} == {3}
    assert plan.size == sum(tensor.n_bytes for tensor in tensors)


@pytest.mark.parametrize("code", ["F16", "BF16"])
def test_numbers_are_rounded_once_to_smaller_formats_too(tmp_path: Path, code: str) -> None:
    base = base_of(seeded(FAMILIES["llama"]))
    name = "model.layers.0.mlp.down_proj.weight"
    changes = {name: Pair(np.full((16, 1), 1 / 3), np.full((1, 24), 1 / 3))}
    write_gguf(tmp_path / "adapter.gguf", plan_gguf(planned(base, changes, dtype=code)), changes)

    for tensor in GGUFReader(tmp_path / "adapter.gguf").tensors:
        assert tensor.tensor_type.name == code
        assert set(tensor.data.reshape(-1).view("<u2")) == set(encode([1 / 3], code).bits)


def test_equal_inputs_make_equal_files(tmp_path: Path) -> None:
    base = base_of(seeded(FAMILIES["llama"]))
    changes = pairs(base)
    for name in ("one", "two"):
        write_gguf(tmp_path / name, plan_gguf(planned(base, changes)), changes)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with pytest.raises(StorageError, match="one': File exists"):
        write_gguf(tmp_path / "one", plan_gguf(planned(base, changes)), changes)


@pytest.mark.parametrize(("rows", "heads"), [(8, 1), (8, 2), (24, 3), (4, 2)])
def test_the_rows_of_a_head_are_taken_from_its_halves_in_turn(rows: int, heads: int) -> None:
    weight = np.random.default_rng(0).standard_normal((rows, 3))
    assert np.array_equal(interleaved(weight, heads), naive_rows(weight, heads))


def test_what_a_model_type_does_to_its_weights_must_be_known() -> None:
    base = base_of(seeded(FAMILIES["gpt_neox"]))
    with pytest.raises(
        UnsupportedError, match="keeps the weights of a 'gpt_neox' model is not known here; known"
    ):
        plan_gguf(planned(base, pairs(base)))


@pytest.mark.parametrize("kind", KNOWN)
def test_every_known_family_has_names_in_the_gguf_package(kind: str) -> None:
    from gguf import MODEL_ARCH_NAMES

    assert KNOWN[kind].architecture in MODEL_ARCH_NAMES.values()


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"num_hidden_layers": None}, "the base's config.json gives no 'num_hidden_layers'"),
        ({"num_attention_heads": "4"}, "the base's config.json gives no 'num_attention_heads'"),
        ({"num_attention_heads": 5}, "has 16 rows, and 5 heads of pairs do not divide that"),
    ],
)
def test_a_config_that_does_not_say_enough_is_an_error(config: dict[str, Any], told: str) -> None:
    base = base_of(seeded(FAMILIES["llama"]))
    lacking = Base(base.shapes, {**base.config, **config}, base.name)
    with pytest.raises(IncompatibleError, match=told):
        plan_gguf(planned(lacking, pairs(base)))


def test_keys_have_as_many_heads_as_queries_where_the_config_says_no_other() -> None:
    base = base_of(seeded(FAMILIES["llama"]))
    older = Base(base.shapes, {**base.config, "num_key_value_heads": None}, base.name)
    changes = {name: pair for name, pair in pairs(base).items() if "k_proj" in name}
    assert {one.heads for one in plan_gguf(planned(older, changes)).placed} == {4}


def test_a_weight_that_llama_cpp_has_no_name_for_is_an_error() -> None:
    config = {"model_type": "llama", "num_hidden_layers": 1, "num_attention_heads": 2}
    base = Base({"model.layers.0.extra_proj.weight": (4, 4)}, config)
    with pytest.raises(
        IncompatibleError, match=r"no name for 'model\.layers\.0\.extra_proj' in a llama model"
    ):
        plan_gguf(plan_portable(base, {"model.layers.0.extra_proj.weight": 1}))


def test_without_the_gguf_package_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    base = base_of(seeded(FAMILIES["llama"]))
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(UnsupportedError, match=r'not installed\n.*pip install "weightarith\[gguf\]"'):
        plan_gguf(planned(base, pairs(base)))
