"""Model cards: rendered from what receipts and headers say, never typed."""

from weightarith.card.facts import Facts
from weightarith.card.parent import Licence, Parent
from weightarith.card.render import render

__all__ = ["Facts", "Licence", "Parent", "render"]
