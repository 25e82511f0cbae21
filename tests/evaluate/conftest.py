"""Tiny models that answer, shared by all tests of metrics: they leave a model as it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.tinychat import instruct
from weightarith.lm import LanguageModel, load

Writer = Callable[[Sequence[Mapping[str, object]]], Path]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load(instruct(tmp_path_factory.mktemp("model") / "base"), device="cpu")


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load(instruct(tmp_path_factory.mktemp("model") / "other", seed=1), device="cpu")


@pytest.fixture
def lines(tmp_path: Path) -> Writer:
    """Write rows as JSON Lines."""

    def write(rows: Sequence[Mapping[str, object]]) -> Path:
        path = tmp_path / "data.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write
