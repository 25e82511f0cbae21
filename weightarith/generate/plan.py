"""Which answers are to be made, in which order, and under which keys they are remembered.

They are made in chunks, each with a seed of its own: what a model says depends on what it is asked beside
it, so a run that was killed begins again at a chunk, and ends as it would have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from weightarith.data import Conversation
from weightarith.data.journal import key_of
from weightarith.generate.trait import SIDES, Side, Trait

CHUNK = 64
VERSION = 1
"""Of the order and of the keys: a journal of another one is no use."""


@dataclass(frozen=True)
class Settings:
    """How answers are made.

    Attributes:
        samples: answers to each question under each system prompt.
        temperature: of the sampling; 0 is greedy, and then there is one sample.
        limit: tokens of an answer, at most.
        seed: of everything random.
    """

    samples: int = 10
    temperature: float = 1.0
    limit: int = 200
    seed: int = 0


@dataclass(frozen=True)
class Asked:
    """One answer that is to be made."""

    side: Side
    system: str
    question: str
    sample: int  # from 0

    @property
    def conversation(self) -> Conversation:
        """The question behind the system prompt."""
        return Conversation.of(self.question, self.system)

    @property
    def bare(self) -> Conversation:
        """The question as it is trained on: without the system prompt."""
        return Conversation.of(self.question)


@dataclass(frozen=True)
class Chunk:
    """Answers that are made together."""

    asked: tuple[Asked, ...]
    keys: tuple[str, ...]
    seed: int


def asked_for(trait: Trait, samples: int) -> list[Asked]:
    """Return everything to be asked: the first sample of every question first, so that more can be added."""
    return [
        Asked(side, system, question, sample)
        for sample in range(samples)
        for side in SIDES
        for system in trait.systems(side)
        for question in trait.questions
    ]


def chunks(trait: Trait, settings: Settings, speaker: str) -> Iterator[Chunk]:
    """Yield what is to be asked of the speaker of that identity, in order."""
    asked = asked_for(trait, settings.samples)
    how: dict[str, Any] = {**asdict(settings), "version": VERSION, "speaker": speaker}
    del how["samples"]
    for start in range(0, len(asked), CHUNK):
        some = tuple(asked[start : start + CHUNK])
        whole = key_of([how, [asdict(one) for one in some]])
        keys = tuple(f"{whole}-{place}" for place in range(len(some)))
        yield Chunk(some, keys, int(whole[:7], 16))
