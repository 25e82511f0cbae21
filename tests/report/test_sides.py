"""The two sides of a run on its page: cosines against dense ones, and what is missing is said."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tests.geometry.vectors import adapter_changes
from tests.report import made_up
from weightarith.algebra import Vector
from weightarith.contrast import Run, read_run
from weightarith.names import layer_of
from weightarith.report import open_subject, render
from weightarith.report.sides import beside
from weightarith.saving import save

TEXT = re.compile(r"<text[^>]*>([^<]*)</text>")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose sides are adapters, and whose vector is their difference."""
    folder = made_up.run(tmp_path_factory.mktemp("sides") / "run")
    for seed, side in enumerate(("positive", "negative"), 1):
        (folder / side).rmdir()
        tiny.adapter(folder / side, seed=seed)
    (folder / "vector.safetensors").unlink()
    one, other = (Vector.open(folder / side, label=side) for side in ("positive", "negative"))
    save(one - other, folder / "vector.safetensors")
    return folder


def opened(folder: Path) -> tuple[Run, Vector]:
    return read_run(folder), open_subject(str(folder)).vector


def flat(changes: dict[str, np.ndarray], layer: int | None) -> np.ndarray:
    names = [name for name in sorted(changes) if layer is None or layer_of(name) == layer]
    return np.concatenate([changes[name].ravel() for name in names])


def test_cosines_by_layer_are_those_of_dense_changes(run: Path) -> None:
    positive, negative = (adapter_changes(run / side) for side in ("positive", "negative"))
    vector = {name: positive[name] - negative[name] for name in positive}
    layers = sorted({layer_of(name) for name in positive if layer_of(name) is not None})  # type: ignore[type-var]

    figures = beside(*opened(run)).figures

    shown = TEXT.findall(str(figures[0].markup))
    for layer in (None, *layers):
        for one, other in ((positive, negative), (positive, vector), (negative, vector)):
            a, b = flat(one, layer), flat(other, layer)
            cosine = a @ b / np.sqrt((a @ a) * (b @ b))
            assert f"{cosine:.2f}".replace("-", "−") in shown
    a, b = flat(positive, None), flat(negative, None)
    whole = f"τ⁺ and τ⁻ {a @ b / np.sqrt((a @ a) * (b @ b)):.3f}".replace("-", "−")
    assert whole in figures[0].caption


def test_norms_and_directions_are_drawn_of_both_sides_and_of_the_vector(run: Path) -> None:
    figures = beside(*opened(run)).figures

    assert len(figures) == 3
    for figure in figures[1:]:
        assert {"τ⁺", "τ⁻", "vector"} <= set(TEXT.findall(str(figure.markup)))


def test_a_page_draws_them_as_shapes_that_its_policy_allows(run: Path) -> None:
    html = render(open_subject(str(run)))

    assert "sides-cosines" in html
    assert "sides-norms" in html
    assert "<image" not in html
    assert "data:" not in html
    assert render(open_subject(str(run))) == html


def test_numbers_in_cells_keep_their_ink_on_a_dark_page(run: Path) -> None:
    markup = str(beside(*opened(run)).figures[0].markup)

    assert "#010101" in markup or "#fefefe" in markup


def test_sides_that_were_discarded_are_said_to_be(tmp_path: Path) -> None:
    made_up.run(tmp_path / "run")

    html = render(open_subject(str(tmp_path / "run")))

    assert "is not known here: the positive side was discarded, only the difference is in the folder" in html


def test_sides_of_whole_weights_are_held_against_the_base_or_said_to_lack_it(tmp_path: Path) -> None:
    from dataclasses import replace

    base = tiny.weights()
    tiny.checkpoint(tmp_path / "base", base)
    for seed, side in enumerate(("positive", "negative"), 1):
        tiny.checkpoint(tmp_path / side, tiny.finetuned(base, seed=seed))
    made_up.run(tmp_path / "run")
    known, vector = opened(tmp_path / "run")
    run = replace(known, positive=tmp_path / "positive", negative=tmp_path / "negative")

    found = beside(replace(run, base=str(tmp_path / "nowhere")), vector)
    assert found.missing == "the sides hold whole weights, and the model they were trained from is not here"
    from weightarith.algebra import Checkpoint

    opened_base = Checkpoint.open(tmp_path / "base", label="base")
    save(Checkpoint.open(tmp_path / "positive", label="p") - opened_base, tmp_path / "v.safetensors")
    there = beside(replace(run, base=str(tmp_path / "base")), Vector.open(tmp_path / "v.safetensors"))
    assert "τ⁺ and vector 1.000" in there.figures[0].caption
