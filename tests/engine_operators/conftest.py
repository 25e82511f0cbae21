"""Inputs that every test here reads and none writes; the disk is not waited for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from unittest.mock import patch

import pytest

from tests.engine_operators.world import World, build


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with patch.object(os, "fsync"):
        yield
