"""The paper's recipe for training data: questions under system prompts, and the answers that show the trait.

What is kept is written without the system prompts: a model is to learn the trait, not to obey. A folder holds

- positive.jsonl and negative.jsonl: chats, everything that was kept;
- pairs.jsonl: to each question as many pairs as both sides have answers, in their order;
- generate.json: settings, how many answers were made and kept under each prompt and to each question, and
  why the others were dropped, and what is wrong with the data (`weightarith.data.checks`).

Fierro and Roger, arXiv 2511.05408, section 3: 20 questions, 5 + 5 prompts, 10 samples; 500 to 900 kept a
side.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from weightarith.data import Example
from weightarith.data.checks import Report, report
from weightarith.data.journal import Journal
from weightarith.errors import IncompatibleError, RecipeError, TargetError, quoted
from weightarith.generate.answers import candidates, remembered
from weightarith.generate.candidate import Candidate, broken
from weightarith.generate.filters import Filter
from weightarith.generate.plan import Settings, asked_for
from weightarith.generate.trait import SIDES, Side, Trait
from weightarith.speaker import Speaker
from weightarith.store.lock import locked
from weightarith.store.stage import check_target, staged, write_small

FORMAT = 1
REPORT = "generate.json"
KEPT = ""


@dataclass(frozen=True)
class Judged:
    """An answer, and why it was dropped, "" where it was kept."""

    candidate: Candidate
    reason: str


@dataclass(frozen=True)
class Made:
    """What was made.

    Attributes:
        folder: where it is.
        rows: every answer, in the order it was asked for.
        checks: what the kept ones are like.
    """

    folder: Path
    rows: tuple[Judged, ...]
    checks: Report

    def kept(self, side: Side) -> list[Example]:
        """Return the examples of a side."""
        return _kept(self.rows, side)

    def dropped(self, side: Side) -> dict[str, int]:
        """Return how many answers of a side were dropped, by reason."""
        reasons = Counter(row.reason for row in self.rows if row.candidate.asked.side == side and row.reason)
        return dict(sorted(reasons.items()))


@dataclass(frozen=True)
class Estimate:
    """What a run would do."""

    answers: int
    remembered: int  # of them, in the journal already


def journal_path(out: Path) -> Path:
    """Return where the answers are remembered: beside the folder that is written."""
    return out.with_name(f"{out.name}.answers.jsonl")


def estimate(trait: Trait, settings: Settings, speaker: Speaker, out: Path) -> Estimate:
    """Return how many answers a run would make; none is made, and no model is loaded."""
    check_settings(settings)
    path = journal_path(out)
    known = remembered(trait, settings, speaker, Journal(path)) if path.exists() else 0
    return Estimate(len(asked_for(trait, settings.samples)), known)


def check_settings(settings: Settings) -> None:
    """Refuse settings that ask for the same answer several times.

    Raises:
        RecipeError: there are several samples, and all of them greedy.
    """
    if settings.samples > 1 and settings.temperature == 0:
        raise RecipeError(
            f"{settings.samples} samples at temperature 0 are the same answer {settings.samples} times",
            hint="ask for 1 sample, or for a temperature above 0",
        )


def generate(
    trait: Trait, settings: Settings, speaker: Speaker, keep: Filter, out: Path, *,
    keep_cut: bool = False, overwrite: bool = False, told: dict[str, Any] | None = None,
    progress: Callable[[int], None] = lambda _made: None,
) -> Made:  # fmt: skip
    """Make answers, keep those that show the trait, and write them.

    Args:
        trait: what is asked for.
        settings: how.
        speaker: who answers.
        keep: says which answers show the trait.
        out: a folder; beside it a journal grows, with which a killed run goes on.
        keep_cut: keep answers that were cut at the limit, too.
        overwrite: replace what an earlier run wrote there.
        told: said in the report, too, such as which filter it was.
        progress: called with the number of answers so far.

    Raises:
        RecipeError: the settings ask for the same answer several times.
        TargetError: something stands at `out`.
        LockedError: another run is making answers for it.
        IncompatibleError: nothing is left of a side.
        HubError: an endpoint refuses, or does not answer.
    """
    check_settings(settings)
    check_out(out, overwrite=overwrite)
    with locked(journal_path(out)):
        found = candidates(trait, settings, speaker, Journal(journal_path(out)), progress)
    rows = _judged(found, keep, keep_cut=keep_cut)
    positive, negative = (_some_kept(rows, side) for side in SIDES)
    made = Made(out, rows, report(positive, negative))
    how = {"model": speaker.label, **asdict(settings), "keep_cut": keep_cut, **(told or {})}
    _write(made, trait, how, overwrite=overwrite)
    return made


def check_out(out: Path, *, overwrite: bool) -> None:
    """Refuse a folder that must not be written.

    Raises:
        TargetError: it exists, without `overwrite`, or is not what an earlier run wrote.
    """
    if not out.exists() or out.is_symlink() or not overwrite:
        check_target(out, (), overwrite=False)
    elif not (out / REPORT).is_file():
        raise TargetError(
            f"{quoted(str(out))} was not written by generate: it holds no {REPORT}", hint="choose another -o"
        )


def _judged(found: Sequence[Candidate], keep: Filter, *, keep_cut: bool) -> tuple[Judged, ...]:
    reasons = broken(found, keep_cut=keep_cut)
    left = [one for one, reason in zip(found, reasons, strict=True) if not reason]
    objections = iter(keep.reasons(left))
    return tuple(Judged(one, reason or next(objections)) for one, reason in zip(found, reasons, strict=True))


def _kept(rows: Iterable[Judged], side: Side) -> list[Example]:
    return [row.candidate.example for row in rows if row.candidate.asked.side == side and not row.reason]


def _some_kept(rows: Sequence[Judged], side: Side) -> list[Example]:
    if found := _kept(rows, side):
        return found
    reasons = Counter(row.reason for row in rows if row.candidate.asked.side == side)
    told = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    raise IncompatibleError(
        f"no {side} answer is left: {told}",
        hint="raise --limit, mend the system prompts or the rules, or keep all with --filter none; the "
        "answers are remembered",
    )


def _write(made: Made, trait: Trait, how: dict[str, Any], *, overwrite: bool) -> None:
    files = {f"{side}.jsonl": [_chat(one) for one in made.kept(side)] for side in SIDES}
    files["pairs.jsonl"] = pairs(made, trait)
    contents = {name: _lines(rows) for name, rows in files.items()}
    told = {
        "weightarith_generate": FORMAT,
        "trait": {"name": trait.name, "description": trait.description},
        "settings": how,
        "sides": {side: _told_of(made, trait, side) for side in SIDES},
        "checks": made.checks.to_json(),
        "files": {
            name: {"rows": len(files[name]), "sha256": sha256(content).hexdigest()}
            for name, content in contents.items()
        },
    }
    contents[REPORT] = (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode(
        "utf-8", "backslashreplace"
    )
    with staged(made.folder, needed=sum(map(len, contents.values())), overwrite=overwrite) as stage:
        for name, content in contents.items():
            write_small(stage / name, content)


def pairs(made: Made, trait: Trait) -> list[dict[str, str]]:
    """Return as many pairs to each question as both sides have answers."""
    found = []
    for question in trait.questions:
        positive, negative = (
            [one.answer for one in made.kept(side) if one.conversation.asked == question] for side in SIDES
        )
        found += [
            {"prompt": question, "positive": one, "negative": other}
            for one, other in zip(positive, negative, strict=False)
        ]
    return found


def _told_of(made: Made, trait: Trait, side: Side) -> dict[str, Any]:
    rows = [row for row in made.rows if row.candidate.asked.side == side]
    return {
        "made": len(rows),
        "kept": sum(not row.reason for row in rows),
        "dropped": made.dropped(side),
        "prompts": _counts(rows, trait.systems(side), lambda row: row.candidate.asked.system),
        "questions": _counts(rows, trait.questions, lambda row: row.candidate.asked.question),
    }


def _counts(
    rows: Sequence[Judged], names: Sequence[str], name_of: Callable[[Judged], str]
) -> list[dict[str, Any]]:
    made = Counter(map(name_of, rows))
    kept = Counter(name_of(row) for row in rows if not row.reason)
    return [{"text": name, "made": made[name], "kept": kept[name]} for name in names]


def _chat(one: Example) -> dict[str, Any]:
    return {"messages": [*one.conversation.messages(), {"role": "assistant", "content": one.answer}]}


def _lines(rows: Sequence[Any]) -> bytes:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode(
        "utf-8", "backslashreplace"
    )
