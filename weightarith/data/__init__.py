"""Data for steering: conversations and what is answered to them, read strictly from JSON Lines."""

from weightarith.data.conversation import Conversation, Example, Pair, Turn
from weightarith.data.read import read_examples, read_pairs, read_rows

__all__ = ["Conversation", "Example", "Pair", "Turn", "read_examples", "read_pairs", "read_rows"]
