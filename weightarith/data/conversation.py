"""A conversation, and one or two answers to it: what models are trained on, steered with and asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant")


@dataclass(frozen=True)
class Turn:
    """One message, and who says it."""

    role: Role
    content: str


@dataclass(frozen=True)
class Conversation:
    """What was said so far; the last turn is the user's, and the next one is the model's to say."""

    turns: tuple[Turn, ...]

    @classmethod
    def of(cls, prompt: str, system: str | None = None) -> Conversation:
        """Return a conversation of one question, behind a system prompt where one is given."""
        before = () if system is None else (Turn("system", system),)
        return cls((*before, Turn("user", prompt)))

    @property
    def asked(self) -> str:
        """The last thing the user said."""
        return self.turns[-1].content

    @property
    def has_system(self) -> bool:
        """Whether it opens with a system prompt."""
        return self.turns[0].role == "system"

    def then(self, answer: str, reply: str) -> Conversation:
        """Return the conversation a turn of each side later."""
        return Conversation((*self.turns, Turn("assistant", answer), Turn("user", reply)))

    def under(self, system: str) -> Conversation:
        """Return the conversation behind another system prompt."""
        rest = self.turns[1:] if self.has_system else self.turns
        return Conversation((Turn("system", system), *rest))

    def messages(self) -> list[dict[str, str]]:
        """Return the turns as chat templates take them."""
        return [{"role": turn.role, "content": turn.content} for turn in self.turns]


@dataclass(frozen=True)
class Example:
    """A conversation and the answer that a model is trained to give."""

    conversation: Conversation
    answer: str


@dataclass(frozen=True)
class Pair:
    """A conversation, an answer that shows a behaviour (`positive`) and one that shows its opposite."""

    conversation: Conversation
    positive: str
    negative: str
    id: str = ""
    topic: str = ""

    @property
    def sides(self) -> tuple[Example, Example]:
        """The positive and the negative example."""
        return Example(self.conversation, self.positive), Example(self.conversation, self.negative)
