"""Contrasts: from two sets of answers to a steering vector, with all that is known of how it was made."""

from weightarith.contrast.make import contrast
from weightarith.contrast.more import add_bias, add_joint
from weightarith.contrast.run import Run, Side, read_run

__all__ = ["Run", "Side", "add_bias", "add_joint", "contrast", "read_run"]
