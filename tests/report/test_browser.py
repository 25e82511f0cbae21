"""The page in a browser: what a person sees, and that nothing in it runs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.report.made_up import EVIL
from tests.report.reading import Page, read

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
Open = Callable[..., str]

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


@pytest.fixture
def browse(html: str, tmp_path: Path) -> Open:
    (tmp_path / "page.html").write_text(html, encoding="utf-8")

    def opened(*words: str) -> str:
        own = (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
        )
        blind = (
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={tmp_path}/profile",
            "--no-first-run",
        )
        command = [str(BROWSER), *own, *blind, *words, f"file://{tmp_path}/page.html"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return opened


def test_the_browser_builds_the_page_that_was_written_and_runs_nothing(browse: Open, page: Page) -> None:
    shown = read(browse("--dump-dom").replace("<!DOCTYPE html>", "").strip())

    assert shown.all("title")[0].text == page.all("title")[0].text == "run: report"
    assert " ".join(shown.text.split()) == " ".join(page.text.split())
    assert EVIL in shown.text
    assert not shown.all("script")
    assert [one.tag for one in shown.elements].count("td") == [one.tag for one in page.elements].count("td")


@pytest.mark.parametrize(("width", "dark"), [(1300, False), (1300, True), (500, False)])
def test_it_is_drawn_in_light_and_dark_and_fits_its_window(
    browse: Open, tmp_path: Path, width: int, dark: bool
) -> None:
    from PIL import Image

    scheme = (
        ["--blink-settings=preferredColorScheme=0"] if dark else ["--blink-settings=preferredColorScheme=1"]
    )
    browse(f"--window-size={width},1600", f"--screenshot={tmp_path}/shot.png", *scheme)

    with Image.open(tmp_path / "shot.png") as shot:
        pixels = np.asarray(shot.convert("L"), np.float64)
    assert pixels.shape[1] == width
    paper = np.median(pixels)
    assert (paper < 60) == dark
    assert np.ptp(pixels[:, -6:]) < 2  # the margin is empty, so nothing is wider than the window
    assert (np.abs(pixels - paper) > 100).mean() > 0.01
