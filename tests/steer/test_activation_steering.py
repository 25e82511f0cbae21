"""Steering with activations: what is added where, in generation and in scoring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import torch

from tests.steer.networks import left_as_it_was
from tests.tinychat import instruct
from weightarith.data import Conversation
from weightarith.errors import IncompatibleError, RecipeError
from weightarith.lm import LanguageModel, answer, score
from weightarith.lm.model import load
from weightarith.steer import ActivationMethod, ActivationVectors

ASKED = [
    (Conversation.of("Is it so?"), ["Yes!", "No, by no means."]),
    (Conversation.of("What do you think of my poem about the sea?"), ["A", "It is long, and good"]),
]
METHODS = [1, 2, None]


@pytest.fixture(scope="module")
def vectors() -> ActivationVectors:
    return ActivationVectors(torch.randn(3, 32, generator=torch.Generator().manual_seed(0)), 1, 1, "m")


@contextmanager
def by_mask(
    model: LanguageModel, vectors: ActivationVectors, layer: int | None, strength: float, start: int
) -> Iterator[None]:
    """Add the vectors with an explicit mask over positions: 1 from `start` on."""
    a = vectors.layers
    added = {layer: a[layer]} if layer else {1: a[1] - a[0], 2: a[2] - a[1]}

    def masked(vector: torch.Tensor) -> Callable[..., torch.Tensor]:
        def hook(_module: object, _given: object, output: torch.Tensor) -> torch.Tensor:
            mask = (torch.arange(output.shape[1]) >= start).to(output.dtype)
            return output + strength * mask[None, :, None] * vector

        return hook

    with ExitStack() as undo:
        for number, vector in added.items():
            block = model.network.model.layers[number - 1]
            undo.callback(block.register_forward_hook(masked(vector)).remove)
        yield


@pytest.mark.parametrize("layer", METHODS)
@pytest.mark.parametrize("strength", [0.5, -2.0])
def test_scores_are_those_of_a_whole_pass_with_an_explicit_mask(
    chat: LanguageModel, vectors: ActivationVectors, layer: int | None, strength: float
) -> None:
    with left_as_it_was(chat.network), ActivationMethod(vectors, layer).at(chat, strength) as model:
        found = score(model, ASKED)

    for (conversation, answers), scores in zip(ASKED, found, strict=True):
        for text, one in zip(answers, scores, strict=True):
            prompt = chat.prompt_tokens(conversation)
            own = chat.answer_tokens(conversation, text)
            with torch.no_grad(), by_mask(chat, vectors, layer, strength, len(prompt) - 1):
                logits = chat.network(torch.tensor([prompt + own])).logits[0].log_softmax(-1)
            each = [float(logits[len(prompt) - 1 + place, token]) for place, token in enumerate(own)]
            assert one.total == pytest.approx(sum(each), rel=1e-5)
            assert one.tokens == len(own)


@pytest.mark.parametrize("layer", METHODS)
def test_answers_are_those_of_whole_passes_with_an_explicit_mask(
    chat: LanguageModel, vectors: ActivationVectors, layer: int | None
) -> None:
    with ActivationMethod(vectors, layer).at(chat, 1.5) as model:
        found = answer(model, [conversation for conversation, _ in ASKED], limit=12)

    for (conversation, _), one in zip(ASKED, found, strict=True):
        prompt = chat.prompt_tokens(conversation)
        said: list[int] = []
        while len(said) < 12 and not set(said) & chat.ends:
            with torch.no_grad(), by_mask(chat, vectors, layer, 1.5, len(prompt) - 1):
                said.append(int(chat.network(torch.tensor([prompt + said])).logits[0, -1].argmax()))
        kept = [token for token in said if token not in chat.ends]
        assert one.text == chat.tokenizer.decode(kept, skip_special_tokens=True).strip()
        assert one.tokens == len(kept)


def put_out(model: LanguageModel) -> list[torch.Tensor]:
    """Return what each block puts out at a prompt, (tokens, width), after the hooks it has."""
    seen: list[torch.Tensor] = []
    handles = [
        block.register_forward_hook(lambda _block, _given, output: seen.append(output[0]))
        for block in model.network.model.layers
    ]
    with torch.no_grad():
        model.network(torch.tensor([model.prompt_tokens(ASKED[0][0])]))
    for handle in handles:
        handle.remove()
    return seen


def test_prompt_tokens_before_the_last_are_untouched(chat: LanguageModel, vectors: ActivationVectors) -> None:
    before = put_out(chat)
    with ActivationMethod(vectors).at(chat, 3.0):
        after = put_out(chat)

    assert all(torch.equal(one[:-1], other[:-1]) for one, other in zip(before, after, strict=True))
    step = vectors.layers[1] - vectors.layers[0]
    assert torch.allclose(after[0][-1], before[0][-1] + 3 * step, atol=1e-5)


def test_layers_are_counted_from_one(chat: LanguageModel, vectors: ActivationVectors) -> None:
    before = put_out(chat)
    with ActivationMethod(vectors, 2).at(chat, 2.0):
        after = put_out(chat)

    assert torch.equal(after[0], before[0])
    assert torch.allclose(after[1][-1], before[1][-1] + 2 * vectors.layers[2], atol=1e-5)


@pytest.mark.oracle
def test_an_added_vector_is_that_of_steering_vectors_where_all_tokens_are_the_response(
    chat: LanguageModel, vectors: ActivationVectors
) -> None:
    from steering_vectors import SteeringVector

    from weightarith.lm.span import whole_response

    ids = torch.tensor([chat.prompt_tokens(ASKED[0][0])])
    with torch.no_grad(), SteeringVector({1: vectors.layers[2]}).apply(chat.network, multiplier=-1.25):
        expected = chat.network(ids).logits
    with torch.no_grad(), whole_response(), ActivationMethod(vectors, 2).at(chat, -1.25):
        found = chat.network(ids).logits

    assert torch.allclose(found, expected, atol=1e-5)


def test_a_strength_of_zero_is_the_network_itself_bit_for_bit_and_an_exception_restores_it(
    tmp_path: Path, vectors: ActivationVectors
) -> None:
    model = load(instruct(tmp_path / "half", dtype="bfloat16"))
    ids = torch.tensor([model.prompt_tokens(ASKED[0][0])])
    method = ActivationMethod(vectors)
    with torch.no_grad():
        before = model.network(ids).logits
        with method.at(model, 0.0):
            assert torch.equal(model.network(ids).logits, before)
        context = method.at(model, 1.0)
        with left_as_it_was(model.network), pytest.raises(KeyboardInterrupt), context:
            raise KeyboardInterrupt
        assert torch.equal(model.network(ids).logits, before)


def test_methods_are_named_by_their_layers(vectors: ActivationVectors) -> None:
    assert ActivationMethod(vectors, 2).name == "activation, layer 2"
    assert ActivationMethod(vectors).name == "activation, all layers"
    assert ActivationMethod(vectors).strengths == ()


@pytest.mark.parametrize("layer", [0, 3, -1])
def test_a_layer_that_is_not_there_is_refused(vectors: ActivationVectors, layer: int) -> None:
    with pytest.raises(RecipeError, match=f"no layer {layer} to steer: m has layers 1 to 2") as caught:
        ActivationMethod(vectors, layer)
    assert ("0 the embedding" in caught.value.hint) == (layer == 0)


def test_vectors_of_another_model_are_refused(chat: LanguageModel) -> None:
    other = ActivationVectors(torch.zeros(5, 32), 1, 1, "m")

    with pytest.raises(IncompatibleError, match=r"expected \[3, 32\].*found \[5, 32\], taken from m"):
        ActivationMethod(other, 4).at(chat, 1.0).__enter__()
    with pytest.raises(RecipeError, match="finite"):
        ActivationMethod(other, 4).at(chat, float("nan")).__enter__()
