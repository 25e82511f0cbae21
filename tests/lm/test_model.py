"""How a conversation becomes tokens, and what cannot be loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests import tiny
from tests.tinychat import TEMPLATE
from weightarith.data import Conversation
from weightarith.errors import InvalidFileError, RecipeError, UnsupportedError
from weightarith.lm import LanguageModel, load
from weightarith.lm.place import device_named

ASKED = Conversation.of("Hm?")
THINKING = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}{{ '(thought)' }}{% endif %}"
    "{{ message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>' }}{% endif %}"
)
UNMARKED = TEMPLATE.replace("'<|im_end|>' + ", "")


def templated(folder: Path, into: Path, template: str | None) -> Path:
    shutil.copytree(folder, into)
    (into / "chat_template.jinja").unlink()
    if template is not None:
        (into / "chat_template.jinja").write_text(template, encoding="utf-8")
    return into


def told(model: LanguageModel, tokens: list[int]) -> str:
    return str(model.tokenizer.decode(tokens))


def test_prompt_and_answer_together_are_the_whole_conversation(chat: LanguageModel) -> None:
    prompt, answer = chat.prompt_tokens(ASKED), chat.answer_tokens(ASKED, "So. ✓")

    assert told(chat, prompt) == "<|im_start|>user\nHm?<|im_end|>\n<|im_start|>assistant\n"
    assert told(chat, answer) == "So. ✓<|im_end|>"
    assert chat.chat(ASKED, "So. ✓") == told(chat, prompt + answer) + "\n"


def test_what_a_template_writes_behind_the_end_mark_is_no_part_of_the_answer(chat: LanguageModel) -> None:
    assert chat.answer_tokens(ASKED, "A")[-1] == chat.tokenizer.eos_token_id == 2
    assert chat.answer_tokens(ASKED, "a<|im_end|>b").count(2) == 2


def test_the_answer_stands_as_it_is_where_the_template_rewrites_what_stands_before_it(
    chat_folder: Path, tmp_path: Path
) -> None:
    model = load(templated(chat_folder, tmp_path / "thinking", THINKING))

    assert told(model, model.prompt_tokens(ASKED)).endswith("<|im_start|>assistant\n<think>")
    assert told(model, model.answer_tokens(ASKED, "So.")) == "So.<|im_end|>"


def test_an_answer_ends_with_the_tokenizers_mark_where_the_template_writes_none(
    chat_folder: Path, tmp_path: Path
) -> None:
    model = load(templated(chat_folder, tmp_path / "unmarked", UNMARKED))

    assert told(model, model.answer_tokens(ASKED, "So.")) == "So.<|im_end|>"


def test_a_system_prompt_of_the_model_takes_the_place_of_the_conversations_own(chat: LanguageModel) -> None:
    under = chat.under("Be brief.")

    assert under.chat(ASKED).startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHm?")
    assert under.chat(Conversation.of("Hm?", system="Be long.")) == under.chat(ASKED)
    assert under.under(None).chat(ASKED) == chat.chat(ASKED)
    assert under.answer_tokens(ASKED, "So.") == chat.answer_tokens(ASKED, "So.")
    assert under.network is chat.network


def test_earlier_turns_stand_in_the_prompt(chat: LanguageModel) -> None:
    text = told(chat, chat.prompt_tokens(ASKED.then("So.", "Sure?")))

    assert text.count("<|im_end|>") == 3
    assert text.index("Hm?") < text.index("So.") < text.index("Sure?")


def test_ends_are_those_of_the_tokenizer_and_of_the_generation_config(chat_folder: Path) -> None:
    model = load(chat_folder)
    for said, expected in ((None, {2}), (0, {0, 2}), ([0, 1], {0, 1, 2})):
        model.network.generation_config.eos_token_id = said
        assert model.ends == expected


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_model_is_loaded_in_the_dtype_asked_for(chat_folder: Path, dtype: str) -> None:
    model = load(chat_folder, dtype=dtype, device="cpu", system="Be brief.")

    assert next(model.network.parameters()).dtype == getattr(torch, dtype)
    assert (model.device.type, model.system, model.network.training) == ("cpu", "Be brief.", False)
    assert load(chat_folder).network.dtype == torch.float32


def test_a_folder_without_a_config_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(InvalidFileError, match=r"is no model folder: it has no config\.json"):
        load(tmp_path)


def test_an_adapter_is_no_model_and_it_is_said_what_to_name_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")

    with pytest.raises(InvalidFileError, match=r"is no model folder") as caught:
        load(tmp_path)
    assert (
        caught.value.hint == "this is an adapter: name its base as the model, and the adapter as the vector"
    )


def test_a_device_that_is_not_there_is_told_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RecipeError, match=r"device cuda: torch [\d.+a-z]+ finds no GPU"):
        load("nowhere", device="cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(RecipeError, match=r"device cuda:2: torch .* finds 2 GPUs"):
        load("nowhere", device="cuda:2")
    for name in ("gpu", "cuda:", "cuda:x", "CPU", ""):
        with pytest.raises(RecipeError, match="expected auto, cpu, cuda or cuda:N"):
            device_named(name)
    assert str(device_named("cuda:1")) == "cuda:1"


def test_a_tokenizer_without_a_template_is_refused(chat_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="has no chat template") as caught:
        load(templated(chat_folder, tmp_path / "bare", None))
    assert "chat_template.jinja" in caught.value.hint


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = tiny.checkpoint(tmp_path / "bare", tiny.weights())

    with pytest.raises(UnsupportedError, match=r"no tokenizer can be read from '.*bare'"):
        load(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "no-such-kind"},
        {"auto_map": {"AutoModelForCausalLM": "own.Model"}, "model_type": "own"},
    ],
)
def test_what_transformers_does_not_know_is_told_and_no_code_of_a_folder_is_run(
    chat_folder: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    folder = tmp_path / "own"
    shutil.copytree(chat_folder, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8")) | change
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "own.py").write_text("raise SystemExit('run')", encoding="utf-8")

    with pytest.raises((InvalidFileError, UnsupportedError), match=r"own'") as caught:
        load(folder)
    assert "\n" not in caught.value.message


def test_a_dtype_that_there_is_not_is_named(chat_folder: Path) -> None:
    with pytest.raises(
        RecipeError, match="no dtype is called 'int3', expected one of auto, float32, bfloat16"
    ):
        load(chat_folder, dtype="int3")


def test_a_model_that_lacks_weights_is_refused_and_not_filled_with_chance(
    chat_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "half"
    shutil.copytree(chat_folder, folder)
    held = load_file(folder / "model.safetensors")
    held.pop("model.layers.1.mlp.up_proj.weight")
    save_file(held, folder / "model.safetensors", {"format": "pt"})

    with pytest.raises(InvalidFileError, match=r"lacks weights .*: 'model\.layers\.1\.mlp\.up_proj\.weight'"):
        load(folder)


def test_half_a_file_is_refused(chat_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(chat_folder, folder)
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])

    with pytest.raises(InvalidFileError, match="transformers cannot read"):
        load(folder)


def test_a_pickle_is_never_opened(chat_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(chat_folder, folder)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")

    with pytest.raises(InvalidFileError, match="transformers cannot read"):
        load(folder)
