"""Tiny models as fixtures, and tests that need a GPU left out where there is none."""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from tests import tiny as models
from tests.hubserver.canary import shows_token
from tests.hubserver.fixtures import any_hub, hub, xet_hub  # noqa: F401  # found by their names

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before its client is imported; fixtures of a Hub undo it

settings.register_profile("no clock", deadline=None)  # machines are noisy, and the first call may compile
settings.load_profile("no clock")


@dataclass(frozen=True)
class Tiny:
    """Folders of models that belong together: a base, two fine-tunes of it and two adapters on it."""

    base: Path
    finetuned: Path
    other: Path
    positive: Path
    negative: Path


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    base = models.weights()
    return Tiny(
        base=models.checkpoint(tmp_path / "base", base),
        finetuned=models.checkpoint(tmp_path / "finetuned", models.finetuned(base, seed=1)),
        other=models.checkpoint(tmp_path / "other", models.finetuned(base, seed=2)),
        positive=models.adapter(tmp_path / "positive", seed=3),
        negative=models.adapter(tmp_path / "negative", seed=4),
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail every test that shows the token of the test server, whatever it was meant to test."""
    report = yield
    if not item.get_closest_marker("told_token") and (where := shows_token(report)):
        report.outcome, report.longrepr = "failed", f"{item.nodeid} shows the token: {where}"
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
