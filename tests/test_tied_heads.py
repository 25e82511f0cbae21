"""Output heads that are the embedding: what config.json says and what is stored, in every combination."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.small import EMBED, HEAD, UP, Models, fates, plan, refused, rows


@pytest.fixture
def models(tmp_path: Path) -> Models:
    return Models(tmp_path)


def test_a_tied_head_that_only_the_base_stores_is_the_embedding_of_the_fine_tune(models: Models) -> None:
    base = models("base", tied=True, embed=rows(1, 2), head=rows(1, 2), up=rows(1))
    tuned = models("tuned", tied=True, embed=rows(3, 5), up=rows(1))

    half = models.made(0.5 * base + 0.5 * tuned)

    assert half[HEAD] == half[EMBED] == rows(2, 3.5)
    assert models.made(base + (tuned - base)) == {EMBED: rows(3, 5), UP: rows(1)}


def test_a_tied_head_that_only_the_fine_tune_stores_is_left_out_and_told(models: Models) -> None:
    base = models("base", tied=True, embed=rows(1, 2), up=rows(1))
    tuned = models("tuned", tied=True, embed=rows(3, 5), head=rows(3, 5), up=rows(1))
    total = 0.5 * base + 0.5 * tuned

    assert models.made(total) == {EMBED: rows(2, 3.5), UP: rows(1)}
    assert fates(plan(total))[HEAD] == ("absent", "tuned stores a tied copy of its embedding")


def test_an_untied_fine_tune_of_a_tied_base_is_refused(models: Models) -> None:
    base = models("base", tied=True, embed=rows(1, 2), up=rows(1))
    tuned = models("tuned", tied=False, embed=rows(3, 5), head=rows(7, 7), up=rows(1))

    refused(0.5 * base + 0.5 * tuned, 4, "tuned holds 1 tensors that base lacks: 'lm_head.weight'")


def test_an_untied_fine_tune_is_refused_where_the_tied_base_stores_its_head_too(models: Models) -> None:
    base = models("base", tied=True, embed=rows(1, 2), head=rows(1, 2), up=rows(1))
    tuned = models("tuned", tied=False, embed=rows(3, 5), head=rows(7, 7), up=rows(1))

    refused(
        0.5 * base + 0.5 * tuned, 4, "tuned has a head of its own, 'lm_head.weight', and base ties its head"
    )


def test_an_untied_base_takes_the_embedding_of_a_tied_fine_tune_for_its_head(models: Models) -> None:
    base = models("base", tied=False, embed=rows(1, 2), head=rows(4, 4), up=rows(1))
    tuned = models("tuned", tied=True, embed=rows(3, 5), up=rows(1))

    found = models.made(0.5 * base + 0.5 * tuned)

    assert found[HEAD] == rows(3.5, 4.5)
    assert found[EMBED] == rows(2, 3.5)


def test_a_vector_that_moves_the_embedding_moves_the_stored_tied_head_with_it(models: Models) -> None:
    base = models("base", tied=True, embed=rows(1, 2), head=rows(1, 2), up=rows(1))
    vector = models.vector("v", embed=rows(1, -1, code="F32"))

    assert models.made(base + vector) == {EMBED: rows(2, 1), HEAD: rows(2, 1), UP: rows(1)}


def test_a_vector_that_moves_the_embedding_leaves_an_untied_head(models: Models) -> None:
    base = models("base", tied=False, embed=rows(1, 2), head=rows(1, 2), up=rows(1))
    vector = models.vector("v", embed=rows(1, -1, code="F32"))

    assert models.made(base + vector)[HEAD] == rows(1, 2)


def test_a_vector_that_moves_a_head_the_tied_base_does_not_store_is_refused(models: Models) -> None:
    base = models("base", tied=True, embed=rows(1, 2), up=rows(1))
    vector = models.vector("v", head=rows(1, -1, code="F32"))

    refused(base + vector, 4, "v moves 1 tensors that base lacks: 'lm_head.weight'.*\n.*ties its head")
