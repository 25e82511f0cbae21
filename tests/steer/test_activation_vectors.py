"""Activation vectors: their definition against loops, against another package, and their file."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.steer.networks import left_as_it_was
from weightarith.data import Conversation, Example
from weightarith.errors import InvalidFileError, RecipeError, TargetError, UnsupportedError
from weightarith.lm import LanguageModel
from weightarith.lm.blocks import blocks
from weightarith.steer import ActivationVectors, train_activation

ASKED = ("Is it so?", "Hm?", "What do you think of my poem about the sea?")
YES, NO = ("Yes!", "Of course, always", "A"), ("No.", "By no means.", "Bad")
POSITIVE = [Example(Conversation.of(asked), said) for asked, said in zip(ASKED, YES, strict=True)]
NEGATIVE = [Example(Conversation.of(asked), said) for asked, said in zip(ASKED, NO, strict=True)]


def outputs(model: LanguageModel, ids: list[int]) -> list[torch.Tensor]:
    """Return what the embedding and every block put out at one row of tokens, block after block by hand."""
    network = model.network.model
    found = [network.embed_tokens(torch.tensor([ids]))]
    places = torch.arange(len(ids))[None]
    turned = network.rotary_emb(found[0], position_ids=places)
    for block in network.layers:
        found.append(block(found[-1], position_ids=places, position_embeddings=turned, attention_mask=None))
    return [layer[0] for layer in found]


@torch.no_grad()
def naive(model: LanguageModel, examples: list[Example]) -> torch.Tensor:
    means = []
    for example in examples:
        prompt = model.prompt_tokens(example.conversation)
        own = model.tokenizer(example.answer, add_special_tokens=False)["input_ids"]
        layers = outputs(model, [*prompt, *own])
        means.append(torch.stack([layer[len(prompt) :].mean(dim=0) for layer in layers]))
    return torch.stack(means).mean(dim=0)


def test_vectors_are_differences_of_mean_activations_over_the_answers_tokens(chat: LanguageModel) -> None:
    chat.network(torch.tensor([[5]]), output_hidden_states=True)  # the first such pass leaves hooks for good
    with left_as_it_was(chat.network):
        found = train_activation(chat, POSITIVE, NEGATIVE[:2])

    assert (found.positive, found.negative, found.model, found.count) == (3, 2, chat.label, 2)
    assert torch.allclose(found.layers, naive(chat, POSITIVE) - naive(chat, NEGATIVE[:2]), atol=1e-5)
    assert torch.allclose(found.steps.sum(dim=0), found.layers[-1] - found.layers[0], atol=1e-5)


def test_exchanged_sides_give_the_opposite_vectors(chat: LanguageModel) -> None:
    one, other = train_activation(chat, POSITIVE, NEGATIVE), train_activation(chat, NEGATIVE, POSITIVE)

    assert torch.equal(one.layers, -other.layers)


@pytest.mark.oracle
def test_every_blocks_vector_is_that_of_steering_vectors_where_an_answer_is_one_token(
    chat: LanguageModel,
) -> None:
    from steering_vectors import SteeringVectorTrainingSample, train_steering_vector

    sides = [[Example(Conversation.of(q), a) for q in ASKED] for a in "YN"]  # one byte, one token
    texts = [[chat.chat(one.conversation) + one.answer for one in side] for side in sides]
    samples = [SteeringVectorTrainingSample(*pair) for pair in zip(*texts, strict=True)]
    expected = train_steering_vector(chat.network, chat.tokenizer, samples).layer_activations

    found = train_activation(chat, *sides)

    assert sorted(expected) == [0, 1]  # it counts blocks from 0, and has no embedding
    for block, vector in expected.items():
        assert torch.allclose(found.layers[block + 1], vector, atol=1e-5)


def test_sides_without_answers_are_refused(chat: LanguageModel) -> None:
    with pytest.raises(RecipeError, match="there are no negative answers"):
        train_activation(chat, POSITIVE, [])
    with pytest.raises(RecipeError, match="a positive answer is empty"):
        train_activation(chat, [Example(POSITIVE[0].conversation, " ")], NEGATIVE)


def test_a_file_gives_back_what_was_saved_and_equal_vectors_give_equal_bytes(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    made = ActivationVectors(torch.randn(4, 6), 3, 5, "a model «x»")
    made.save(tmp_path / "a.safetensors")
    made.save(tmp_path / "b.safetensors")
    found = ActivationVectors.open(tmp_path / "a.safetensors")

    assert torch.equal(found.layers, made.layers)
    assert (found.positive, found.negative, found.model) == (3, 5, "a model «x»")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert torch.equal(load_file(tmp_path / "a.safetensors")["activations"], made.layers)
    with pytest.raises(TargetError, match="exists"):
        made.save(tmp_path / "a.safetensors")
    ActivationVectors(torch.zeros(2, 6), 1, 1, "").save(tmp_path / "a.safetensors", overwrite=True)
    assert not ActivationVectors.open(tmp_path / "a.safetensors").layers.any()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "b.safetensors"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"weightarith_activations": "2"}, "holds no activation vectors"),
        ({"weightarith_activations": ""}, "holds no activation vectors"),
        ({"positive": "many"}, "holds no activation vectors of this version"),
        ({"shape": [24]}, "holds no activation vectors of this version"),
        ({"value": float("nan")}, "holds NaN or infinity"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    metadata = {"weightarith_activations": "1", "positive": "3", "negative": "3", "model": "m"}
    metadata |= {key: value for key, value in change.items() if key in metadata}
    entry = {"dtype": "F32", "shape": change.get("shape", [4, 6]), "data_offsets": [0, 96]}
    header = json.dumps({"__metadata__": metadata, "activations": entry}).encode()
    data = struct.pack("<24f", *[change.get("value", 1.0)] * 24)
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)

    with pytest.raises(InvalidFileError, match=text):
        ActivationVectors.open(path)


def test_blocks_are_found_in_networks_of_other_names() -> None:
    from tests.adapters import gpt2, llama

    network = gpt2()
    assert blocks(network) == tuple(network.transformer.h)
    network = llama()
    assert blocks(network) == tuple(network.model.layers)
    network.config.num_hidden_layers = 3
    with pytest.raises(UnsupportedError, match="no list of 3 decoder blocks is found in LlamaForCausalLM"):
        blocks(network)
