"""Pages rendered once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report import made_up
from tests.report.reading import Page, read
from weightarith.report import open_subject, open_sweep, render


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("report")
    made_up.run(made / "run")
    made_up.swept(made / "work")
    made_up.vector(made / "v.safetensors")
    return made


@pytest.fixture(scope="session")
def html(folder: Path) -> str:
    return render(open_subject(str(folder / "run")), [open_sweep(folder / "work" / "swept")])


@pytest.fixture(scope="session")
def page(html: str) -> Page:
    return read(html)


@pytest.fixture(scope="session")
def bare(folder: Path) -> Page:
    """The page on a vector alone."""
    return read(render(open_subject(str(folder / "v.safetensors"))))
