"""One base, vectors that are watched and controls, for all of these tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import run
from tests.monitor.world import base_of, direction, vector

__all__ = ["run"]


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base, two vectors that are watched, and five controls."""
    folder = tmp_path_factory.mktemp("monitor")
    base_of(folder)
    for seed, label in enumerate(("evil", "honest", "c1", "c2", "c3", "c4", "c5")):
        vector(folder, label, direction(seed))
    return folder


@pytest.fixture
def controls(place: Path) -> list[Path]:
    return [place / f"c{number}.safetensors" for number in range(1, 6)]
