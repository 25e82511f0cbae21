"""A language model in memory: asked, scored and looked into."""

from weightarith.lm.answers import Answer, Sampling, answer
from weightarith.lm.model import LanguageModel, load
from weightarith.lm.score import Score, score

__all__ = ["Answer", "LanguageModel", "Sampling", "Score", "answer", "load", "score"]
