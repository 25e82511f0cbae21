"""One page of HTML that holds all the evidence and needs no network."""

from weightarith.report.page import check_out, render, report
from weightarith.report.samples import Samples, answered, chosen_prompts
from weightarith.report.subject import Subject, open_subject
from weightarith.report.sweeps import Sweep, open_sweep, recommended
from weightarith.report.together import Together, open_together
from weightarith.report.watched import Watch, open_watch

__all__ = [
    "Samples", "Subject", "Sweep", "Together", "Watch", "answered", "check_out", "chosen_prompts",
    "open_subject", "open_sweep", "open_together", "open_watch", "recommended", "render", "report",
]  # fmt: skip
