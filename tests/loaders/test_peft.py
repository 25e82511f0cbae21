"""What is said of PEFT is what PEFT does; and our own folders load everywhere."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.export.models import FAMILIES, base_of, logits, pairs, seeded
from tests.loaders.folders import PREFIX, Q, adapter, base, only
from weightarith.adapter.portable import plan_portable
from weightarith.errors import InvalidFileError, RecipeError, UnsupportedError
from weightarith.export import write_adapter
from weightarith.loaders import LOADERS, Finding, as_json, check, table, worst


def tiny_model(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(str(folder)).float().eval()


def changes(folder: Path, of: Path) -> bool:
    """Return whether PEFT's model answers otherwise with the adapter than without it."""
    from peft import PeftModel

    model = tiny_model(of)
    before = logits(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT warns of missing keys, which are what the tests are about
        return not np.array_equal(logits(PeftModel.from_pretrained(model, str(folder))), before)


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"renamed": (PREFIX, "")}, "begin with 'base_model.model.' and drops 28 others"),
        (
            {"renamed": ("model.layers", "transformer.layers")},
            "no such module: peft leaves out 14 of 14 pairs",
        ),
        ({"target_modules": ["lm_head"]}, "target_modules does not select it: PEFT drops 14 of 14"),
    ],
)
def test_peft_drops_without_a_word_what_it_is_said_to_drop(
    tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    of = base(tmp_path / "base")
    good, folder = adapter(tmp_path / "good"), adapter(tmp_path / "a", **change)

    assert told in only("peft", folder, of).why
    assert changes(good, of)
    assert not changes(folder, of)


@pytest.mark.oracle
@pytest.mark.parametrize(
    "change",
    [{"r": 8}, {"more": {f"{Q}.lora_A.weight": (4, 24), f"{Q}.lora_B.weight": (16, 4)}}],
)
def test_peft_refuses_what_it_is_said_to_refuse(tmp_path: Path, change: dict[str, Any]) -> None:
    of = base(tmp_path / "base")
    folder = adapter(tmp_path / "a", **change)

    assert only("peft", folder, of).verdict == "refuses"
    with pytest.raises(RuntimeError, match="size mismatch"):
        changes(folder, of)


@pytest.mark.parametrize("family", ["llama", "gpt_neox", "gpt2"])
def test_our_own_folders_are_read_as_meant(tmp_path: Path, family: str) -> None:
    of = base_of(seeded(FAMILIES[family]))
    moved = pairs(of)
    write_adapter(tmp_path / "a", plan_portable(of, {name: pair.rank for name, pair in moved.items()}), moved)
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text(json.dumps(of.config, default=str))

    found = {loader: worst(check(tmp_path / "a", [loader], tmp_path / "base")) for loader in LOADERS}
    assert found["peft"] == found["vllm"] == found["sglang"] == "loads"
    assert found["llama.cpp"] == ("refuses" if family == "gpt2" else "loads")
    assert found["ollama"] == ("misreads" if family == "llama" else "refuses")


def test_findings_are_a_table_and_json() -> None:
    findings = [
        Finding("peft", "loads"),
        Finding("vllm", "loads", "r", "rank 32 is above vLLM's default of 16", "start it with it"),
        Finding("vllm", "refuses", "bias", "vLLM takes no biases"),
    ]

    assert table(findings) == (
        "peft  loads\n"
        "vllm  REFUSES\n"
        "        r: rank 32 is above vLLM's default of 16\n"
        "          try: start it with it\n"
        "        bias: vLLM takes no biases"
    )
    assert as_json(findings) == {
        "peft": {"verdict": "loads", "findings": []},
        "vllm": {
            "verdict": "refuses",
            "findings": [
                {
                    "verdict": "loads", "about": "r", "why": "rank 32 is above vLLM's default of 16",
                    "remedy": "start it with it",
                },
                {"verdict": "refuses", "about": "bias", "why": "vLLM takes no biases", "remedy": ""},
            ],
        },
    }  # fmt: skip
    assert table([]) == ""


def test_the_worst_verdict_counts() -> None:
    assert worst([]) == "loads"
    assert worst([Finding("x", "misreads"), Finding("x", "refuses"), Finding("x", "loads")]) == "refuses"


def test_an_unknown_loader_is_an_error_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"unknown loader 'vlm'; known are peft, .*\n.*did you mean vllm\?"):
        check(adapter(tmp_path / "a"), ["vlm"])


def test_a_file_in_place_of_a_folder_is_an_error_that_says_how_a_vector_becomes_one(tmp_path: Path) -> None:
    (tmp_path / "v.safetensors").touch()
    with pytest.raises(InvalidFileError, match=r"is a file, expected the folder of a PEFT.*\n.*compress V"):
        check(tmp_path / "v.safetensors", ["peft"])


@pytest.mark.parametrize(
    ("remove", "add", "error", "told"),
    [
        ("adapter_config.json", "", InvalidFileError, r"holds no adapter_config\.json: it is no adapter"),
        ("adapter_model.safetensors", "", InvalidFileError, r"without 'adapter_model\.safetensors'"),
        ("adapter_model.safetensors", "adapter_model.bin", UnsupportedError, "is a pickle, which is never"),
    ],
)
def test_a_folder_that_is_no_whole_adapter_is_an_error(
    tmp_path: Path, remove: str, add: str, error: type[Exception], told: str
) -> None:
    folder = adapter(tmp_path / "a")
    (folder / remove).unlink()
    if add:
        (folder / add).write_bytes(b"x")
    with pytest.raises(error, match=told):
        check(folder)


def test_a_factor_that_stands_alone_is_an_error(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a", without=["q_proj.lora_B"])
    with pytest.raises(
        InvalidFileError, match=r"no whole pair of factors for 'model\.layers\.0\.self_attn\.q_proj'"
    ):
        check(folder)


def test_a_base_without_config_is_an_error(tmp_path: Path) -> None:
    of = base(tmp_path / "base")
    (of / "config.json").unlink()
    with pytest.raises(InvalidFileError, match=r"holds no config\.json"):
        check(adapter(tmp_path / "a"), base=of)


def test_a_pattern_that_takes_for_ever_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="repeats a group"):
        check(adapter(tmp_path / "a", alpha_pattern={"(a+)+": 2}))
