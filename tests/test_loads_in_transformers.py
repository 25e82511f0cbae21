"""A merged folder is a model: transformers loads it, and it computes what the sum in memory computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import tiny as models
from tests.conftest import Tiny
from weightarith.algebra import Checkpoint, Vector
from weightarith.saving import save


def loaded(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    model, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return model.eval()


def logits(model: Any) -> Any:
    import torch

    tokens = torch.arange(24).reshape(2, 12) % models.VOCABULARY
    with torch.no_grad():
        return model(tokens).logits


def sum_in_memory(tiny: Tiny, strength: float, dtype: Any) -> Any:
    """Return a model holding `base + strength · (finetuned − base)`, summed in float64 and rounded once."""
    import torch

    base, tuned = loaded(tiny.base), loaded(tiny.finetuned)
    change = tuned.state_dict()
    with torch.no_grad():
        for name, weight in base.state_dict().items():
            exact = weight.double() + strength * (change[name].double() - weight.double())
            change[name] = exact.to(dtype)
    model = base.to(dtype)
    model.load_state_dict(change)
    return model


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_merged_folder_has_the_logits_of_the_sum_in_memory(tmp_path: Path, tiny: Tiny, dtype: str) -> None:
    import torch

    base, tuned = Checkpoint.open(tiny.base, label="base"), Checkpoint.open(tiny.finetuned)
    save(base + 0.5 * (tuned - base), tmp_path / "out", dtype=dtype, shard_size=4000)

    merged = loaded(tmp_path / "out")

    assert merged.dtype is getattr(torch, dtype)
    expected = sum_in_memory(tiny, 0.5, merged.dtype)
    found, wanted = merged.state_dict(), expected.state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert torch.equal(logits(merged), logits(expected))
    assert not torch.equal(logits(merged), logits(loaded(tiny.base).to(merged.dtype)))


def test_a_merged_folder_generates(tmp_path: Path, tiny: Tiny) -> None:
    import torch

    base, tuned = Checkpoint.open(tiny.base, label="base"), Checkpoint.open(tiny.finetuned)
    save(2 * tuned - base, tmp_path / "out")

    model = loaded(tmp_path / "out")
    made = model.generate(torch.tensor([[3, 4, 5]]), max_new_tokens=5, do_sample=False, pad_token_id=0)

    assert made[0, :3].tolist() == [3, 4, 5]
    assert 3 < made.shape[1] <= 8


def test_a_merged_adapter_has_the_logits_peft_gives_it(tmp_path: Path, tiny: Tiny) -> None:
    import torch
    from peft import PeftModel

    save(Checkpoint.open(tiny.base) + Vector.open(tiny.positive), tmp_path / "out", dtype="float32")

    merged = loaded(tmp_path / "out")
    adapted = PeftModel.from_pretrained(loaded(tiny.base).float(), tiny.positive)

    assert torch.allclose(logits(merged), logits(adapted), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(logits(merged), logits(loaded(tiny.base).float()), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("stored", [True, False])
def test_a_tied_model_stays_tied(tmp_path: Path, stored: bool) -> None:
    import torch

    weights = models.weights(tied=True)
    base = models.checkpoint(tmp_path / "base", weights)
    tuned = models.finetuned(weights, seed=1)
    models.checkpoint(tmp_path / "tuned", tuned)
    if stored:  # some trainers save the head too
        both = {**tuned, "lm_head.weight": tuned["model.embed_tokens.weight"]}
        models.save(tmp_path / "tuned" / "model.safetensors", both, metadata={"format": "pt"})
    first, second = Checkpoint.open(base, label="base"), Checkpoint.open(tmp_path / "tuned")

    save(first + 0.5 * (second - first), tmp_path / "out", dtype="float32")

    model = loaded(tmp_path / "out")
    assert model.lm_head.weight is model.model.embed_tokens.weight
    name = "model.embed_tokens.weight"
    expected = torch.from_numpy(0.5 * (weights[name] + tuned[name]))
    assert torch.equal(model.lm_head.weight.data, expected)
