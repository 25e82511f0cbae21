"""The repository, and the command line as a fixture."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import run

__all__ = ["run"]

ROOT = Path(__file__).parents[2]
