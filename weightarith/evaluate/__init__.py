"""What a model does and what that costs: metrics with published definitions, each with n and an interval."""

from weightarith.evaluate.evaluation import Evaluation
from weightarith.evaluate.outcome import Measured, Metric, Outcome, Relative, Sample
from weightarith.evaluate.prepare import Prepared, prepare
from weightarith.evaluate.statistics import Comparison, Estimate, compare, estimate
from weightarith.evaluate.suite import Suite, read_suite

__all__ = [
    "Comparison",
    "Estimate",
    "Evaluation",
    "Measured",
    "Metric",
    "Outcome",
    "Prepared",
    "Relative",
    "Sample",
    "Suite",
    "compare",
    "estimate",
    "prepare",
    "read_suite",
]
