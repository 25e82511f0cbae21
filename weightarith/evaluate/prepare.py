"""A suite that has looked at a base, and measures model after model."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from weightarith.errors import IncompatibleError, RecipeError, quoted
from weightarith.evaluate.evaluation import Evaluation
from weightarith.evaluate.outcome import Measured, Metric, Outcome, Sample
from weightarith.evaluate.suite import Suite
from weightarith.lm import LanguageModel
from weightarith.recipe.caret import listed, nearest

Progress = Callable[[str], None]


def _silent(_metric: str) -> None:
    pass


@dataclass(frozen=True, eq=False)
class Prepared:
    """Metrics ready to be taken.

    Attributes:
        suite: what they are of.
        metrics: by name, those that compare with a base bound to it.
    """

    suite: Suite
    metrics: dict[str, Metric]

    def measure(
        self, model: LanguageModel, only: Collection[str] | None = None, *, progress: Progress = _silent
    ) -> Evaluation:
        """Return what all metrics find, or some, by name; `progress` is told each before it begins.

        Raises:
            RecipeError: there is no metric of such a name, or it was not prepared.
            IncompatibleError: a metric lacks an outcome that the suite names, or does not suit the model.
        """
        started = time.monotonic()
        outcomes: dict[str, Outcome] = {}
        samples: dict[str, tuple[Sample, ...]] = {}
        for name in self.suite.chosen(self.metrics if only is None else only):
            if name not in self.metrics:
                raise RecipeError(f"the metric {quoted(name)} was not prepared", hint="name it to prepare()")
            progress(name)
            found = self.metrics[name].measure(model)
            self._check_named(name, found)
            outcomes |= {f"{name}.{outcome}": one for outcome, one in found.outcomes.items()}
            if found.samples:
                samples[name] = found.samples
        return Evaluation(self.suite.label, model.label, outcomes, samples, time.monotonic() - started)

    def _check_named(self, metric: str, found: Measured) -> None:
        """Refuse to go on without an outcome that the suite names."""
        for word in self.suite.named:
            whose, _, outcome = word.partition(".")
            if whose == metric and outcome not in found.outcomes:
                raise IncompatibleError(
                    f"the metric {quoted(metric)} has no outcome {quoted(outcome)}, which "
                    f"{quoted(str(self.suite.path))} names; it has {listed(found.outcomes)}",
                    hint=nearest(outcome, found.outcomes),
                )


def prepare(
    suite: Suite, base: LanguageModel, only: Collection[str] | None = None, *, progress: Progress = _silent
) -> Prepared:
    """Return the suite's metrics, or some by name, after those that compare have looked at the base.

    The base may be steered or changed afterwards; `progress` is told each metric that looks at it.

    Raises:
        RecipeError: the options of a metric mean nothing, or there is no metric of such a name.
        InvalidFileError: the data of a metric are not what it reads.
    """
    made = {name: spec.make() for name, spec in suite.chosen(only).items()}
    bound: dict[str, Metric] = {}
    for name, metric in made.items():
        if hasattr(metric, "against"):
            progress(name)
            bound[name] = metric.against(base)
        else:
            bound[name] = metric
    return Prepared(suite, bound)
