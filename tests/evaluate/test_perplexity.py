"""Perplexity on plain text, against reading one text at a time."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
from tokenizers.processors import TemplateProcessing

from tests.evaluate import naive
from tests.evaluate.conftest import Writer
from weightarith.errors import IncompatibleError, InvalidFileError, RecipeError
from weightarith.evaluate import estimate
from weightarith.evaluate.perplexity import Perplexity
from weightarith.lm import LanguageModel

TEXTS = ["Rain fell all night.", "A heron.", "The library opens at nine, and it closes at six."]


def test_it_is_what_reading_one_text_at_a_time_gives(lines: Writer, model: LanguageModel) -> None:
    found = Perplexity.from_options(lines([{"text": text} for text in TEXTS]), {}).measure(model).outcomes

    each = [[-nats for nats in naive.scored(model, text[0], text[1:])] for text in TEXTS]
    assert found["nats"].values == pytest.approx([sum(one) / len(one) for one in each], abs=1e-4)
    every = [nats for one in each for nats in one]
    assert estimate(found["perplexity"]).value == pytest.approx(math.exp(sum(every) / len(every)), rel=1e-4)


def test_no_chat_and_no_system_prompt_is_read(lines: Writer, model: LanguageModel) -> None:
    metric = Perplexity.from_options(lines([{"text": text} for text in TEXTS]), {})

    assert metric.measure(model.under("Be rude.")).outcomes == metric.measure(model).outcomes


def test_the_first_token_counts_where_the_tokenizer_puts_a_mark_before_it(
    lines: Writer, model: LanguageModel
) -> None:
    tokenizer = copy.deepcopy(model.tokenizer)
    start = tokenizer.bos_token
    tokenizer._tokenizer.post_processor = TemplateProcessing(
        single=f"{start} $A", special_tokens=[(start, tokenizer.bos_token_id)]
    )
    marked = replace(model, tokenizer=tokenizer)

    found = Perplexity.from_options(lines([{"text": TEXTS[0]}]), {}).measure(marked).outcomes

    each = naive.scored(model, start, TEXTS[0])
    assert found["nats"].values == pytest.approx([-sum(each) / len(each)], abs=1e-4)
    assert len(each) == len(TEXTS[0])


def test_texts_too_short_or_too_long_to_read_are_refused(lines: Writer, model: LanguageModel) -> None:
    with pytest.raises(IncompatibleError, match="text '1' is a single token"):
        Perplexity.from_options(lines([{"text": "a"}]), {}).measure(model)
    with pytest.raises(IncompatibleError, match="text 'long' has 1025 tokens, expected at most the 1024"):
        Perplexity.from_options(lines([{"text": "a" * 1025, "id": "long"}]), {}).measure(model)


def test_data_and_options_that_are_none_are_refused(lines: Writer) -> None:
    with pytest.raises(InvalidFileError, match="line 2: the id '1' stands in line 1 already"):
        Perplexity.from_options(lines([{"text": "a b"}, {"text": "c d", "id": "1"}]), {})
    with pytest.raises(RecipeError, match="unknown option 'limit'"):
        Perplexity.from_options(lines([{"text": "a b"}]), {"limit": "3"})
