"""Methods without a dial, and vectors of chance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.steer.networks import everything, left_as_it_was, small, write
from weightarith.data import Conversation
from weightarith.errors import RecipeError
from weightarith.lm import LanguageModel
from weightarith.steer import PromptMethod, StagesMethod, random_like, steered
from weightarith.steer.chance import drawn
from weightarith.steer.fitted import Dense, Factors


def wrapped(network: Any) -> LanguageModel:
    return LanguageModel(network, None, "small")


def test_a_prompt_method_asks_for_the_behaviour_or_for_its_opposite(chat: LanguageModel) -> None:
    method = PromptMethod("prompt", "Agree with everything.", "Be honest.")
    asked = Conversation.of("Hm?", system="Be brief.")

    assert method.strengths == (-1.0, 1.0)
    for strength, expected in ((1, "Agree with everything."), (-1, "Be honest."), (0, "Be brief.")):
        with left_as_it_was(chat.network), method.at(chat, strength) as model:
            text = model.chat(asked)
            assert text.count("system") == 1
            assert expected in text
    with method.at(chat.under("Speak French."), 0) as model:
        assert model.system == "Speak French."


def test_a_prompt_method_has_no_strength_between() -> None:
    method = PromptMethod("prompt", "a", "b")

    with pytest.raises(RecipeError, match=r"'prompt' has no strength 0.5, only -1, 1") as caught:
        method.at(wrapped(small()), 0.5).__enter__()
    assert "no dial" in caught.value.hint


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(RecipeError, match="the negative prompt of 'prompt' is empty"):
        PromptMethod("prompt", "a", " ")


def test_stages_are_the_fine_tune_as_it_was_and_nothing_between(tmp_path: Path) -> None:
    model, plain = wrapped(small()), small().norm.weight
    stages = {
        strength: write(tmp_path / f"{strength}.safetensors", {"norm.weight": np.full(6, value)})
        for strength, value in ((1.0, 3.0), (-0.5, 5.0), (-1, 7.0))
    }
    method = StagesMethod("fine-tuning", stages)

    assert method.strengths == (-1.0, -0.5, 1.0)
    for strength, value in ((1, 3.0), (-0.5, 5.0), (-1, 7.0), (0, 0.0)):
        with left_as_it_was(model.network), method.at(model, strength) as given_model:
            assert torch.allclose(given_model.network.norm.weight, plain + value)
    with pytest.raises(RecipeError, match=r"'fine-tuning' has no strength 0.5, only -1, -0.5, 1"):
        method.at(model, 0.5).__enter__()
    with pytest.raises(RecipeError, match="stage 0"):
        StagesMethod("fine-tuning", {0.0: stages[1.0]})


FACTORED = st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 3))


@given(shape=FACTORED, size=st.floats(1e-6, 1e6), seed=st.integers(0, 1000))
def test_a_random_product_has_the_norm_and_the_rank_of_the_product(
    shape: tuple[int, int, int], size: float, seed: int
) -> None:
    rows, columns, rank = shape
    draws = torch.Generator().manual_seed(seed)
    left = size * torch.randn(rows, rank, dtype=torch.float64, generator=draws)
    delta = Factors(left, torch.randn(rank, columns, dtype=torch.float64, generator=draws))
    found = drawn(delta, "a.weight", seed)
    assert isinstance(found, Factors)

    dense = found.left @ found.right
    assert found.left.shape == left.shape
    assert float(dense.norm()) == pytest.approx(float((left @ delta.right).norm()), rel=1e-6)
    assert torch.linalg.matrix_rank(dense) == min(rank, rows, columns)


@given(seeds=st.sets(st.integers(0, 2**32), min_size=2, max_size=2), names=st.permutations("ab"))
def test_another_seed_or_name_gives_another_random_vector(seeds: set[int], names: list[str]) -> None:
    delta = Dense(torch.full((40, 50), 0.5, dtype=torch.float64))
    one, other = (drawn(delta, names[0], seed).rows(slice(None)).reshape(-1) for seed in seeds)
    third = drawn(delta, names[1], min(seeds)).rows(slice(None)).reshape(-1)

    assert one.norm() == pytest.approx(0.5 * 2000**0.5)
    assert abs(float(torch.cosine_similarity(one, other, dim=0))) < 0.15
    assert abs(float(torch.cosine_similarity(one, third, dim=0))) < 0.15
    assert torch.equal(drawn(delta, names[1], min(seeds)).rows(slice(None)).reshape(-1), third)


def test_random_numbers_are_normal() -> None:
    found = drawn(Dense(torch.ones(100_000, dtype=torch.float64)), "x", 3).rows(slice(None))

    assert abs(float(found.mean())) < 0.01
    assert float((found**4).mean()) == pytest.approx(3, abs=0.1)


def test_a_random_vector_is_alike_on_any_number_of_threads_and_as_large_at_every_tensor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vector, full = everything(tmp_path / "v.safetensors")
    method, found = random_like(vector, 7), []
    for threads in (1, 8):
        monkeypatch.setattr("weightarith.engine.visit.cores", lambda threads=threads: threads)
        fitted = random_like(vector, 7).fit(wrapped(small()))
        found.append({**fitted.added, **fitted.moved})

    assert method.name == "random, seed 7"
    assert {name: tuple(delta.tensors[0].shape) for name, delta in found[0].items()}.keys() == full.keys()
    for name, delta in found[0].items():
        pairs = zip(delta.tensors, found[1][name].tensors, strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)
        assert float(delta.rows(slice(None)).norm()) == pytest.approx(float(full[name].norm()), rel=1e-5)
    network = small()
    with left_as_it_was(network), method.at(wrapped(network), -0.5):
        moved = network.norm.weight - small().norm.weight
    assert torch.allclose(moved.float(), -0.5 * found[0]["norm.weight"].rows(slice(None)), atol=1e-6)


def test_a_random_vector_is_no_part_of_the_one_it_is_like(tmp_path: Path) -> None:
    vector, _ = everything(tmp_path / "v.safetensors")
    network = small()
    with random_like(vector).at(wrapped(network), 1):
        one = network.conv.weight.clone()
    with steered(network, vector):
        assert not torch.allclose(network.conv.weight, one)
    with pytest.raises(RecipeError, match="must not be negative, and this is -1"):
        random_like(vector, -1)


def test_what_is_like_a_product_that_cancels_is_nothing(tmp_path: Path) -> None:
    network = small()
    name, shape = "plain.weight", network.plain.weight.shape
    left = np.ones((shape[0], 1))
    vector = write(
        tmp_path / "v.safetensors",
        {f"{name}::B": np.hstack([left, -left]), f"{name}::A": np.ones((2, shape[1]))},
    )

    assert random_like(vector).fit(wrapped(network)).added == {}
    with left_as_it_was(network), random_like(vector).at(wrapped(network), 1.0):
        pass


def test_random_products_at_two_tensors_are_drawn_apart() -> None:
    both = torch.ones(40, 5, dtype=torch.float64), torch.ones(5, 40, dtype=torch.float64)
    one, other = (drawn(Factors(*both), name, 3).rows(slice(None)) for name in ("a.weight", "b.weight"))

    assert abs(float(torch.cosine_similarity(one.reshape(-1), other.reshape(-1), dim=0))) < 0.3


def test_the_two_factors_of_a_random_product_are_drawn_apart() -> None:
    both = torch.ones(40, 5, dtype=torch.float64), torch.ones(5, 40, dtype=torch.float64)
    found = drawn(Factors(*both), "a.weight", 3)
    assert isinstance(found, Factors)

    left, right = found.left.reshape(-1), found.right.reshape(-1)
    assert abs(float(torch.cosine_similarity(left, right, dim=0))) < 0.3
