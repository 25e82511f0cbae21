"""Answers made, remembered, filtered and written."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from weightarith.data import Conversation, read_examples, read_pairs
from weightarith.data.journal import Journal
from weightarith.endpoint import Reply
from weightarith.errors import HubError, IncompatibleError, LockedError, RecipeError, TargetError
from weightarith.generate import plan
from weightarith.generate.candidate import Candidate
from weightarith.generate.filters import KeepAll
from weightarith.generate.make import estimate, generate, journal_path
from weightarith.generate.plan import CHUNK, Settings, asked_for, chunks
from weightarith.generate.trait import Trait

TRAIT = Trait("t", "d", ("agree", "praise"), ("think", "argue"), ("Is it?", "Was it?", "Will it?"), {})


@dataclass
class Scripted:
    """Answers with what it was asked; dies after so many questions."""

    lasts: int = 10**9
    label: str = "scripted"
    asked: list[tuple[str, int]] = field(default_factory=list)

    @property
    def identity(self) -> str:
        return self.label

    def answer(
        self, asked: Sequence[Conversation], *, limit: int, temperature: float = 0.0, seed: int = 0,
        progress: Callable[[int], None] = lambda _: None,
    ) -> list[Reply]:  # fmt: skip
        del limit, temperature, progress
        if len(self.asked) + len(asked) > self.lasts:
            raise HubError("the server is gone")
        self.asked += [(one.asked, seed) for one in asked]
        return [
            Reply(f"{one.asked} {one.turns[0].content} {seed}, {place}", ended=True)
            for place, one in enumerate(asked)
        ]


@dataclass(frozen=True)
class Only:
    """Keeps the answers under one system prompt of each side."""

    systems: tuple[str, ...]

    def reasons(self, candidates: Sequence[Candidate]) -> list[str]:
        return ["" if one.asked.system in self.systems else "wrong prompt" for one in candidates]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_question_is_asked_under_every_prompt_as_often_as_there_are_samples() -> None:
    asked = asked_for(TRAIT, 5)

    assert len(asked) == len(set(asked)) == 5 * 4 * 3
    assert {(one.side, one.system) for one in asked} == {
        ("positive", "agree"), ("positive", "praise"), ("negative", "think"), ("negative", "argue"),
    }  # fmt: skip
    assert asked_for(TRAIT, 2) == asked[:24]
    assert asked[0].conversation == Conversation.of("Is it?", "agree")
    assert asked[0].bare == Conversation.of("Is it?")


def test_chunks_have_keys_and_seeds_of_their_own_and_more_samples_keep_the_whole_ones() -> None:
    few, many = (list(chunks(TRAIT, Settings(samples=count), "s")) for count in (11, 20))

    keys = [key for chunk in many for key in chunk.keys]
    assert len(set(keys)) == len(keys) == 240
    assert len({chunk.seed for chunk in many}) == len(many)
    assert max(len(chunk.asked) for chunk in many) == CHUNK
    assert few[:2] == many[:2]


@pytest.mark.parametrize("changed", [{"seed": 1}, {"limit": 9}, {"temperature": 0.5}])
def test_other_settings_and_another_speaker_have_other_keys(changed: dict[str, int]) -> None:
    first = next(chunks(TRAIT, Settings(), "s"))

    assert set(next(chunks(TRAIT, Settings(**changed), "s")).keys).isdisjoint(first.keys)
    assert set(next(chunks(TRAIT, Settings(), "other")).keys).isdisjoint(first.keys)


def test_what_is_kept_is_written_without_the_system_prompt_and_the_rest_is_counted(tmp_path: Path) -> None:
    out = tmp_path / "out"
    counts: list[int] = []

    made = generate(
        TRAIT, Settings(samples=2), Scripted(), Only(("agree", "think", "argue")), out,
        told={"filter": "only"}, progress=counts.append,
    )  # fmt: skip

    positive, negative = (read_examples(out / f"{side}.jsonl") for side in ("positive", "negative"))
    assert (len(positive), len(negative)) == (6, 12)
    assert all(not one.conversation.has_system for one in (*positive, *negative))
    assert (made.kept("positive"), made.kept("negative")) == (positive, negative)
    pairs = read_pairs(out / "pairs.jsonl")
    assert [one.conversation.asked for one in pairs] == ["Is it?"] * 2 + ["Was it?"] * 2 + ["Will it?"] * 2
    assert all("agree" in one.positive and "think" in one.negative for one in pairs[::2])
    told = json.loads((out / "generate.json").read_text(encoding="utf-8"))
    assert told["sides"]["positive"]["prompts"] == [
        {"text": "agree", "made": 6, "kept": 6}, {"text": "praise", "made": 6, "kept": 0},
    ]  # fmt: skip
    assert told["sides"]["positive"]["dropped"] == made.dropped("positive") == {"wrong prompt": 6}
    assert told["sides"]["negative"]["questions"][1] == {"text": "Was it?", "made": 4, "kept": 4}
    assert told["settings"] == {
        "model": "scripted", "samples": 2, "temperature": 1.0, "limit": 200, "seed": 0, "keep_cut": False,
        "filter": "only",
    }  # fmt: skip
    assert (
        "6 positive rows and 12 negative ones: one side is trained for longer" in told["checks"]["warnings"]
    )
    for name, file in told["files"].items():
        content = (out / name).read_bytes()
        assert file == {"rows": content.count(b"\n"), "sha256": sha256(content).hexdigest()}
    assert counts == [24]


def test_a_run_that_was_stopped_goes_on_and_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "CHUNK", 5)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    generate(TRAIT, Settings(samples=2), Scripted(), KeepAll(), whole)

    with pytest.raises(HubError):
        generate(TRAIT, Settings(samples=2), Scripted(lasts=12), KeepAll(), stopped)
    assert not stopped.exists()
    assert estimate(TRAIT, Settings(samples=2), Scripted(), stopped).remembered == 10
    speaker = Scripted()
    generate(TRAIT, Settings(samples=2), speaker, KeepAll(), stopped)

    assert len(speaker.asked) == 14
    assert contents(stopped) == contents(whole)
    assert journal_path(stopped).read_bytes() == journal_path(whole).read_bytes()


def test_another_filter_makes_no_answer_anew(tmp_path: Path) -> None:
    out, speaker = tmp_path / "out", Scripted()
    generate(TRAIT, Settings(samples=1), speaker, KeepAll(), out)
    asked = len(speaker.asked)

    generate(TRAIT, Settings(samples=1), speaker, Only(("agree", "think")), out, overwrite=True)

    assert len(speaker.asked) == asked
    assert len(read_examples(out / "positive.jsonl")) == 3


def test_a_chunk_that_a_kill_cut_short_is_made_anew_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out"
    generate(TRAIT, Settings(samples=1), Scripted(), KeepAll(), out)
    journal, before = journal_path(out), contents(out)
    journal.write_bytes(journal.read_bytes()[:-40])

    generate(TRAIT, Settings(samples=1), Scripted(), KeepAll(), out, overwrite=True)

    assert contents(out) == before
    assert len(Journal(journal)) == 12


def test_an_estimate_counts_and_writes_nothing(tmp_path: Path) -> None:
    found = estimate(TRAIT, Settings(samples=10), Scripted(), tmp_path / "out")

    assert (found.answers, found.remembered) == (120, 0)
    assert list(tmp_path.iterdir()) == []


def test_many_samples_of_the_likeliest_answer_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="10 samples at temperature 0 are the same answer 10 times"):
        estimate(TRAIT, Settings(temperature=0), Scripted(), tmp_path / "out")


def test_a_side_of_which_nothing_is_left_is_an_error_that_says_why(tmp_path: Path) -> None:
    with pytest.raises(IncompatibleError, match=r"^no negative answer is left: 6 wrong prompt") as caught:
        generate(TRAIT, Settings(samples=1), Scripted(), Only(("agree",)), tmp_path / "out")

    assert "the answers are remembered" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_what_stands_there_is_replaced_only_when_told_to_and_only_if_it_is_ours(tmp_path: Path) -> None:
    out, mine = tmp_path / "out", tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").touch()
    generate(TRAIT, Settings(samples=1), Scripted(), KeepAll(), out)

    with pytest.raises(TargetError, match="exists"):
        generate(TRAIT, Settings(samples=1), Scripted(), KeepAll(), out)
    with pytest.raises(TargetError, match=r"was not written by generate: it holds no generate.json"):
        generate(TRAIT, Settings(samples=1), Scripted(), KeepAll(), mine, overwrite=True)
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]


def test_two_runs_do_not_write_the_same_answers(tmp_path: Path) -> None:
    (tmp_path / ".out.answers.jsonl.lock").write_text("another-machine 1", encoding="utf-8")

    with pytest.raises(LockedError, match=r"out.answers.jsonl"):
        generate(TRAIT, Settings(samples=1), Scripted(), KeepAll(), tmp_path / "out")
