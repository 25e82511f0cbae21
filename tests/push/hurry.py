"""No pauses: what waits for the Hub between attempts goes on at once."""

from __future__ import annotations

import pytest

from weightarith.hub import session, upload


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing wait between attempts."""
    monkeypatch.setitem(session.patiently.__kwdefaults__ or {}, "wait", lambda _seconds: None)
    monkeypatch.setattr(upload, "wait", lambda _seconds: None)
