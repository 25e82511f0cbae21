"""Publishing: what of an output goes to the Hub, what is said of it there, and how it gets there."""

from weightarith.publish.made import Made, carry_out_made, draw_made, room
from weightarith.publish.plan import Plan, Wish, draw
from weightarith.publish.push import Pushed, carry_out, push

__all__ = [
    "Made",
    "Plan",
    "Pushed",
    "Wish",
    "carry_out",
    "carry_out_made",
    "draw",
    "draw_made",
    "push",
    "room",
]
