"""The same document through mergekit 0.1.5 and through our command: tokenizers, and templates for chats."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.mergekit.both import assert_near, both
from tests.tiny import VOCABULARY

pytestmark = pytest.mark.oracle

LINEAR = """merge_method: linear
dtype: float64
models:
- {model: $a, parameters: {weight: 1}}
- {model: $b, parameters: {weight: 2}}
- {model: $c, parameters: {weight: 1}}
"""
PLAIN = "{% for message in messages %}{{ message.content }}{% endfor %}"
LOUD = PLAIN.replace("content", "content | upper")
CHAT = [{"role": "user", "content": "t1 t2"}, {"role": "assistant", "content": "t3"}]


def add_tokenizer(folder: Path, template: str, words: str = "t") -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    made: Any = Tokenizer(WordLevel({f"{words}{n}": n for n in range(VOCABULARY)}, unk_token=f"{words}0"))
    made.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, unk_token=f"{words}0")
    tokenizer.chat_template = template
    for path in (*folder.glob("tokenizer*"), folder / "chat_template.jinja"):
        path.unlink()
    tokenizer.save_pretrained(folder)


def tokenizer_of(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture
def chatty(llamas: Path, tmp_path: Path) -> Path:
    """Return the folder of models that have a tokenizer: all the same words, and two the same template."""
    for name, template in (("a", PLAIN), ("b", LOUD), ("c", PLAIN)):
        add_tokenizer(shutil.copytree(llamas / name, tmp_path / "models" / name), template)
    return tmp_path / "models"


@pytest.mark.parametrize("more", [
    "tokenizer_source: $b",
    "tokenizer: {source: $b}",
    "tokenizer_source: base\nbase_model: $a",
    "tokenizer_source: $b\nchat_template: auto",
    "tokenizer_source: $a\nchat_template: chatml",
    "tokenizer_source: $a\nchat_template: '{{ messages[1].content }}'",
])  # fmt: skip
def test_a_tokenizer_and_a_template_that_are_asked_for_are_mergekits(
    more: str, chatty: Path, tmp_path: Path, run: Run
) -> None:
    found = both(f"{LINEAR}{more}\n", chatty, tmp_path, run)

    assert_near(found)
    ours, theirs = (tokenizer_of(tmp_path / each) for each in ("ours", "theirs"))
    assert ours.get_vocab() == theirs.get_vocab()
    assert ours.encode("t7 t1 and t39") == theirs.encode("t7 t1 and t39") == [7, 1, 0, 39]
    for prompt in (False, True):
        rendered = [
            each.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=prompt)
            for each in (ours, theirs)
        ]
        assert rendered[0] == rendered[1]


def test_tokens_that_differ_are_refused_where_mergekit_would_move_rows(
    chatty: Path, tmp_path: Path, run: Run
) -> None:
    add_tokenizer(chatty / "b", PLAIN, words="w")
    text = LINEAR.replace("$", f"{chatty}/") + f"tokenizer_source: {chatty}/a\n"
    (tmp_path / "mergekit.yaml").write_text(text, encoding="utf-8")

    ran = run("merge", tmp_path / "mergekit.yaml", "-o", tmp_path / "out")

    assert (ran.status, ran.stdout) == (10, "")
    assert "the tokens of b are not those of a: token 't0' is 0 in a and none in b" in ran.stderr
    assert not (tmp_path / "out").exists()
