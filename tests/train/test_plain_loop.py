"""A training against a plain loop of torch, row by row: losses of every step, and the weights at the end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import get_peft_model_state_dict
from safetensors.torch import load_file

from tests.train.world import quick, sides
from weightarith.train import Settings, train
from weightarith.train.network import network_for
from weightarith.train.rows import Row, split, tokenised

EXAMPLES = sides()[0]


def loss_of(network: Any, rows: list[Row]) -> torch.Tensor:
    """The mean over all tokens of all answers, each row by itself: no padding, no mask."""
    told = []
    for row in rows:
        logits = network(input_ids=torch.tensor([[*row.prompt, *row.answer]])).logits[0]
        for place, token in enumerate(row.answer):
            told.append(-logits[len(row.prompt) + place - 1].log_softmax(-1)[token])
    return torch.stack(told).mean()


def rate_at(step: int, steps: int, settings: Settings) -> float:
    [highest] = settings.rates
    if step < settings.warmup:
        return highest * step / settings.warmup
    return highest * (steps - step) / (steps - settings.warmup)


def adamw(
    parameter: torch.Tensor, seen: dict[str, torch.Tensor], step: int, rate: float, decay: float
) -> None:
    """Loshchilov and Hutter, arXiv 1711.05101, algorithm 2, as torch parametrises it."""
    gradient = parameter.grad
    assert gradient is not None
    seen["m"] = 0.9 * seen.get("m", torch.zeros_like(parameter)) + 0.1 * gradient
    seen["v"] = 0.999 * seen.get("v", torch.zeros_like(parameter)) + 0.001 * gradient**2
    mean, spread = seen["m"] / (1 - 0.9 ** (step + 1)), seen["v"] / (1 - 0.999 ** (step + 1))
    parameter.data = parameter.data * (1 - rate * decay) - rate * mean / (spread.sqrt() + 1e-8)


def plainly(base: Path, settings: Settings) -> tuple[list[float], Mapping[str, torch.Tensor]]:
    network = network_for(base, settings)
    rows, plan = tokenised(base, "base", EXAMPLES, settings), split(len(EXAMPLES), settings)
    trained = {name: one for name, one in network.named_parameters() if one.requires_grad}
    seen: dict[str, dict[str, torch.Tensor]] = {name: {} for name in trained}
    losses = []
    for step, numbers in enumerate(plan.steps):
        network.zero_grad()
        loss = loss_of(network, [rows[number] for number in numbers])
        torch.autograd.backward(loss)
        losses.append(float(loss.detach()))
        gradients = [one.grad for one in trained.values() if one.grad is not None]
        norm = math.sqrt(sum(float((gradient.double() ** 2).sum()) for gradient in gradients))
        for gradient in gradients:
            gradient.mul_(min(1.0, settings.clip / norm))
        rate = rate_at(step, len(plan.steps), settings)
        for name, one in trained.items():
            decay = 0.0 if "bias" in name or "norm" in name else settings.weight_decay
            adamw(one, seen[name], step, rate, decay)
    return losses, network.state_dict() if settings.kind == "full" else get_peft_model_state_dict(network)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"clip": 0.05},  # far below the norms of the gradients
        {"weight_decay": 5.0, "warmup": 3},
        {"steps": 9, "seed": 5},  # into a second pass
        {"kind": "full", "learning_rates": (1e-3,), "weight_decay": 5.0},
    ],
    ids=lambda changes: ", ".join(changes) or "as is",
)
def test_a_plain_loop_comes_to_the_same_losses_and_weights(
    base: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    settings = quick(dtype="float32", **changes)
    done = train(base, EXAMPLES, tmp_path / "out", settings)

    losses, weights = plainly(base, settings)

    assert done.report["rates"][0]["losses"] == pytest.approx(losses, rel=2e-4)
    [file] = (tmp_path / "out").glob("*model.safetensors")
    for name, found in load_file(file).items():
        torch.testing.assert_close(found, weights[name].detach(), rtol=2e-3, atol=2e-4)
