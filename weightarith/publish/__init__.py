"""Publishing: what of an output goes to the Hub, what is said of it there, and how it gets there."""

from weightarith.publish.plan import Plan, Wish, draw
from weightarith.publish.push import Pushed, carry_out, push

__all__ = ["Plan", "Pushed", "Wish", "carry_out", "draw", "push"]
