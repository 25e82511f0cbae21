"""One page of HTML that holds all the evidence and needs no network."""

from weightarith.report.page import check_out, render, report
from weightarith.report.samples import Samples, answered, chosen_prompts
from weightarith.report.subject import Subject, open_subject
from weightarith.report.sweeps import Sweep, open_sweep, recommended

__all__ = [
    "Samples", "Subject", "Sweep", "answered", "check_out", "chosen_prompts", "open_subject", "open_sweep",
    "recommended", "render", "report",
]  # fmt: skip
