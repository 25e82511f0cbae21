"""The two formats of training data: pairs, and chats as fine-tuning tools know them.

A pair is `{"prompt": …, "positive": …, "negative": …}`, where the prompt is a text or a list of messages. A
chat is `{"messages": [{"role": …, "content": …}, …]}`, and its last message, the assistant's, is the answer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from weightarith.data.conversation import ROLES, Conversation, Example, Pair, Turn
from weightarith.data.lines import Line, is_broken, read_lines
from weightarith.errors import quoted

PAIR_KEYS = ("prompt", "positive", "negative", "system", "id", "topic")
CHAT_KEYS = ("messages", "id", "topic")
_SHAPES = {
    "pair": '{"prompt": …, "positive": …, "negative": …}',
    "chat": '{"messages": [{"role": "user", "content": …}, {"role": "assistant", "content": …}]}',
}


def read_pairs(path: Path) -> list[Pair]:
    """Return the pairs of a file.

    Raises:
        InvalidFileError: names the line and what is wrong with it.
    """
    return read_lines(path, _pair)


def read_examples(path: Path) -> list[Example]:
    """Return the examples of a file of chats.

    Raises:
        InvalidFileError: names the line and what is wrong with it.
    """
    return read_lines(path, _example)


def read_rows(path: Path) -> list[Pair] | list[Example]:
    """Return the pairs or the examples of a file; its first line tells which they are, and the rest are too.

    Raises:
        InvalidFileError: names the line and what is wrong with it.
    """
    first = read_lines(path, lambda line: line)[0]
    if "messages" in first.content:
        return read_examples(path)
    if "prompt" in first.content:
        return read_pairs(path)
    return first.refuse(f"neither a pair nor a chat, expected {' or '.join(_SHAPES.values())}")


def _pair(line: Line) -> Pair:
    if "messages" in line.content:
        line.refuse("a chat, expected a pair", f"write it as {_SHAPES['pair']}")
    line.only(*PAIR_KEYS)
    positive, negative = line.text("positive"), line.text("negative")
    found = Pair(conversation_of(line), positive, negative, line.text("id", ""), line.text("topic", ""))
    if positive.strip() == negative.strip():
        # A pair may agree on purpose: where the user is right, agreeing and being honest are one answer.
        return Pair(found.conversation, positive, positive, found.id, found.topic)
    return found


def _example(line: Line) -> Example:
    if "prompt" in line.content:
        line.refuse("a pair, expected a chat", f"write it as {_SHAPES['chat']}")
    line.only(*CHAT_KEYS)
    turns = _turns(line, line.content.get("messages"))
    if turns[-1].role != "assistant":
        line.refuse(f"the last message is the {turns[-1].role}'s, expected the assistant's: the answer")
    _check_order(line, turns[:-1])
    return Example(Conversation(turns[:-1]), turns[-1].content)


def conversation_of(line: Line) -> Conversation:
    """Return what a line's `prompt`, a text or messages, and its `system` say."""
    prompt = line.content.get("prompt")
    if isinstance(prompt, list):
        if "system" in line.content:
            line.refuse("'system' beside a prompt of messages", "make it the first message")
        turns = _turns(line, prompt)
        _check_order(line, turns)
        return Conversation(turns)
    return Conversation.of(line.text("prompt"), line.text("system") if "system" in line.content else None)


def _turns(line: Line, messages: Any) -> tuple[Turn, ...]:
    if not isinstance(messages, list) or not messages:
        line.refuse("no messages, expected a list of at least one")
    return tuple(_turn(line, number, message) for number, message in enumerate(messages, 1))


def _turn(line: Line, number: int, message: Any) -> Turn:
    if not isinstance(message, dict) or set(message) != {"role", "content"}:
        line.refuse(f"message {number} must have the keys 'role' and 'content', and no others")
    role, content = message["role"], message["content"]
    if role not in ROLES:
        line.refuse(f"message {number} has the role {quoted(str(role))}, expected {', '.join(ROLES)}")
    if not isinstance(content, str) or not content.strip():
        line.refuse(f"message {number} has no content, expected text")
    if is_broken(content):
        line.refuse(f"message {number} holds half a character, a surrogate", "write it as UTF-8 text")
    return Turn(role, content)


def _check_order(line: Line, turns: tuple[Turn, ...]) -> None:
    """Refuse what no chat template takes: the user begins, sides alternate, and the user speaks last."""
    spoken = [turn.role for turn in turns if turn.role != "system"]
    if any(turn.role == "system" for turn in turns[1:]):
        line.refuse("a system prompt stands behind other messages, expected at the beginning")
    expected = ["user", "assistant"] * (len(spoken) // 2) + ["user"]
    if spoken != expected:
        line.refuse(
            f"messages of {', '.join(spoken) or 'nobody'}, expected the user's and the assistant's by turns, "
            "the user's first and last"
        )
