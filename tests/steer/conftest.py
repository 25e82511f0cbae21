"""A tiny chat model, loaded once, and what its tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tinychat import instruct
from weightarith.lm import LanguageModel
from weightarith.lm.model import load


@pytest.fixture(scope="session")
def chat_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return instruct(tmp_path_factory.mktemp("chat") / "instruct")


@pytest.fixture(scope="session")
def chat(chat_folder: Path) -> LanguageModel:
    """A model in float32 that no test may change."""
    return load(chat_folder)
