"""What a loader will do with an adapter folder, and why: one sentence for the reason, one for the remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["loads", "misreads", "refuses"]
"""`misreads` is worse than it sounds: it loads, says nothing, and does something else."""

_ORDER: tuple[Verdict, ...] = ("loads", "misreads", "refuses")


@dataclass(frozen=True)
class Finding:
    """One thing that one loader does.

    Attributes:
        loader: its name.
        verdict: whether it loads the adapter as it is meant, does something else, or refuses it.
        about: the setting, the tensors or the file it is about; empty where all is well.
        why: what it does, and what would be meant.
        remedy: what to do about it; empty where there is nothing to do.
    """

    loader: str
    verdict: Verdict
    about: str = ""
    why: str = ""
    remedy: str = ""


def worst(findings: Iterable[Finding]) -> Verdict:
    """Return the worst of some verdicts, `loads` of none."""
    return max((finding.verdict for finding in findings), key=_ORDER.index, default="loads")
