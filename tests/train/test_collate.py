"""The loss of a batch, against one computed row by row, without padding, over the whole vocabulary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.train.world import sides
from weightarith.lm import LanguageModel, load
from weightarith.train import Settings
from weightarith.train.collate import Collator, collator_for
from weightarith.train.rows import Row, tokenised


@pytest.fixture(scope="module")
def model(base: Path) -> LanguageModel:
    return load(base, device="cpu")


@pytest.fixture(scope="module")
def rows(base: Path) -> list[Row]:
    return tokenised(base, "base", sides(6)[1], Settings())


@torch.inference_mode()
def naive(model: LanguageModel, rows: list[Row]) -> float:
    """Return the mean of −log p over all answer tokens, one token after the other."""
    total, count = 0.0, 0
    for row in rows:
        tokens = [*row.prompt, *row.answer]
        logits = model.network(input_ids=torch.tensor([tokens])).logits[0].double()
        for place in range(len(row.prompt), len(tokens)):
            total -= float(torch.log_softmax(logits[place - 1], dim=0)[tokens[place]])
            count += 1
    return total / count


def test_the_loss_is_that_of_the_answers_alone(model: LanguageModel, rows: list[Row]) -> None:
    collate = collator_for(model.network, 0)
    assert collate.short
    assert collate.places
    with torch.inference_mode():
        found = model.network(**collate(rows))
    longest = max(len(row.answer) for row in rows)
    assert found.logits.shape[1] == longest + 1
    assert float(found.loss) == pytest.approx(naive(model, rows), rel=1e-5)


def test_a_model_without_logits_to_keep_has_the_same_loss(model: LanguageModel, rows: list[Row]) -> None:
    collate = replace(collator_for(model.network, 0), short=False)
    with torch.inference_mode():
        found = model.network(**collate(rows))
    assert "logits_to_keep" not in collate(rows)
    assert float(found.loss) == pytest.approx(naive(model, rows), rel=1e-5)


def test_answers_end_in_the_last_column_and_prompts_have_no_label() -> None:
    batch = Collator(fill=9, short=True, places=True)([Row((1, 2, 3), (4, 5)), Row((6,), (7, 8, 5))])
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4, 5], [9, 6, 7, 8, 5]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [0, 1, 1, 1, 1]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 4], [0, 0, 1, 2, 3]]
    assert batch["labels"].tolist() == [[-100, -100, 4, 5], [-100, 7, 8, 5]]
    assert batch["logits_to_keep"].tolist() == [1, 2, 3, 4]
