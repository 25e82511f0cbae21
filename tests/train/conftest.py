"""One tiny model for all of these tests, and one contrast on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tinychat import instruct
from tests.train.world import quick, sides
from weightarith.contrast import Run, contrast


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return instruct(tmp_path_factory.mktemp("training") / "base")


@pytest.fixture(scope="session")
def made(base: Path) -> Run:
    """A contrast with two learning rates and checkpoints along the way."""
    positive, negative = sides()
    settings = quick(learning_rates=(1e-4, 1e-2), keep_checkpoints=True)
    return contrast(base, positive, negative, base.parent / "made", settings)
