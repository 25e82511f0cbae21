"""Which positions of a forward pass belong to the response, for what steers the response alone.

The response begins where its first token is predicted: at the last token of the prompt. In a pass over
prompts, which are padded on the left, and in each step of generation, that is the last position, the default.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_LAST = -1
_FIRST: ContextVar[int] = ContextVar("first position of the response", default=_LAST)
_STEERED: ContextVar[bool] = ContextVar("whether something steers the response alone", default=False)


def response_start() -> int:
    """Return the first position of the response in the pass under way; negative ones count from the end."""
    return _FIRST.get()


def response_is_steered() -> bool:
    """Return whether something steers the response alone, so that passes must say where it begins."""
    return _STEERED.get()


@contextmanager
def steering_response() -> Iterator[None]:
    """Say that the response alone is steered inside."""
    token = _STEERED.set(True)
    try:
        yield
    finally:
        _STEERED.reset(token)


@contextmanager
def whole_response() -> Iterator[None]:
    """Say that every position of the passes inside belongs to the response."""
    token = _FIRST.set(0)
    try:
        yield
    finally:
        _FIRST.reset(token)
