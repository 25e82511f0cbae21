"""Whoever answers: the same words from a model in memory, in a folder, and what it is remembered under."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.tinychat import instruct
from weightarith.data import Conversation
from weightarith.endpoint import Endpoint
from weightarith.errors import InvalidFileError
from weightarith.lm import answer, load
from weightarith.speaker import EndpointSpeaker, FolderSpeaker, ModelSpeaker, roomy, speaker_named

ASKED = [Conversation.of("a"), Conversation.of("bcd", "S")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return instruct(tmp_path_factory.mktemp("model") / "instruct")


def test_a_model_answers_greedily_at_temperature_0_and_by_its_seed_above(folder: Path) -> None:
    model = load(folder)
    speaker = ModelSpeaker(model)

    assert [one.text for one in speaker.answer(ASKED, limit=6)] == [
        one.text for one in answer(model, ASKED, limit=6)
    ]
    first, again, other = (
        [one.text for one in speaker.answer(ASKED, limit=6, temperature=1.0, seed=seed)] for seed in (1, 1, 2)
    )
    assert first == again != other
    assert speaker.label == speaker.identity == str(folder)


def test_a_model_in_a_folder_is_loaded_when_it_is_asked_and_answers_the_same(folder: Path) -> None:
    speaker = FolderSpeaker(str(folder))

    assert speaker.answer(ASKED, limit=6) == ModelSpeaker(load(folder)).answer(ASKED, limit=6)
    assert speaker.model is speaker.model
    missing = FolderSpeaker("/no/such/model")  # nothing is read yet
    with pytest.raises(InvalidFileError):
        missing.answer(ASKED, limit=6)


def test_a_folder_whose_files_were_written_anew_is_another_speaker(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"1")
    first, same = FolderSpeaker(str(tmp_path)).identity, FolderSpeaker(str(tmp_path)).identity
    os.utime(weights, ns=(0, 0))

    assert first == same != FolderSpeaker(str(tmp_path)).identity


def test_generation_has_room_for_more_rows_on_the_same_network(folder: Path) -> None:
    model = load(folder)

    assert roomy(model).batch_tokens == 4 * model.batch_tokens
    assert roomy(model).network is model.network


def test_a_name_is_a_folder_unless_there_is_an_endpoint() -> None:
    assert speaker_named("base", device="cpu") == FolderSpeaker("base", "cpu")
    there = speaker_named("m", "http://localhost/v1", "MY_TOKEN")
    assert there == EndpointSpeaker(Endpoint("http://localhost/v1", "m", "MY_TOKEN"))
    assert there.label == there.identity == "m at http://localhost/v1"
