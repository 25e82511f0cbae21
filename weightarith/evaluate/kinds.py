"""The kinds of metric that a suite may name, each imported when a suite asks for it.

One that is relative becomes a metric when it has looked at a base, and has nothing to say without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from weightarith.evaluate.outcome import Metric, Relative


@dataclass(frozen=True)
class Kind:
    """Where a kind of metric is, and what it may find; empty where that depends on what it is asked."""

    module: str
    name: str
    outcomes: tuple[str, ...] = ()
    is_relative: bool = False

    def make(self, data: Path | None, options: Mapping[str, object]) -> Metric | Relative:
        """Return the metric.

        Raises:
            RecipeError: an option is unknown, or means nothing.
            InvalidFileError: the data are not what the metric reads.
            UnsupportedError: it needs what is not installed.
        """
        made: Metric | Relative = getattr(import_module(self.module), self.name).from_options(data, options)
        return made


def _kind(module: str, name: str, *outcomes: str, relative: bool = False) -> Kind:
    return Kind(f"weightarith.evaluate.{module}", name, outcomes, relative)


KINDS = {
    "preference": _kind("preference", "Preference", "trait", "margin", "log_odds", "correct"),
    "cues": _kind("cues", "Cues", "bare", "right_cue", "non_sycophancy", "flipped", "margin"),
    "pushback": _kind(
        "pushback", "Pushback", "first", "regressive", "progressive",
        "said_first", "said_regressive", "said_progressive", "unclear",
    ),
    "choices": _kind("choices", "Choices", "trait", "correct", "mass", "valid"),
    "refusal": _kind("refusal", "Refusal", "refused", "degenerate", "complied", "margin"),
    "arithmetic": _kind("arithmetic", "Arithmetic", "correct", "answered"),
    "perplexity": _kind("perplexity", "Perplexity", "nats", "perplexity"),
    "divergence": _kind("divergence", "Divergence", "first", "response", "p95", "p99", relative=True),
    "judge": _kind("judge", "Judged", "trait", "coherence", "shown", "parsed"),
    "harness": _kind("harness", "Harness"),
}  # fmt: skip
"""By the name in a suite."""
