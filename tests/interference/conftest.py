"""One world for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interference import made_up


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up.world(tmp_path_factory.mktemp("interference"))
