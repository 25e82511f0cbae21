"""What was pushed, loaded from the Hub by the programs it is for, and by weightarith on an empty machine."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tests.hubserver import Hub
from tests.push import things
from weightarith.errors import InvalidFileError, VerificationError
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


def told(hub: Hub, repo: str, language: str) -> list[str]:
    """Return the blocks of a card that say how to use what is there."""
    card = hub.files(repo)["README.md"].decode()
    use = card.partition("\n## Use\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", use, re.MULTILINE | re.DOTALL)


def test_what_the_card_of_an_adapter_says_loads_it(any_hub: Hub, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    things.parents(any_hub, tmp_path)
    carry_out(draw(things.adapter(tmp_path), Wish("me/adapter")))

    (code,) = told(any_hub, "me/adapter", "python")
    assert "PeftModel" in code
    assert run(any_hub, tmp_path, "-c", f"{code}\nprint(len(model.peft_config))").split()[-1] == "1"
    (command,) = [line for block in told(any_hub, "me/adapter", "bash") for line in block.splitlines()
                  if line.startswith("weightarith ")]  # fmt: skip
    run(any_hub, tmp_path, "-m", *shlex.split(command))
    assert (tmp_path / "merged" / "model.safetensors").is_file()


def test_what_the_card_of_a_vector_says_applies_it_and_makes_an_adapter_that_peft_loads(
    any_hub: Hub, tmp_path: Path
) -> None:
    pytest.importorskip("peft")
    things.parents(any_hub, tmp_path)
    carry_out(draw(things.vector(tmp_path), Wish("me/task")))

    lines = [line for block in told(any_hub, "me/task", "bash") for line in block.splitlines()]
    assert [line.split()[1] for line in lines] == ["apply", "compress", "compress"]
    for line in lines[:2]:  # of matrices as small as these, factors of rank 32 would save nothing
        run(any_hub, tmp_path, "-m", *shlex.split(line.replace("--rank 32", "--rank 4")))
    applied = (tmp_path / "steered" / "model.safetensors").read_bytes()
    shutil.rmtree(tmp_path / "steered")
    (code,) = told(any_hub, "me/task", "python")
    run(any_hub, tmp_path, "-c", code)
    assert (tmp_path / "steered" / "model.safetensors").read_bytes() == applied
    loading = (
        "from peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n"
        "base = AutoModelForCausalLM.from_pretrained('org/base')\n"
        "print(len(PeftModel.from_pretrained(base, 'adapter').peft_config))"
    )
    assert run(any_hub, tmp_path, "-c", loading).split()[-1] == "1"


def test_an_adapter_in_gguf_is_verified_and_made_again(any_hub: Hub, tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    things.parents(any_hub, tmp_path)
    path = things.gguf(tmp_path)
    carry_out(draw(path, Wish("me/task-gguf")))

    files = any_hub.files("me/task-gguf")
    assert files["task.gguf"] == path.read_bytes()
    assert set(files) - {".gitattributes"} == {"task.gguf", "weightarith.json", "README.md"}
    card = files["README.md"].decode()
    assert "base_model: org/base\nbase_model_relation: adapter\nlibrary_name: gguf\n" in card
    assert (
        "hf download me/task-gguf task.gguf --local-dir .\nllama-cli --model model.gguf --lora task.gguf"
        in card
    )
    run(any_hub, tmp_path, "-m", "weightarith", "verify", "me/task-gguf")
    run(any_hub, tmp_path, "-m", "weightarith", "reproduce", "me/task-gguf", "-o", "again.gguf")
    assert (tmp_path / "again.gguf").read_bytes() == path.read_bytes()
    found = run(
        any_hub,
        tmp_path,
        "-c",
        "from huggingface_hub import hf_hub_download as get; print(get('me/task-gguf', 'task.gguf'))",
    )
    assert len(gguf.GGUFReader(found.strip()).tensors) > 10
    assert carry_out(draw(path, Wish("me/task-gguf"))).changed == ()


def test_an_adapter_in_gguf_that_was_damaged_or_names_this_machine_is_not_pushed(
    hub: Hub, tmp_path: Path
) -> None:
    pytest.importorskip("gguf")
    things.parents(hub, tmp_path)
    path = things.gguf(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(VerificationError, match=r"'task\.gguf' is not what its receipt says"):
        carry_out(draw(path, Wish("me/task-gguf")))
    path.write_bytes(content + b"0")
    with pytest.raises(VerificationError, match="is not what its receipt says"):
        draw(path, Wish("me/task-gguf"))
    home = b"\0/home/max/models/base".ljust(64, b"\0")
    path.write_bytes(content[:600] + home + content[664:])
    with pytest.raises(InvalidFileError, match="holds the path of a folder on this machine"):
        draw(path, Wish("me/task-gguf"))


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
