"""Whoever answers: a model in memory, a model in a folder, or one behind an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from weightarith.data import Conversation
from weightarith.data.journal import key_of
from weightarith.endpoint import KEY_VARIABLE, Endpoint, Reply
from weightarith.hub import locate
from weightarith.lm import LanguageModel, Sampling, answer, load

ROOM = 4
"""How much more fits into a batch that generates than into one that is scored: logits of one token a row."""


class Speaker(Protocol):
    """Something that answers conversations."""

    @property
    def label(self) -> str:
        """What to call it: a folder, or a name and its host. It holds no secret."""
        ...

    @property
    def identity(self) -> str:
        """What changes where its answers may: they are remembered under it."""
        ...

    def answer(
        self, asked: Sequence[Conversation], *, limit: int, temperature: float = 0.0, seed: int = 0,
        progress: Callable[[int], None] = ...,
    ) -> list[Reply]:  # fmt: skip
        """Return an answer to each, of at most `limit` tokens; greedy where the temperature is 0."""
        ...


def roomy(model: LanguageModel) -> LanguageModel:
    """Return the same model with larger batches, for generation."""
    return replace(model, batch_tokens=ROOM * model.batch_tokens)


@dataclass(frozen=True)
class ModelSpeaker:
    """A model in memory: the same seed and questions together give the same answers on one machine."""

    model: LanguageModel

    @property
    def label(self) -> str:
        """Its own label."""
        return self.model.label

    @property
    def identity(self) -> str:
        """Its label: what was done to a model in memory is not known here."""
        return self.label

    def answer(
        self, asked: Sequence[Conversation], *, limit: int, temperature: float = 0.0, seed: int = 0,
        progress: Callable[[int], None] = lambda _answered: None,
    ) -> list[Reply]:  # fmt: skip
        """Return an answer to each, of at most `limit` tokens."""
        sampling = Sampling(temperature=temperature, seed=seed) if temperature > 0 else None
        said = answer(roomy(self.model), asked, limit=limit, sampling=sampling, progress=progress)
        return [Reply(one.text, one.ended) for one in said]


@dataclass(frozen=True)
class FolderSpeaker:
    """A model that is loaded when it is asked first."""

    label: str  # a transformers folder, or hf://org/name
    device: str = "auto"

    def answer(
        self, asked: Sequence[Conversation], *, limit: int, temperature: float = 0.0, seed: int = 0,
        progress: Callable[[int], None] = lambda _answered: None,
    ) -> list[Reply]:  # fmt: skip
        """Return an answer to each, of at most `limit` tokens.

        Raises:
            InvalidFileError: it is no model that can be read.
        """
        speaker = ModelSpeaker(self.model)
        return speaker.answer(asked, limit=limit, temperature=temperature, seed=seed, progress=progress)

    @cached_property
    def model(self) -> LanguageModel:
        """The model."""
        return load(self.label, device=self.device)

    @cached_property
    def identity(self) -> str:
        """Its folder, and when its files were written."""
        files = sorted(path for path in locate(self.label).iterdir() if path.is_file())
        stamps = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
        return f"{self.label} {key_of(stamps)}"


@dataclass(frozen=True)
class EndpointSpeaker:
    """A model behind an endpoint."""

    endpoint: Endpoint

    @property
    def label(self) -> str:
        """Its name, and the endpoint's."""
        return f"{self.endpoint.model} at {self.endpoint.url}"

    @property
    def identity(self) -> str:
        """Its label: what a server has under a name is its own affair."""
        return self.label

    def answer(
        self, asked: Sequence[Conversation], *, limit: int, temperature: float = 0.0, seed: int = 0,
        progress: Callable[[int], None] = lambda _answered: None,
    ) -> list[Reply]:  # fmt: skip
        """Return an answer to each, of at most `limit` tokens.

        Raises:
            HubError: the endpoint refuses, or does not answer.
        """
        return self.endpoint.answer(asked, limit=limit, temperature=temperature, seed=seed, progress=progress)


def speaker_named(
    model: str, endpoint: str = "", key_variable: str = KEY_VARIABLE, device: str = "auto"
) -> FolderSpeaker | EndpointSpeaker:
    """Return the model of that name at an endpoint, or the one in that folder where there is no endpoint.

    Raises:
        RecipeError: the endpoint is no URL, or holds a secret.
    """
    if endpoint:
        return EndpointSpeaker(Endpoint(endpoint, model, key_variable))
    return FolderSpeaker(model, device)
