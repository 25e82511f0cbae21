"""What watching a training costs, as CPU seconds of a look beside those of a step."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from weightarith.monitor.known import known_from
from weightarith.monitor.live import Live

CONFIG = LlamaConfig(
    hidden_size=256, intermediate_size=1024, num_hidden_layers=4, num_attention_heads=4,
    num_key_value_heads=4, vocab_size=1024,
)  # fmt: skip
USUAL = 50
"""Steps between two looks where nothing is said."""


def cpu_seconds(act: Callable[[], object]) -> float:
    """Return the least that a call takes."""
    times = []
    for _ in range(4):
        began = time.process_time()
        act()
        times.append(time.process_time() - began)
    return min(times)


def test_a_look_every_50_steps_costs_less_than_one_percent_of_them(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = get_peft_model(LlamaForCausalLM(CONFIG), LoraConfig(r=16, target_modules="all-linear"))
    for label in ("evil", "honest"):
        with torch.no_grad():
            for name, weight in network.named_parameters():
                if ".lora_B." in name:
                    weight.normal_()
        network.save_pretrained(str(tmp_path / label))
    live = Live(network, known_from([tmp_path / "evil", tmp_path / "honest"]))
    ids = torch.randint(0, CONFIG.vocab_size, (8, 64))

    def train() -> None:
        network(input_ids=ids, labels=ids).loss.backward()

    step = cpu_seconds(train)
    look = cpu_seconds(live.look)

    assert look < 0.01 * USUAL * step
