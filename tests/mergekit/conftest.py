"""Models for both tools, made once, and the command line as a fixture."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import run
from tests.mergekit import models

__all__ = ["run"]


@pytest.fixture(scope="session")
def llamas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the Llamas: see `models.llamas`."""
    return models.llamas(tmp_path_factory.mktemp("llamas"))


@pytest.fixture(scope="session")
def qwens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the models of Qwen2's layout: see `models.qwens`."""
    return models.qwens(tmp_path_factory.mktemp("qwens"))
