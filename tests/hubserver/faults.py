"""Faults on demand: which request fails, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

How = Literal["drop", "cut", "429", "500", "503"]


@dataclass(frozen=True)
class Request:
    """One request, as the log keeps it."""

    index: int  # from 0, in the order of arrival
    method: str
    path: str  # with the query
    headers: Mapping[str, str]  # names in lower case; the token is left out of `authorization`
    received: int = 0  # bytes of the body that came
    sent: int = 0  # bytes of the body that went
    status: int = 0  # 0: closed without an answer


@dataclass
class Fault:
    """What is to go wrong, and how often still."""

    at: int | Callable[[Request], bool]
    how: How
    times: int
    headers: Mapping[str, str] = field(default_factory=dict)

    def strikes(self, request: Request) -> bool:
        """Return whether this request is hit, and count it."""
        hit = request.index >= self.at if isinstance(self.at, int) else self.at(request)
        if not hit or self.times <= 0:
            return False
        self.times -= 1
        return True
