"""Which questions are shown, and that answers are those of the steered model."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.conversing.conftest import write_vector
from tests.tinychat import instruct
from weightarith.algebra import Vector
from weightarith.data import Conversation, Example
from weightarith.lm import answer, load
from weightarith.report import answered, chosen_prompts
from weightarith.steer import steered


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.integers(1, 45))
def test_questions_are_different_in_order_and_evenly_spread(numbers: list[int], count: int) -> None:
    different = list(dict.fromkeys(numbers))
    places = [
        different.index(int(one.asked))
        for one in chosen_prompts([Example(Conversation.of(str(n)), "a") for n in numbers], count)
    ]

    assert len(places) == min(count, len(different))
    assert places[0] == 0
    gaps = {later - place for place, later in zip(places, [*places[1:], len(different)], strict=True)}
    assert max(gaps) - min(gaps) <= 1
    assert min(gaps) >= 1


def test_answers_are_those_of_the_steered_model_and_the_base_among_them(tmp_path: Path) -> None:
    model = load(instruct(tmp_path / "instruct"))
    vector = Vector.open(write_vector(tmp_path / "v.safetensors"))
    asked = [Conversation.of("hello", system="be brief"), Conversation.of("why?")]

    found = answered(model, vector, asked, [1.0, -0.5, 0.0, 1.0], source="Made up.", limit=6)

    assert found.strengths == (-0.5, 0.0, 1.0)
    assert found.asked[0].turns == (("system", "be brief"), ("user", "hello"))
    for column, k in enumerate(found.strengths):
        with steered(model, vector, k):
            said = [one.text for one in answer(model, asked, limit=6)]
        assert [one.answers[column] for one in found.asked] == [(f"{text} […]", "") for text in said]
    assert found.asked[0].answers[0] != found.asked[0].answers[1]
    assert found.source == "Made up. Greedy answers of at most 6 tokens; […] marks those that were cut there."


def test_no_more_questions_are_asked_than_there_are() -> None:
    examples = [Example(Conversation.of("one"), text) for text in "ab"]

    assert [one.asked for one in chosen_prompts(examples, 9)] == ["one"]
