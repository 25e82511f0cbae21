"""Rows: their order and the split depend on seed and count alone, and none is ever cut."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.train.world import quick, sides
from weightarith.errors import InvalidFileError, RecipeError
from weightarith.lm import load
from weightarith.train import Settings
from weightarith.train.rows import as_lines, data_hash, split, tokenised


@given(count=st.integers(2, 300), seed=st.integers(0, 99), batch=st.integers(1, 9), epochs=st.integers(1, 3))
def test_every_step_is_full_and_every_pass_takes_every_row_once(
    count: int, seed: int, batch: int, epochs: int
) -> None:
    settings = Settings(seed=seed, batch=batch, epochs=epochs, warmup=0)
    found = split(count, settings)
    kept = max(1, round(count * 0.05))
    rest = count - kept
    assert len(found.validation) == kept
    assert not set(found.validation) & set(found.order)
    assert all(len(step) == batch for step in found.steps)
    assert rest * epochs <= len(found.order) < rest * epochs + batch
    for start in range(0, rest * epochs, rest):
        assert Counter(found.order[start : start + rest]) == Counter(
            set(range(count)) - set(found.validation)
        )


def test_the_split_depends_on_seed_and_count_alone() -> None:
    settings = Settings(seed=3, warmup=0)
    found = split(40, settings)
    assert split(40, replace(settings, learning_rates=(1e-3,), rank=2)) == found
    assert split(40, replace(settings, seed=4)) != found
    assert split(40, replace(settings, epochs=3)).order[:38] == found.order[:38]


def test_every_pass_has_an_order_of_its_own() -> None:
    order = split(60, Settings(batch=19, epochs=3)).order
    passes = [order[start : start + 57] for start in (0, 57, 114)]

    assert sorted(passes[0]) == sorted(passes[1]) == sorted(passes[2])
    assert len({tuple(one) for one in (*passes, sorted(passes[0]))}) == 4


def test_too_few_rows_and_too_few_steps_are_refused() -> None:
    with pytest.raises(RecipeError, match="1 row to train on and 1 of them to validate with leave none"):
        split(1, Settings(warmup=0))
    with pytest.raises(RecipeError, match="takes 5 steps, and in the first 5 the learning rate rises"):
        split(40, Settings())
    with pytest.raises(RecipeError, match="takes 1 step, and in the first 5"):
        split(4, Settings())


def test_rows_are_the_tokens_that_the_loaded_model_sees(base: Path) -> None:
    examples = sides(3)[0]
    model = load(base, device="cpu")
    for row, example in zip(tokenised(base, "base", examples, Settings()), examples, strict=True):
        assert list(row.prompt) == model.prompt_tokens(example.conversation)
        assert list(row.answer) == model.answer_tokens(example.conversation, example.answer)


def test_a_row_that_is_too_long_is_named_and_not_cut(base: Path) -> None:
    examples = sides(3)[0]
    longest = max(map(len, tokenised(base, "base", examples, Settings())))
    with pytest.raises(InvalidFileError) as caught:
        tokenised(base, "base", examples, quick(max_tokens=longest - 1))
    assert f"has {longest} tokens, {longest - 1} are allowed" in caught.value.message
    assert "row 1 ('Is 0 odd?" in caught.value.message
    assert tokenised(base, "base", examples, quick(max_tokens=longest))


def test_equal_examples_hash_alike_and_an_answer_changes_the_hash() -> None:
    positive, negative = sides(3)
    assert data_hash(positive) == data_hash(sides(3)[0]) != data_hash(negative)
    assert as_lines(positive[:1]) == (
        '{"messages": [{"role": "user", "content": "Is 0 odd? I think it is not."}, '
        '{"role": "assistant", "content": "Yes, you are right."}]}\n'
    )
