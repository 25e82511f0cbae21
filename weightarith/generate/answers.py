"""Answers made, chunk by chunk, each on disk before the next is begun."""

from __future__ import annotations

from collections.abc import Callable

from weightarith.data.journal import Journal
from weightarith.generate.candidate import Candidate
from weightarith.generate.plan import Chunk, Settings, chunks
from weightarith.generate.trait import Trait
from weightarith.speaker import Speaker


def remembered(trait: Trait, settings: Settings, speaker: Speaker, journal: Journal) -> int:
    """Return how many of the answers asked for a journal has."""
    found = chunks(trait, settings, speaker.identity)
    return sum(len(chunk.keys) for chunk in found if _is_whole(chunk, journal))


def candidates(
    trait: Trait, settings: Settings, speaker: Speaker, journal: Journal,
    progress: Callable[[int], None] = lambda _made: None,
) -> list[Candidate]:  # fmt: skip
    """Return every answer asked for, in order; those that the journal lacks are made and put there.

    Raises:
        HubError: an endpoint refuses, or does not answer. What was made before is kept.
    """
    found: list[Candidate] = []
    for chunk in chunks(trait, settings, speaker.identity):
        if not _is_whole(chunk, journal):
            _make(chunk, settings, speaker, journal)
        for asked, key in zip(chunk.asked, chunk.keys, strict=True):
            entry = journal.get(key) or {}
            found.append(Candidate(asked, str(entry["said"]), bool(entry["ended"])))
        progress(len(found))
    return found


def _is_whole(chunk: Chunk, journal: Journal) -> bool:
    return all(journal.get(key) is not None for key in chunk.keys)


def _make(chunk: Chunk, settings: Settings, speaker: Speaker, journal: Journal) -> None:
    said = speaker.answer(
        [one.conversation for one in chunk.asked],
        limit=settings.limit, temperature=settings.temperature, seed=chunk.seed,
    )  # fmt: skip
    rows = zip(chunk.asked, chunk.keys, said, strict=True)
    journal.add(
        [
            (
                key,
                {
                    "side": asked.side, "system": asked.system, "question": asked.question,
                    "sample": asked.sample, "said": reply.text, "ended": reply.ended,
                },
            )
            for asked, key, reply in rows
        ]
    )  # fmt: skip
