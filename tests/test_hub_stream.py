"""Weights on the Hub are read from there as they are needed: the same bytes, and none that are not needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import tiny
from tests.cli.conftest import Run
from tests.cli.conftest import run as run  # noqa: PLC0414  (a fixture)
from tests.hubserver import Hub
from tests.streaming import BASE, TUNED, cut, fetched, forget, in_small_spans, nothing_downloaded, sent, size

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]

RECIPE = """\
weightarith: 1
inputs: {base: %s, ft: {model: %s, minus: base}}
expression: base + 0.5·ft
"""


@pytest.fixture
def folders(any_hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Return a base and a fine-tune, cut differently into shards, and put both on the Hub."""
    weights = tiny.weights()
    base = cut(tmp_path / "base", weights, [["model.layers.0"], ["lm_head", "model.layers.1.mlp"]])
    tuned = cut(tmp_path / "tuned", tiny.finetuned(weights, seed=1), [["model.embed", "model.layers.1.self"]])
    any_hub.add(BASE, base)
    any_hub.add(TUNED, tuned)
    in_small_spans(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return base, tuned


@pytest.mark.usefixtures("folders")
def test_a_streamed_difference_is_that_of_the_downloaded_files(any_hub: Hub, run: Run) -> None:
    for folder in ("v", "w"):
        Path(folder).mkdir()
    done = run("diff", TUNED, BASE, "--stream", "-o", "v/v.safetensors")

    assert (done.status, "from the Hub" in done.stderr) == (0, True), done.stderr
    assert nothing_downloaded(any_hub)
    forget(any_hub)
    assert run("diff", TUNED, BASE, "-o", "w/v.safetensors").status == 0
    for name in ("v.safetensors", "v.weightarith.json"):
        assert Path("v", name).read_bytes() == Path("w", name).read_bytes()
    assert not nothing_downloaded(any_hub)


def test_a_streamed_merge_is_that_of_the_downloaded_files(
    folders: tuple[Path, Path], any_hub: Hub, run: Run
) -> None:
    Path("recipe.yaml").write_text(RECIPE % (BASE, TUNED), encoding="utf-8")
    assert run("merge", "recipe.yaml", "--stream", "-o", "afar").status == 0
    assert nothing_downloaded(any_hub)
    assert sent(any_hub) <= sum(map(size, folders))

    assert run("merge", "recipe.yaml", "-o", "near").status == 0
    assert sorted(path.name for path in Path("afar").iterdir()) == sorted(
        path.name for path in Path("near").iterdir()
    )
    for path in Path("near").iterdir():
        assert (Path("afar") / path.name).read_bytes() == path.read_bytes()


def test_no_byte_comes_twice_and_the_heads_alone_come_besides(
    folders: tuple[Path, Path], any_hub: Hub, run: Run
) -> None:
    run("diff", TUNED, BASE, "--stream", "-o", "v.safetensors")

    ranges = [(one.path, one.headers["range"]) for one in fetched(any_hub)]
    assert len(ranges) == len(set(ranges)) > 20
    assert sent(any_hub) <= sum(map(size, folders))
    assert all(one.status == 206 for one in fetched(any_hub))
