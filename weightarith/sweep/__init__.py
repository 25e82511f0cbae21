"""Strengths walked and methods compared: behaviour against cost, at every point both."""

from weightarith.sweep.arm import Arm
from weightarith.sweep.baselines import BASELINES, Ingredients, baselines_named
from weightarith.sweep.comparison import Step
from weightarith.sweep.entries import line_up
from weightarith.sweep.folder import check_out, read_sweep
from weightarith.sweep.lineup import LineUp
from weightarith.sweep.pictures import pictures
from weightarith.sweep.safe import Allowed
from weightarith.sweep.settings import STRENGTHS, Settings
from weightarith.sweep.sweep import sweep
from weightarith.sweep.tables import as_lines

__all__ = [
    "BASELINES",
    "STRENGTHS",
    "Allowed",
    "Arm",
    "Ingredients",
    "LineUp",
    "Settings",
    "Step",
    "as_lines",
    "baselines_named",
    "check_out",
    "line_up",
    "pictures",
    "read_sweep",
    "sweep",
]
