"""What each loader does with each oddity of an adapter, as its sources have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.loaders.folders import LAYER, PREFIX, Q, adapter, bad, base, only
from weightarith.loaders import LOADERS

OTHERS = [loader for loader in LOADERS if loader != "peft"]


@pytest.mark.parametrize("loader", [loader for loader in LOADERS if loader != "ollama"])
def test_a_plain_adapter_loads(tmp_path: Path, loader: str) -> None:
    assert bad(loader, adapter(tmp_path / "a"), base(tmp_path / "base")) == []
    assert bad(loader, adapter(tmp_path / "a")) == []


@pytest.mark.parametrize(
    ("key", "value", "verdicts"),
    [
        ("use_dora", True, ["refuses", "refuses", "refuses", "misreads"]),
        ("lora_bias", True, ["refuses", "misreads", "refuses", "misreads"]),
        ("alora_invocation_tokens", [1], ["refuses", "misreads", "loads", "misreads"]),
        ("layer_replication", [[0, 1]], ["refuses", "misreads", "misreads", "misreads"]),
        ("use_qalora", True, ["refuses", "misreads", "misreads", "misreads"]),
        ("arrow_config", {"top_k": 1}, ["misreads", "misreads", "misreads", "misreads"]),
        ("init_lora_weights", "pissa", ["refuses", "misreads", "misreads", "misreads"]),
        ("init_lora_weights", "gaussian", ["loads"] * 4),
        ("init_lora_weights", False, ["loads"] * 4),
        ("peft_type", "LOHA", ["refuses"] * 4),
        ("modules_to_save", ["score"], ["loads"] * 4),
        ("modules_to_save", ["lm_head"], ["refuses", "loads", "loads", "loads"]),
        ("bias", "all", ["refuses", "loads", "loads", "loads"]),
        ("target_modules", "all-linear", ["loads"] * 4),
        ("target_modules", r".*_proj", ["loads", "refuses", "loads", "loads"]),
        ("lora_alpha", 4.0, ["loads", "loads", "loads", "refuses"]),
        ("lora_alpha", -4, ["loads", "loads", "loads", "refuses"]),
        ("fan_in_fan_out", True, ["loads", "loads", "refuses", "loads"]),
    ],
)
def test_a_setting_is_taken_as_each_loader_takes_it(
    tmp_path: Path, key: str, value: Any, verdicts: list[str]
) -> None:
    folder = adapter(tmp_path / "a", **{key: value})
    for loader, verdict in zip(OTHERS, verdicts, strict=True):
        if verdict == "loads":
            assert not [one for one in bad(loader, folder) if "reorders A" not in one.why]
        else:
            found = only(loader, folder)
            assert (found.verdict, found.about) == (verdict, key)
            assert found.remedy
    assert bad("peft", folder) == []


@pytest.mark.parametrize(
    ("settings", "verdicts", "about"),
    [
        ({"lora_alpha": 8}, ["loads"] * 4, ""),
        ({"lora_alpha": 8, "use_rslora": True}, ["loads", *["misreads"] * 3], "use_rslora"),
        ({"alpha_pattern": {"q_proj": 8}}, ["misreads", "refuses", "misreads", "misreads"], "alpha_pattern"),
        ({"alpha_pattern": {"q_proj": 4}}, ["loads"] * 4, ""),
        (
            {"alpha_pattern": {r"model\.layers\.7.*": 8}},
            ["loads", "refuses", "loads", "loads"],
            "alpha_pattern",
        ),
        ({"lora_alpha": 0}, ["loads", "loads", "misreads", "misreads"], "lora_alpha"),
    ],
)
def test_scales_are_compared_with_those_of_peft_module_by_module(
    tmp_path: Path, settings: dict[str, Any], verdicts: list[str], about: str
) -> None:
    folder = adapter(tmp_path / "a", **settings)
    for loader, verdict in zip(OTHERS, verdicts, strict=True):
        found = [one for one in bad(loader, folder) if "reorders A" not in one.why]
        assert [one.verdict for one in found] == [verdict] * (verdict != "loads")
        assert all(one.about == about for one in found)


def test_a_wrong_scale_is_told_in_numbers(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a", alpha_pattern={"q_proj": 8})

    assert only("llama.cpp", folder).why == (
        "the scale is lora_alpha over the rank of the pair, whatever use_rslora and alpha_pattern say; "
        "2 of 14 modules are scaled otherwise, such as 'model.layers.0.self_attn.q_proj' by 1 and not by 2"
    )


def test_ranks_by_pattern_are_right_in_llama_cpp_and_wrong_where_one_rank_is_all(tmp_path: Path) -> None:
    pair = {f"{Q}.lora_A.weight": (2, 16), f"{Q}.lora_B.weight": (16, 2)}
    folder = adapter(tmp_path / "a", more=pair, rank_pattern={r"layers\.0\.self_attn\.q_proj": 2})

    assert bad("llama.cpp", folder) == bad("peft", folder) == []
    assert only("vllm", folder).verdict == "misreads"
    assert "by 1 and not by 2" in only("vllm", folder).why
    assert (only("sglang", folder).verdict, only("sglang", folder).about) == ("refuses", "rank_pattern")


def test_factors_of_another_rank_than_configured_are_refused(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a", r=8, lora_alpha=8)
    for loader in ("peft", "vllm", "sglang"):
        found = next(one for one in bad(loader, folder) if one.verdict == "refuses")
        assert found.why == "its factors are of rank 4, and adapter_config.json says r 8"


@pytest.mark.parametrize(
    ("name", "shape", "verdicts"),
    [
        (f"{PREFIX}lm_head.weight", (40, 16), ["refuses", "misreads", "refuses", "refuses"]),
        (
            f"{PREFIX}model.embed_tokens.base_layer.weight",
            (40, 16),
            ["misreads", "misreads", "misreads", "refuses"],
        ),
        (f"{LAYER}input_layernorm.weight", (16,), ["refuses", "misreads", "misreads", "refuses"]),
        (f"{PREFIX}model.norm.weight", (16,), ["refuses", "misreads", "misreads", "refuses"]),
        (f"{Q}.bias", (16,), ["refuses", "misreads", "refuses", "refuses"]),
        (f"{Q}.lora_magnitude_vector", (16,), ["refuses", "misreads", "refuses", "refuses"]),
    ],
)
def test_a_tensor_that_is_no_factor(
    tmp_path: Path, name: str, shape: tuple[int, ...], verdicts: list[str]
) -> None:
    folder = adapter(tmp_path / "a", more={name: shape})
    for loader, verdict in zip(OTHERS, verdicts, strict=True):
        assert only(loader, folder).verdict == verdict
        assert name in only(loader, folder).about


@pytest.mark.parametrize(
    ("key", "loaders"),
    [("lora_alpha", OTHERS), ("r", ["vllm", "sglang"]), ("target_modules", ["vllm", "sglang"])],
)
def test_a_setting_that_is_missing(tmp_path: Path, key: str, loaders: list[str]) -> None:
    folder = adapter(tmp_path / "a", drop=[key])
    for loader in OTHERS:
        found = [one for one in bad(loader, folder) if "reorders A" not in one.why]
        assert [one.about for one in found] == [key] * (loader in loaders)


@pytest.mark.parametrize(
    ("rank", "told"), [(16, ""), (17, "--max-lora-rank 32"), (300, "--max-lora-rank 320"), (513, "refuses")]
)
def test_vllm_serves_ranks_up_to_a_limit(tmp_path: Path, rank: int, told: str) -> None:
    from tests import tiny
    from weightarith.loaders import check

    tiny.adapter(tmp_path / "a", rank=rank, alpha=rank)
    found = [one for one in check(tmp_path / "a", ["vllm"]) if one.about == "r"]
    if told == "refuses":
        assert [(one.verdict, one.why) for one in found] == [
            ("refuses", "vLLM serves ranks up to 512, and this is 513")
        ]
    else:
        assert [one.remedy.endswith(told) and one.verdict == "loads" for one in found] == [True] * bool(told)


@pytest.mark.parametrize(
    ("without", "verdicts"),
    [
        (("v_proj",), ["refuses"]),
        (("k_proj",), []),
        (("q_proj",), ["misreads"]),
        (("gate_proj",), ["misreads"]),
        (("up_proj",), []),
        (("q_proj", "k_proj", "v_proj"), []),
    ],
)
def test_sglang_wants_stacked_modules_together(
    tmp_path: Path, without: tuple[str, ...], verdicts: list[str]
) -> None:
    assert [one.verdict for one in bad("sglang", adapter(tmp_path / "a", without=without))] == verdicts


def test_sglang_and_ollama_read_every_safetensors_file_of_the_folder(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a")
    (folder / "residual.safetensors").write_bytes(b"")

    assert [loader for loader in LOADERS if "residual" in str(bad(loader, folder))] == ["sglang", "ollama"]


def test_sglang_takes_no_new_tokens(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a")
    (folder / "added_tokens.json").write_text("{}")
    assert only("sglang", folder).about == "added_tokens.json"


def test_factors_of_two_ranks_are_refused(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a", more={f"{Q}.lora_A.weight": (3, 16)}, rank_pattern={"q_proj": 3})
    for loader in ("peft", "vllm", "sglang"):
        assert "A and B are of different ranks" in [one.why for one in bad(loader, folder)]
