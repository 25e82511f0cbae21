"""What was pushed, loaded from the Hub by the programs it is for, and by weightarith on an empty machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tests.hubserver import Hub
from tests.push import things
from weightarith.publish import Wish, carry_out, draw

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]
RECIPE = """weightarith: 1
inputs:
  base: hf://org/base
  task: hf://me/task@v1
expression: base + 0.5*task
"""


def run(hub: Hub, folder: Path, *words: str) -> str:
    """Run a program that talks to the Hub from an empty cache; return what it prints."""
    environment = hub.environment() | {
        "HF_HUB_CACHE": str(folder / "empty"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert hub.token not in done.stdout + done.stderr
    return done.stdout


def test_a_vector_gives_the_same_bytes_on_an_empty_machine(any_hub: Hub, tmp_path: Path) -> None:
    things.parents(any_hub, tmp_path)
    carry_out(draw(things.vector(tmp_path), Wish("me/task", tag="v1")))
    here = things.model(tmp_path, shard_size=10**6) / "model.safetensors"
    there = tmp_path / "there"
    there.mkdir()
    (there / "steer.yaml").write_text(RECIPE, encoding="utf-8")
    run(any_hub, there, "-m", "weightarith", "merge", "steer.yaml", "-o", "out")
    merged = there / "out" / "model.safetensors"
    wanted, found = tiny.load(here), tiny.load(merged)
    assert wanted.keys() == found.keys()
    assert all(np.array_equal(wanted[name], found[name]) for name in wanted)
    run(any_hub, there, "-m", "weightarith", "verify", "me/task")
    run(any_hub, there, "-m", "weightarith", "reproduce", "me/task")


def test_peft_loads_an_adapter_from_the_hub(any_hub: Hub, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    things.parents(any_hub, tmp_path)
    path = things.adapter(tmp_path)
    carry_out(draw(path, Wish("me/adapter")))
    code = (
        "import torch; from transformers import AutoModelForCausalLM; from peft import PeftModel\n"
        "base = AutoModelForCausalLM.from_pretrained('org/base', dtype=torch.float32)\n"
        "before = base.model.layers[0].mlp.up_proj.weight.detach().clone()\n"
        "model = PeftModel.from_pretrained(base, 'me/adapter').merge_and_unload()\n"
        "print(float((model.model.layers[0].mlp.up_proj.weight - before).norm()))"
    )
    norm = float(run(any_hub, tmp_path, "-c", code).split()[-1])
    raw = tiny.load(path / "adapter_model.safetensors")
    prefix = "base_model.model.model.layers.0.mlp.up_proj.lora_"
    change = raw[f"{prefix}B.weight"] @ raw[f"{prefix}A.weight"]
    assert norm == pytest.approx(float(np.linalg.norm(change)), rel=1e-4)


def test_transformers_loads_a_model_from_the_hub(any_hub: Hub, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    things.parents(any_hub, tmp_path)
    path = things.model(tmp_path)
    carry_out(draw(path, Wish("me/merged")))
    shutil.rmtree(any_hub.home / "hub")
    code = (
        "from transformers import AutoModelForCausalLM\n"
        "model = AutoModelForCausalLM.from_pretrained('me/merged')\n"
        "print(float(model.lm_head.weight.float().sum()))"
    )
    found = float(run(any_hub, tmp_path, "-c", code).split()[-1])
    assert found == pytest.approx(float(tiny.load(path)["lm_head.weight"].sum()), rel=1e-3)
