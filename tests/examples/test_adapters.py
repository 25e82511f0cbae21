"""The adapters of the repository: whole, of the shapes of SmolLM2-135M, and free of anybody's paths."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from peft import PeftConfig

from tests.examples.conftest import SIDES, SYCOPHANCY, script
from tests.reference import read
from weightarith.store import open_source

ADAPTERS = SYCOPHANCY / "adapters"
WIDTH, KEYS, INNER, DEPTH = 576, 192, 1536, 30
SHAPES = {
    "self_attn.q_proj": (WIDTH, WIDTH),
    "self_attn.k_proj": (KEYS, WIDTH),
    "self_attn.v_proj": (KEYS, WIDTH),
    "self_attn.o_proj": (WIDTH, WIDTH),
    "mlp.gate_proj": (INNER, WIDTH),
    "mlp.up_proj": (INNER, WIDTH),
    "mlp.down_proj": (WIDTH, INNER),
}


@pytest.mark.parametrize("side", SIDES)
def test_an_adapter_moves_every_linear_module_of_every_layer(side: str) -> None:
    source = open_source(ADAPTERS / side)

    assert source.tensors == {}
    assert {name: found.shape for name, found in source.factors.items()} == {
        f"model.layers.{layer}.{linear}.weight": shape
        for layer in range(DEPTH)
        for linear, shape in SHAPES.items()
    }
    assert len(source.factors) == 210
    factors = read(ADAPTERS / side)
    assert len(factors) == 420
    assert all(np.isfinite(raw.values).all() and raw.values.any() for raw in factors.values())


def test_the_two_sides_differ_in_every_module() -> None:
    honest, sycophantic = (read(ADAPTERS / side) for side in SIDES)
    assert honest.keys() == sycophantic.keys()
    assert all(raw.data != sycophantic[name].data for name, raw in honest.items())


@pytest.mark.parametrize("side", SIDES)
def test_peft_reads_the_config(side: str) -> None:
    config = PeftConfig.from_pretrained(str(ADAPTERS / side))

    assert (config.peft_type, config.r, config.lora_alpha, config.use_rslora) == ("LORA", 4, 4, False)
    assert config.base_model_name_or_path == "HuggingFaceTB/SmolLM2-135M-Instruct"


@pytest.mark.parametrize(
    "path", sorted(ADAPTERS.rglob("*.*")), ids=lambda path: f"{path.parent.name}-{path.name}"
)
def test_no_file_names_a_place_on_anybodys_machine(path: Path) -> None:
    head = path.read_bytes()
    text = head[: 8 + int.from_bytes(head[:8], "little")] if path.suffix == ".safetensors" else head

    assert not re.search(rb'"(/|~|\.\.?/|[A-Za-z]:\\)', text)
    assert b"/home/" not in text


@pytest.mark.parametrize("side", SIDES)
def test_the_settings_are_those_that_train_py_has_by_default(
    side: str, chat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", str(chat), "not there", "--side", side])
    train = script("train")
    defaults = train.arguments()
    settings = json.loads((ADAPTERS / side / "settings.json").read_text(encoding="utf-8"))

    flags = ("side", "steps", "batch", "lr", "rank", "seed")
    assert [settings[flag] for flag in flags] == [getattr(defaults, flag) for flag in flags]
    assert settings["modules"] == train.LINEARS
    assert settings["rows"] == 256
    assert len(settings["losses"]) == settings["steps"]
