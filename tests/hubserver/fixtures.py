"""Fixtures: a Hub of each kind, and this process as its client: logged in, online, with an empty cache."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.hubserver import xet
from tests.hubserver.canary import files_with_token
from tests.hubserver.server import Hub
from weightarith.hub import session

PAUSE = 0.001  # seconds that the client waits before it asks again, instead of up to eight


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Return a Hub to which large files come by Git LFS."""
    with serving(tmp_path / "hub", monkeypatch, by_xet=False) as served:
        yield served


@pytest.fixture
def xet_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Return a Hub to which large files come by Xet; the test is skipped where that cannot be done."""
    _needs_xet()
    with serving(tmp_path / "hub", monkeypatch, by_xet=True) as served:
        yield served


@pytest.fixture(params=["lfs", "xet"])
def any_hub(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Return a Hub of each kind."""
    if request.param == "xet":
        _needs_xet()
    with serving(tmp_path / "hub", monkeypatch, by_xet=request.param == "xet") as served:
        yield served


@cache
def _trouble() -> str:
    return xet.trouble()


def _needs_xet() -> None:
    if why := _trouble():
        pytest.skip(why)


@contextmanager
def serving(folder: Path, monkeypatch: pytest.MonkeyPatch, *, by_xet: bool) -> Iterator[Hub]:
    """Serve, with this process as the client, logged in by a file in a home of its own."""
    from huggingface_hub import close_session
    from huggingface_hub.utils import _xet

    with Hub(folder, xet=by_xet) as served:
        point(served, monkeypatch)
        close_session()
        try:
            yield served
        finally:
            close_session()
            _xet.XET_CONNECTION_INFO_CACHE.clear()
            if by_xet:
                _xet.abort_xet_session()  # type: ignore[no-untyped-call]
        found = [*files_with_token(folder.parent, served.home)]
        assert not found, f"the token has got into {found}"


def point(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the client of this process talk to `hub`, from an empty cache; afterwards all is as before."""
    from huggingface_hub import constants, file_download
    from huggingface_hub.utils import _http

    home = hub.home
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_XET_CACHE", str(home / "xet"))
    monkeypatch.setenv("HF_XET_CLIENT_RETRY_BASE_DELAY", "1ms")
    settings = {
        "ENDPOINT": hub.url, "HF_HUB_OFFLINE": False, "HF_HOME": str(home), "HF_HUB_CACHE": str(home / "hub"),
        "HF_TOKEN_PATH": str(home / "token"), "HF_STORED_TOKENS_PATH": str(home / "stored_tokens"),
        "HF_XET_CACHE": str(home / "xet"), "HF_HUB_DISABLE_XET": hub.cas is None,
        "HF_HUB_DISABLE_TELEMETRY": True, "HF_HUB_DISABLE_IMPLICIT_TOKEN": False,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
    }  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setattr(constants, name, value)
    clock = SimpleNamespace(**vars(time) | {"sleep": lambda _: time.sleep(PAUSE)})
    for module in (_http, file_download, session):
        monkeypatch.setattr(module, "time", clock)
