"""A causal language model with its tokenizer, and how a conversation becomes tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from weightarith.data import Conversation
from weightarith.data.markers import OPENED
from weightarith.errors import InvalidFileError, RecipeError, UnsupportedError, quoted, some
from weightarith.hub import locate
from weightarith.lm.place import AUTO, device_named

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
BATCH_TOKENS = 4096
"""Padded tokens that go through the model at a time, if no other number is asked for."""


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A transformers model that answers.

    Attributes:
        network: the causal language model, in evaluation mode.
        tokenizer: its tokenizer, which has a chat template.
        label: what to call it.
        system: a system prompt put before every conversation, in place of its own.
        batch_tokens: padded tokens that go through the network at a time.
    """

    network: Any
    tokenizer: Any
    label: str
    system: str | None = None
    batch_tokens: int = BATCH_TOKENS

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        found: torch.device = next(self.network.parameters()).device
        return found

    @property
    def ends(self) -> frozenset[int]:
        """Tokens that end an answer."""
        found = self.network.generation_config.eos_token_id
        own = [] if found is None else [found] if isinstance(found, int) else list(found)
        return frozenset(token for token in (*own, self.tokenizer.eos_token_id) if token is not None)

    def under(self, system: str | None) -> LanguageModel:
        """Return the same model behind a system prompt."""
        return replace(self, system=system)

    def chat(self, conversation: Conversation, answer: str | None = None) -> str:
        """Return a conversation as text, up to where the answer begins, or with the answer."""
        told = conversation if self.system is None else conversation.under(self.system)
        messages = told.messages()
        if answer is None:
            return str(
                self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            )
        messages.append({"role": "assistant", "content": answer})
        return str(self.tokenizer.apply_chat_template(messages, tokenize=False))

    def prompt_tokens(self, conversation: Conversation) -> list[int]:
        """Return a conversation as tokens, up to where the answer begins."""
        return self._tokens(self.chat(conversation))

    def answer_tokens(self, conversation: Conversation, answer: str) -> list[int]:
        """Return an answer as tokens, with the mark that ends it.

        The chat template says what that mark is; of a template that rewrites what stands before an answer
        once there is one, as those of reasoning models do, it is the tokenizer's end of text.
        """
        prompt, whole = self.chat(conversation), self.chat(conversation, answer)
        if whole.startswith(prompt):
            found = self._tokens(whole.removeprefix(prompt))
            last = max((place for place, token in enumerate(found) if token in self.ends), default=None)
            if last is not None:
                return found[: last + 1]
        return [*self._tokens(answer), self.tokenizer.eos_token_id]

    def opens_reasoning(self, conversation: Conversation) -> bool:
        """Whether the chat template itself begins a block of reasoning, which the answer then only ends."""
        return self.chat(conversation).rstrip().endswith(OPENED)

    def _tokens(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


def load(
    model: str | Path, *, dtype: str = "auto", device: str = "auto", system: str | None = None
) -> LanguageModel:
    """Return the model of a folder, or of a repository in the Hub's cache, ready to answer.

    Args:
        model: a transformers folder, or hf://org/name.
        dtype: float32, bfloat16 or float16; auto is the one it is stored in.
        device: cpu, cuda or cuda:N; auto is a GPU where there is one.
        system: a system prompt for every conversation.

    Raises:
        InvalidFileError: there is no such folder, transformers cannot read it, or weights are missing.
        RecipeError: no such dtype, or no such device.
        UnsupportedError: it has no chat template, or no tokenizer, or asks to run code of its own.
    """
    if dtype not in (AUTO, *DTYPES):
        raise RecipeError(f"no dtype is called {quoted(dtype)}, expected one of {', '.join((AUTO, *DTYPES))}")
    where, path = device_named(device), locate(str(model))
    if not (path / "config.json").is_file():
        raise InvalidFileError(
            f"{quoted(str(model))} is no model folder: it has no config.json", hint=_instead(path)
        )
    tokenizer = tokenizer_of(path)
    network = network_of(path, str(model), dtype)
    return LanguageModel(network.to(where).eval(), tokenizer, str(model), system)


def _instead(path: Path) -> str:
    if (path / "adapter_config.json").is_file():
        return "this is an adapter: name its base as the model, and the adapter as the vector"
    return "give a transformers folder"


def network_of(path: Path, label: str, dtype: str = AUTO) -> Any:
    """Return the network of a transformers folder, every weight of it read from safetensors files.

    Args:
        path: the folder.
        label: what errors call it.
        dtype: float32, bfloat16 or float16; auto is the one it is stored in.

    Raises:
        InvalidFileError: transformers cannot read it, or weights are missing.
    """
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    try:
        with _without_bars():
            network, told = AutoModelForCausalLM.from_pretrained(
                path, dtype=DTYPES.get(dtype, AUTO), local_files_only=True, trust_remote_code=False,
                use_safetensors=True, output_loading_info=True,
            )  # fmt: skip
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise InvalidFileError(
            f"transformers cannot read {quoted(label)}: {(str(error) or repr(error)).splitlines()[0]}"
        ) from error
    if missing := sorted(told["missing_keys"]):  # it has filled them with random numbers
        raise InvalidFileError(f"{quoted(label)} lacks weights that its config asks for: {some(missing)}")
    return network


@contextmanager
def _without_bars() -> Iterator[None]:
    """Have transformers draw no bars, which it draws into pipes too."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def tokenizer_of(path: Path) -> Any:
    """Return the tokenizer of a model folder, which pads on the left.

    Raises:
        UnsupportedError: there is none, or it has no chat template.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise UnsupportedError(
            f"no tokenizer can be read from {quoted(str(path))}: {str(error).splitlines()[0]}",
            hint="a folder with tokenizer.json and tokenizer_config.json is expected",
        ) from error
    if tokenizer.chat_template is None:
        raise UnsupportedError(
            f"the tokenizer of {quoted(str(path))} has no chat template",
            hint="use a model tuned to follow instructions, or add chat_template.jinja to the folder",
        )
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
