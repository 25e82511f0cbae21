"""Two conversations with one model, side by side: as it is, and steered by a vector.

Both are asked the same in the same manner; each goes on from its own answers, or, if told, from the base's.
"""

from weightarith.conversing.columns import Columns, beside, width_of
from weightarith.conversing.manner import Manner, check
from weightarith.conversing.orders import Order, as_line, obey, order_in
from weightarith.conversing.talk import SIDES, Exchange, Said, Side, Talk

__all__ = [
    "SIDES", "Columns", "Exchange", "Manner", "Order", "Said", "Side", "Talk", "as_line", "beside", "check",
    "obey", "order_in", "width_of",
]  # fmt: skip
