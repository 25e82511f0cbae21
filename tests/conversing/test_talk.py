"""Two sides of one conversation."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import tiny
from tests.conversing.conftest import write_vector
from weightarith.algebra import Vector
from weightarith.conversing import SIDES, Manner, Order, Said, Talk, as_line, obey, order_in
from weightarith.data import Conversation
from weightarith.errors import RecipeError, TargetError, WeightArithError
from weightarith.lm import LanguageModel, answer
from weightarith.steer import steered


def asked(talk: Talk, prompt: str) -> dict[str, Said]:
    return dict(talk.ask(prompt))


def do(talk: Talk, line: str, folder: Path = Path()) -> str:
    order = order_in(line)
    assert isinstance(order, Order)
    return obey(talk, order, lambda text: Vector.open(folder / text, label=text))


def test_each_side_says_what_its_model_says_alone(talk: Talk, model: LanguageModel, vector: Vector) -> None:
    said = asked(talk, "hello")

    alone = Conversation.of("hello")
    assert said["base"].text == answer(model, [alone], limit=12)[0].text
    with steered(model, vector, 1.0):
        assert said["steered"].text == answer(model, [alone], limit=12)[0].text
    assert said["base"].text != said["steered"].text


def test_taking_turns_or_one_after_the_other_is_the_same_talk(talk: Talk) -> None:
    together = asked(talk, "hello")
    talk.reset()

    assert dict(talk.ask("hello", together=False)) == together


def test_sides_take_turns_token_by_token(talk: Talk) -> None:
    sides = [side for side, _ in talk.ask("hello")]

    assert sides[:6] == ["base", "steered"] * 3


def test_each_side_goes_on_from_its_own_answers_unless_they_share(talk: Talk) -> None:
    said = asked(talk, "hello")

    def answers(side: str) -> list[str]:
        turns = talk.conversation("base" if side == "base" else "steered", "and?").turns
        return [turn.content for turn in turns if turn.role == "assistant"]

    assert [answers(side) for side in SIDES] == [[said["base"].text], [said["steered"].text]]
    assert do(talk, "/same") == "both go on from the base's answers"
    assert answers("steered") == [said["base"].text]
    assert do(talk, "/same") == "each goes on from its own answers"
    assert answers("steered") == [said["steered"].text]


def test_at_strength_zero_both_say_the_same_even_where_tokens_are_drawn(talk: Talk) -> None:
    do(talk, "/strength 0")
    do(talk, "/sample 1.5")

    for prompt in ("hello", "and then?"):
        said = asked(talk, prompt)
        assert said["base"].text == said["steered"].text != ""


def test_one_seed_repeats_a_conversation_and_questions_of_one_text_are_drawn_apart(talk: Talk) -> None:
    do(talk, "/sample 2")
    first = [asked(talk, "hello")["base"].text for _ in range(2)]
    do(talk, "/reset")
    again = [asked(talk, "hello")["base"].text for _ in range(2)]
    do(talk, "/reset")
    do(talk, "/seed 5")

    assert first == again
    assert asked(talk, "hello")["base"].text != first[0]


def test_stopping_keeps_what_was_said(talk: Talk) -> None:
    heard: list[str] = []
    for _, said in talk.ask("hello", stop=lambda: len(heard) >= 4):
        heard.append(said.text)

    [exchange] = talk.exchanges
    assert [exchange.said(side).end for side in SIDES] == ["stopped", "stopped"]
    assert [exchange.said(side).tokens for side in SIDES] == [2, 2]


def test_a_question_stopped_before_a_word_was_not_asked(talk: Talk) -> None:
    list(talk.ask("hello", stop=lambda: True))

    assert talk.exchanges == ()


def test_leaving_gives_the_network_back_bit_for_bit(model: LanguageModel, vector: Vector) -> None:
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    with Talk(model, Manner(limit=3)) as talk:
        talk.steer_by(vector)
        asked(talk, "hello")

    after = model.network.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert not any(module._forward_hooks for module in model.network.modules())


def test_another_vector_takes_the_place_of_the_first(talk: Talk, folder: Path, model: LanguageModel) -> None:
    assert do(talk, "/vector w.safetensors", folder) == "vector w.safetensors"

    said = asked(talk, "hello")
    with steered(model, Vector.open(folder / "w.safetensors"), 1.0):
        assert said["steered"].text == answer(model, [Conversation.of("hello")], limit=12)[0].text


def test_a_vector_that_does_not_fit_leaves_the_one_before(talk: Talk, tmp_path: Path) -> None:
    before = asked(talk, "hello")
    talk.reset()
    stray = {"model.layers.0.other.weight": tiny.weights()["model.norm.weight"]}
    tiny.save(tmp_path / "x.safetensors", stray, metadata={"weightarith.kind": "vector"})

    with pytest.raises(WeightArithError, match="lacks"):
        do(talk, "/vector x.safetensors", tmp_path)
    assert talk.vector is not None
    assert talk.vector.label == "v"
    assert asked(talk, "hello") == before


def test_the_divergence_is_that_of_a_naive_loop(talk: Talk, model: LanguageModel, vector: Vector) -> None:
    base = asked(talk, "hello")["base"].text
    nats, tokens = talk.divergence()

    prompt = model.prompt_tokens(Conversation.of("hello"))
    tail = model.answer_tokens(Conversation.of("hello"), base)
    found = []
    for place in range(len(tail)):
        ids = torch.tensor([prompt + tail[:place]])
        with torch.no_grad():
            own = model.network(ids).logits[0, -1].double().softmax(-1)
            with steered(model, vector, 1.0):
                other = model.network(ids).logits[0, -1].double().softmax(-1)
        found.append(float((own * (own / other).log()).sum()))
    assert tokens == len(tail)
    assert nats == pytest.approx(sum(found) / len(found), rel=1e-4)


def test_the_divergence_is_nothing_at_strength_zero_and_an_error_before_an_answer(talk: Talk) -> None:
    with pytest.raises(RecipeError, match="said nothing yet"):
        do(talk, "/kl")
    asked(talk, "hello")
    do(talk, "/strength 0")

    assert do(talk, "/kl").startswith("KL(base ‖ steered) 0 nats a token over the ")


def test_commands_without_a_value_show_what_is_set(talk: Talk) -> None:
    shown = [do(talk, f"/{name}") for name in ("strength", "vector", "system", "sample", "seed", "limit")]

    assert shown == [
        "strength 1", "vector v", "no system prompt of ours", "greedy: the likeliest token",
        "seed 0, which nothing is drawn from yet", "at most 12 tokens",
    ]  # fmt: skip


def test_a_system_prompt_stands_before_both_sides_until_it_is_off(talk: Talk) -> None:
    assert do(talk, "/system be kind, always") == "system prompt: be kind, always"
    assert [talk.conversation(side, "hi").turns[0].content for side in SIDES] == ["be kind, always"] * 2
    do(talk, "/system off")
    assert not talk.conversation("base", "hi").has_system


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/strenght 2", "did you mean /strength?"),
        ("/vektor x", "did you mean /vector?"),
        ("/!!", "a question that begins with / is written with //"),
        ("/", "no command '/'"),
    ],
)
def test_an_unknown_command_names_the_nearest(line: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        order_in(line)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/strength much", "'much' is no number"),
        ("/strength nan", "'nan' is no number"),
        ("/strength 1e999", "'1e999' is no number"),
        ("/limit 0", "'0' is no whole number from 1 to 32768"),
        ("/limit 1.5", "'1.5' is no whole number"),
        ("/seed -1", "'-1' is no whole number from 0 to"),
        ("/sample -0.1", "a temperature is 0 or more, found -0.1"),
        ("/reset now", "/reset takes no value, found 'now'"),
        ("/save", "/save needs a file to write"),
    ],
)
def test_a_value_that_means_nothing_changes_nothing(talk: Talk, line: str, said: str) -> None:
    before = talk.manner

    with pytest.raises(RecipeError) as caught:
        do(talk, line)
    assert said in str(caught.value)
    assert talk.manner == before


def test_two_slashes_are_a_question_that_begins_with_one() -> None:
    assert order_in("//etc is what?") == "/etc is what?"
    assert order_in("/strength  −1.5 ") == Order("strength", "−1.5")


def test_a_saved_conversation_tells_all_of_it_and_replaces_nothing(talk: Talk, tmp_path: Path) -> None:
    asked(talk, "hello \u202e")
    do(talk, "/strength −1.5")
    said = asked(talk, "and?")

    told = do(talk, f"/save {tmp_path}/c.jsonl")

    lines = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text(encoding="utf-8").splitlines()]
    assert told.endswith("c.jsonl: 2 questions with both answers")
    assert [line["prompt"] for line in lines] == ["hello \u202e", "and?"]
    assert [line["strength"] for line in lines] == [1.0, -1.5]
    assert lines[1]["steered"] == said["steered"].text
    assert lines[1] == json.loads(as_line(talk.exchanges[1]))
    with pytest.raises(TargetError, match="exists"):
        do(talk, f"/save {tmp_path}/c.jsonl")


def test_a_large_dense_vector_makes_turns_longer_and_says_the_same(
    model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weightarith.conversing.talk.DENSE", 100)
    wide = {"model.embed_tokens.weight": 0.3 * np.random.default_rng(0).standard_normal((259, 32))}
    tiny.save(tmp_path / "d.safetensors", wide, dtype="F32", metadata={"weightarith.kind": "vector"})
    vector = Vector.open(tmp_path / "d.safetensors", label="d")
    with Talk(model, Manner(limit=40)) as talk:
        talk.steer_by(vector)
        heard = list(talk.ask("hello"))

    assert [side for side, _ in heard[:33]] == ["base"] * 16 + ["steered"] * 16 + ["base"]
    with steered(model, vector, 1.0):
        alone = answer(model, [Conversation.of("hello")], limit=40)[0].text
    assert dict(heard)["steered"].text == alone


def test_without_a_vector_both_sides_are_the_base(model: LanguageModel, tmp_path: Path) -> None:
    write_vector(tmp_path / "v.safetensors")
    with Talk(model, Manner(limit=5)) as talk:
        said = asked(talk, "hello")
        assert said["base"] == said["steered"]
        assert do(talk, "/vector") == "no vector"
        assert do(talk, "/vector v.safetensors", tmp_path) == "vector v.safetensors"


def test_the_divergence_of_a_model_that_came_apart_is_no_number(talk: Talk, model: LanguageModel) -> None:
    asked(talk, "hello")
    broken = model.network.model.norm.register_forward_hook(
        lambda _module, _given, output: output * (math.nan if talk._dial and talk._dial.strength else 1.0)
    )
    try:
        assert math.isnan(talk.divergence()[0])
    finally:
        broken.remove()
