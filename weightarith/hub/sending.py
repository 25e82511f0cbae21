"""The way out: errors of sending become ours, and bars of the client show on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from weightarith.errors import HubError
from weightarith.hub.failures import explained, harmless, pause_of
from weightarith.hub.session import talking


@dataclass
class Failure:
    """How something failed: `pause` is how long to wait, None where to try again is of no use."""

    pause: float | None = None


@contextmanager
def passing_on() -> Iterator[Failure]:
    """Yield what will hold the pause that the Hub asks for, where it fails in a way that passes."""
    found = Failure()
    try:
        yield found
    except Exception as error:
        found.pause = pause_of(error)
        raise


@contextmanager
def sending(what: str) -> Iterator[None]:
    """Turn every error of sending into ours; bars show the way on a terminal only."""
    with _bars(), talking(what):
        try:
            yield
        except (ValueError, RuntimeError) as error:
            if explained(error, what) is not None:
                raise
            raise HubError(f"{what}: {harmless(str(error))}", hint="run it again") from None


@contextmanager
def _bars() -> Iterator[None]:
    """Silence the client's bars where nobody looks on."""
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    shown = sys.stderr is not None and sys.stderr.isatty()
    if shown or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
