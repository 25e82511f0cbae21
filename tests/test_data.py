"""Pairs and chats: what is read of them, and what is refused with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from weightarith.data import Conversation, Example, Pair, Turn, read_examples, read_pairs, read_rows
from weightarith.errors import InvalidFileError

PAIR = {"prompt": "Is it?", "positive": "Yes.", "negative": "No."}


def user(text: object) -> dict[str, object]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, object]:
    return {"role": "assistant", "content": text}


def system(text: str) -> dict[str, object]:
    return {"role": "system", "content": text}


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def written(*rows: object) -> Path:
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        return path

    return written


def test_a_pair_is_a_question_and_two_answers(write: Any) -> None:
    path = write({**PAIR, "system": "Be brief.", "id": "a", "topic": "sky"}, PAIR)

    asked = Conversation((Turn("system", "Be brief."), Turn("user", "Is it?")))
    assert read_pairs(path) == [
        Pair(asked, "Yes.", "No.", "a", "sky"),
        Pair(Conversation.of("Is it?"), "Yes.", "No."),
    ]
    assert read_pairs(path)[0].sides == (Example(asked, "Yes."), Example(asked, "No."))


def test_the_prompt_of_a_pair_may_be_messages(write: Any) -> None:
    (found,) = read_pairs(write({**PAIR, "prompt": [system("S"), user("a"), assistant("b"), user("c")]}))

    assert found.conversation == Conversation.of("a", "S").then("b", "c")
    assert found.conversation.asked == "c"


def test_a_pair_of_equal_answers_is_a_pair(write: Any) -> None:
    (found,) = read_pairs(write({**PAIR, "positive": "Yes. ", "negative": "Yes."}))

    assert found.positive == found.negative


def test_a_chat_is_a_conversation_and_its_last_answer(write: Any) -> None:
    (found,) = read_examples(write({"messages": [user("a"), assistant("b"), user("c"), assistant("d")]}))

    assert found == Example(Conversation.of("a").then("b", "c"), "d")


def test_the_first_line_tells_pairs_from_chats(write: Any) -> None:
    assert isinstance(read_rows(write(PAIR))[0], Pair)
    assert isinstance(read_rows(write({"messages": [user("a"), assistant("b")]}))[0], Example)
    with pytest.raises(InvalidFileError, match="line 1: neither a pair nor a chat, expected"):
        read_rows(write({"text": "a"}))


def test_a_file_of_both_is_refused_at_the_first_line_of_the_other_kind(write: Any) -> None:
    chat = {"messages": [user("a"), assistant("b")]}

    with pytest.raises(InvalidFileError, match="line 2: a chat, expected a pair"):
        read_rows(write(PAIR, chat))
    with pytest.raises(InvalidFileError, match="line 3: a pair, expected a chat"):
        read_rows(write(chat, chat, PAIR))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"positive": ""}, "'positive' is empty"),
        ({"negative": 3}, "'negative' is a number, expected text"),
        ({"prompt": " "}, "'prompt' is empty"),
        ({"prompt": None}, "'prompt' is null or absent, expected text"),
        ({"system": ""}, "'system' is empty"),
        ({"positive": "\ud83d"}, "'positive' holds half a character"),
        ({"prompt": [user("\udc00")]}, "message 1 holds half a character"),
        ({"answer": "x"}, "unknown key 'answer'"),
        ({"id": 3}, "'id' is a number"),
        ({"prompt": []}, "no messages, expected a list of at least one"),
        ({"prompt": [user("a")], "system": "S"}, "'system' beside a prompt of messages"),
        ({"prompt": [user("a"), assistant("b")]}, "messages of user, assistant, expected"),
    ],
)
def test_a_pair_that_is_none_is_named(changes: dict[str, Any], said: str, write: Any) -> None:
    with pytest.raises(InvalidFileError) as caught:
        read_pairs(write(PAIR, {**PAIR, **changes}))

    assert f"line 2: {said}" in caught.value.message


def test_a_pair_without_an_answer_names_what_it_has(write: Any) -> None:
    with pytest.raises(InvalidFileError, match=r"line 1: no key 'negative'; it has 'prompt', 'positive'$"):
        read_pairs(write({"prompt": "a", "positive": "b"}))


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ("a", "no messages, expected a list"),
        ([], "no messages, expected a list"),
        ([user("a")], "the last message is the user's, expected the assistant's"),
        ([assistant("a")], "messages of nobody, expected"),
        ([system("a"), assistant("b")], "messages of nobody, expected"),
        ([user("a"), user("b"), assistant("c")], "messages of user, user, expected"),
        ([user("a"), system("s"), assistant("c")], "a system prompt stands behind other messages"),
        (
            [{"role": "tool", "content": "a"}],
            "message 1 has the role 'tool', expected system, user, assistant",
        ),
        ([{"role": ["user"], "content": "a"}], "message 1 has the role"),
        ([user("a"), assistant("")], "message 2 has no content, expected text"),
        ([user(3)], "message 1 has no content, expected text"),
        ([{"role": "user"}], "message 1 must have the keys 'role' and 'content', and no others"),
        ([{**user("a"), "name": "b"}], "message 1 must have the keys 'role' and 'content', and no others"),
        (["a"], "message 1 must have the keys"),
    ],
)
def test_a_chat_that_no_template_takes_is_named(messages: object, said: str, write: Any) -> None:
    good = {"messages": [user("a"), assistant("b")]}
    with pytest.raises(InvalidFileError) as caught:
        read_examples(write(good, {"messages": messages}))

    assert f"line 2: {said}" in caught.value.message


def test_a_conversation_goes_on_and_changes_its_system_prompt() -> None:
    first = Conversation.of("a")

    assert not first.has_system
    assert first.under("S").messages() == [system("S"), user("a")]
    assert first.under("S").under("T") == Conversation.of("a", "T")
    assert first.then("b", "c").messages() == [user("a"), assistant("b"), user("c")]
