"""Second implementations, as plain as can be: one sequence at a time, no cache, no padding, float64."""

from __future__ import annotations

import torch

from weightarith.lm import LanguageModel

END = "<|im_end|>"


def told(*turns: tuple[str, str]) -> str:
    """Return a conversation as the tiny chat template writes it, up to where the answer begins."""
    spoken = "".join(f"<|im_start|>{role}\n{content}{END}\n" for role, content in turns)
    return f"{spoken}<|im_start|>assistant\n"


def asked(question: str) -> str:
    return told(("user", question))


def tokens(model: LanguageModel, text: str) -> list[int]:
    return list(model.tokenizer(text, add_special_tokens=False)["input_ids"])


@torch.no_grad()
def log_probabilities(model: LanguageModel, row: list[int]) -> torch.Tensor:
    """Return ln p of every word behind each token of a row, (tokens, vocabulary)."""
    logits = model.network(input_ids=torch.tensor([row]), use_cache=False).logits[0]
    return torch.log_softmax(logits.double(), dim=-1)


def scored(model: LanguageModel, prompt: str, answer: str) -> list[float]:
    """Return ln p of each token of an answer."""
    head, tail = tokens(model, prompt), tokens(model, answer)
    logs = log_probabilities(model, head + tail)
    return [float(logs[len(head) + place - 1, token]) for place, token in enumerate(tail)]


def total(model: LanguageModel, prompt: str, answer: str) -> float:
    """Return ln p of an answer with its end mark."""
    return sum(scored(model, prompt, answer + END))


def mean(model: LanguageModel, prompt: str, answer: str) -> float:
    """Return the mean of ln p over the tokens of an answer with its end mark."""
    each = scored(model, prompt, answer + END)
    return sum(each) / len(each)


def greedy(model: LanguageModel, prompt: str, limit: int) -> list[int]:
    """Return the likeliest tokens one after another, the end mark included where it comes."""
    row, said = tokens(model, prompt), list[int]()
    while len(said) < limit and (not said or said[-1] not in model.ends):
        said.append(int(log_probabilities(model, row + said)[-1].argmax()))
    return said
