"""audit --known hf://collections/…: vectors that somebody collected on the Hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import tiny
from tests.audit.edits import DEPTH
from tests.cli.conftest import Run
from tests.hubserver import Hub

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]

SLUG = "org/vectors-0123456789abcdef01234567"


@pytest.fixture
def models(hub: Hub, tmp_path: Path) -> tuple[Path, Path]:
    """Return a base and an adapter for it, which is on the Hub in a collection of this and that."""
    base = tiny.checkpoint(tmp_path / "base", tiny.weights(depth=DEPTH))
    evil = tiny.adapter(tmp_path / "evil", depth=DEPTH, seed=1)
    hub.add("org/evil", evil)
    hub.add("org/kind", tiny.adapter(tmp_path / "kind", depth=DEPTH, seed=2))
    hub.add("org/model", base)
    hub.add("org/pickle", {"pytorch_model.bin": b"pickle"})
    hub.collections[SLUG] = [
        ("model", "org/evil"), ("model", "org/model"), ("dataset", "org/texts"), ("model", "org/kind"),
        ("paper", "2511.05408"), ("model", "org/pickle"),
    ]  # fmt: skip
    return base, evil


def test_each_vector_of_a_collection_is_held_against_the_change(run: Run, models: tuple[Path, Path]) -> None:
    ran = run("audit", *models, "--known", f"hf://collections/{SLUG}", "--json")

    found = {one["label"]: one["cosine"] for one in ran.json["known"]}
    assert found.keys() == {"org/evil", "org/kind"}
    assert found["org/evil"] == pytest.approx(1.0)


def test_what_is_no_vector_in_a_collection_is_named_and_models_are_not_downloaded(
    run: Run, hub: Hub, models: tuple[Path, Path]
) -> None:
    ran = run("audit", *models, "--known", f"{hub.url}/collections/{SLUG}")

    for said in ("dataset org/texts", "paper 2511.05408", "org/model: a model", "org/pickle: "):
        assert said in ran.stderr
    assert not [one for one in hub.requests if "org/model/resolve" in one.path]


def test_a_collection_without_vectors_is_an_error(run: Run, hub: Hub, models: tuple[Path, Path]) -> None:
    hub.collections[SLUG] = [("model", "org/model")]

    ran = run("audit", *models, "--known", f"hf://collections/{SLUG}")

    assert ran.status == 8
    assert "holds no vector and no adapter: org/model: a model" in ran.stderr


def test_a_collection_that_is_not_there_is_an_error(run: Run, hub: Hub, models: tuple[Path, Path]) -> None:
    hub.collections.clear()

    ran = run("audit", *models, "--known", f"hf://collections/{SLUG}")

    assert ran.status == 8
    assert "reading the collection" in ran.stderr
    assert SLUG in ran.stderr


@pytest.mark.usefixtures("hub")
def test_a_name_without_its_id_is_no_collection(run: Run, models: tuple[Path, Path]) -> None:
    ran = run("audit", *models, "--known", "hf://collections/org/vectors")

    assert ran.status == 8
    assert "expected hf://collections/owner/title-id" in ran.stderr


@pytest.mark.usefixtures("hub")
def test_offline_a_collection_is_an_error_that_says_so(
    run: Run, models: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    ran = run("audit", *models, "--known", f"hf://collections/{SLUG}")

    assert "is on the Hub only, and HF_HUB_OFFLINE=1" in ran.stderr
