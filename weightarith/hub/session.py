"""Talking to the Hub: one client, and one kind of error whatever goes wrong.

The token belongs to huggingface_hub, which finds it and sends it; no line here reads it, and what a server
says is shown without anything that looks like one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeVar

from weightarith.errors import WeightArithError
from weightarith.hub.failures import explained, pause_of

if TYPE_CHECKING:
    from huggingface_hub import HfApi

ATTEMPTS = 5
FIRST_PAUSE = 1.0  # seconds; doubles
LONGEST_PAUSE = 300.0  # seconds: the Hub counts requests in windows of five minutes

Result = TypeVar("Result")


def api() -> HfApi:
    """Return a client of the Hub, or of the endpoint that HF_ENDPOINT names."""
    from huggingface_hub import HfApi, constants

    return HfApi(
        endpoint=constants.ENDPOINT, library_name="weightarith", library_version=version("weightarith")
    )


def online() -> bool:
    """Return whether the Hub may be asked at all: HF_HUB_OFFLINE=1 says no."""
    from huggingface_hub import constants

    return not constants.HF_HUB_OFFLINE


@contextmanager
def talking(what: str) -> Iterator[None]:
    """Turn errors of the Hub's client, of HTTP and of Xet into ones that say what failed and what to try.

    `what` begins the message: `reading org/name`.

    Raises:
        HubError: the Hub or the network did not deliver.
        StorageError: the disk is full, or may not be written.
    """
    try:
        yield
    except WeightArithError:
        raise
    except Exception as error:
        known = explained(error, what)
        if known is None:  # a mistake of ours keeps its traceback
            raise
        # Without its cause, which holds the request and so the token.
        raise known from None


def patiently(
    call: Callable[[], Result], *, attempts: int = ATTEMPTS, wait: Callable[[float], None] | None = None
) -> Result:
    """Return what `call` returns; where the Hub is busy or a connection drops, call again after a pause.

    Pauses double from one second, and are as long as the server asks for where it does:
    https://huggingface.co/docs/hub/rate-limits. The last error is passed on as it is.
    """
    pause = FIRST_PAUSE
    for _ in range(attempts - 1):
        try:
            return call()
        except Exception as error:
            asked = pause_of(error)
            if asked is None:
                raise
            (wait or time.sleep)(min(max(asked, pause), LONGEST_PAUSE))
            pause *= 2
    return call()
