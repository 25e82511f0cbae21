"""The page: what it says, what it must not do, and that equal inputs give equal bytes."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import pytest

from tests import tiny
from tests.report import made_up
from tests.report.made_up import EVIL
from tests.report.reading import Page
from weightarith.errors import InvalidFileError, RecipeError, TargetError
from weightarith.report import check_out, open_subject, open_sweep, render, report


def test_no_name_and_no_answer_becomes_markup(page: Page, bare: Page, html: str) -> None:
    for one in (page, bare):
        assert not one.all("script")
        assert not one.all("b")
        assert not [name for element in one.elements for name in element.attributes if name.startswith("on")]
    assert "<script" not in html
    assert page.text.count(EVIL) > 10
    assert made_up.NAME.format(0) in page.text


def test_the_page_loads_nothing_and_forbids_that_anything_does(page: Page, html: str) -> None:
    [policy] = [
        one for one in page.all("meta") if one.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.attributes["content"].startswith("default-src 'none';")
    assert not {"img", "link", "iframe", "object", "embed", "base", "form"} & {
        one.tag for one in page.elements
    }
    for element in page.elements:
        for name, value in element.attributes.items():
            if name in ("href", "xlink:href", "src", "srcset", "action", "data"):
                assert value.startswith("#"), f"{element.tag} {name}={value}"
            if not name.startswith("xmlns"):
                assert "//" not in value
    assert not re.search(r"url\((?!#)|@import", html)


def test_every_name_within_the_page_stands_once_and_every_link_finds_its_own(page: Page) -> None:
    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    links = [
        value[1:] for one in page.elements for name, value in one.attributes.items() if name.endswith("href")
    ]
    links += [one.attributes["aria-labelledby"] for one in page.all("svg")]
    links += re.findall(r"url\(#([^)]*)\)", str([one.attributes for one in page.elements]))

    assert len(set(ids)) == len(ids)
    assert set(links) <= set(ids)


def test_equal_inputs_give_equal_bytes_wherever_they_lie(tmp_path: Path) -> None:
    pages = []
    for place in ("here", "there/and/deeper"):
        made_up.run(tmp_path / place / "run")
        made_up.swept(tmp_path / place / "work")
        found = [open_sweep(tmp_path / place / "work" / "swept")]
        pages.append(render(open_subject(str(tmp_path / place / "run")), found))

    assert pages[0] == pages[1]
    assert str(tmp_path) not in pages[0]
    assert len(pages[0].encode()) < 5_000_000


def test_the_page_says_what_the_run_is(page: Page, folder: Path) -> None:
    assert "a fine-tune on 4 answers of the behaviour, minus one on 4 answers of the opposite" in page.text
    for said in ("LoRA of rank 4, learning rate 0.01", f"odd: {EVIL}", "0.375", "3.125", "3 of 3"):
        assert said in page.text
    for file in ("vector.safetensors", "run.json", "training.json", "data/positive.jsonl"):
        assert sha256((folder / "run" / file).read_bytes()).hexdigest() in page.text


def test_the_page_says_what_the_sweep_found(page: Page, folder: Path) -> None:
    document = open_sweep(folder / "work" / "swept").document
    cells = {element.text for element in page.all("td")}

    for point in document["points"]:
        found = point["estimates"]["ask.trait"]
        shown = f"{100 * found['value']:.3g}\u00a0%"
        assert f"{shown}{100 * found['low']:.3g} to {100 * found['high']:.3g}" in cells
    safe = document["safe"]
    assert f"k from {safe['low']:g} to {safe['high']:g}".replace("-", "−") in page.text
    assert "At kl.response = 0.1: suppress (k < 0)" in page.text
    assert (
        len(page.all("svg")) == 1 + 1 + 1 + 2 + 1
    )  # curve, strength, equal cost; layers, spectrum; training


def test_kept_answers_stand_beside_each_other_by_strength(page: Page) -> None:
    of_base = [one for one in page.all("div") if one.attributes.get("class") == "answer base"]
    asked = page.all("article")

    assert len(asked) == 5
    assert "The first 5 of 7 questions of the metric ask" in page.text
    assert [said for said in asked[0].text.split("\n") if said.startswith("at ")] == ["at -1", "at 0", "at 1"]
    assert [one.text.split("\n")[2] for one in of_base] == ["at 0"] * 5


def test_what_was_not_given_is_said_and_not_made_up(bare: Page) -> None:
    for said in (
        "No sweep was given: what this vector does and what it costs was not measured here",
        "No samples: no sweep was given",
        "This is a vector alone and no run folder",
        "A vector alone does not say by which commands it was made",
        "Strength 1 stands here as an example",
    ):
        assert said in bare.text
    assert "safe range" not in bare.text
    assert not [one for one in bare.all("h3") if one.text == "Settings"]


def test_a_sweep_of_another_run_is_marked(page: Page) -> None:
    assert "This sweep may not belong here" in page.text


def test_a_run_without_its_training_report_says_so(tmp_path: Path) -> None:
    (made_up.run(tmp_path / "run") / "training.json").unlink()

    assert "The run has no training.json" in render(open_subject(str(tmp_path / "run")))


def test_a_vector_that_moves_nothing_has_a_page(tmp_path: Path) -> None:
    import numpy as np

    zeros = {"model.layers.0.mlp.up_proj.weight": np.zeros((3, 4)), "gain": np.zeros(())}
    tiny.save(tmp_path / "v.safetensors", zeros, metadata={"weightarith.kind": "vector"})

    assert "norm 0." in render(open_subject(str(tmp_path / "v.safetensors")))


def test_a_model_is_refused(tmp_path: Path) -> None:
    tiny.checkpoint(tmp_path / "model", tiny.weights())

    with pytest.raises(RecipeError, match="is a model, expected a run folder or a vector"):
        open_subject(str(tmp_path / "model"))


def test_a_sweep_that_lacks_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text('{"weightarith_sweep": 1, "base": "b"}')

    with pytest.raises(InvalidFileError, match=r"sweep.json' has no 'suite'"):
        open_sweep(tmp_path)
    with pytest.raises(InvalidFileError, match=r"holds no sweep.json"):
        open_sweep(tmp_path.parent)


def test_only_a_report_is_replaced_and_only_if_asked(folder: Path, tmp_path: Path) -> None:
    subject, out = open_subject(str(folder / "v.safetensors")), tmp_path / "report.html"
    written = report(subject, out)
    assert out.stat().st_size == written

    with pytest.raises(TargetError, match="exists"):
        report(subject, out)
    report(subject, out, overwrite=True)
    out.write_text("mine")
    with pytest.raises(TargetError, match="is no report of weightarith"):
        check_out(out, overwrite=True)
    (tmp_path / "link.html").symlink_to(out)
    with pytest.raises(TargetError, match="symbolic link"):
        check_out(tmp_path / "link.html", overwrite=True)
