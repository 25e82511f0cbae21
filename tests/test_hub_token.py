"""The token is seen on the wire and nowhere else: in no message, log, representation, traceback or file."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hubserver import TOKEN, Hub
from tests.hubserver.canary import files_with_token, shows_token
from weightarith.errors import WeightArithError
from weightarith.hub import Address, locate
from weightarith.hub.failures import explained, harmless
from weightarith.hub.listing import listing
from weightarith.hub.session import api, talking

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]

SOUGHT = TOKEN.encode()


def gated(hub: Hub) -> None:
    hub.repositories["org/model"].gated = True


def fails(how: str) -> Callable[[Hub], None]:
    return lambda hub: hub.fail(0, how, times=999)  # type: ignore[arg-type]


def tells(hub: Hub) -> None:
    hub.fail(0, "500", times=999, headers={"X-Error-Message": f"bad token {TOKEN} of bearer {TOKEN}"})


CASES: dict[str, Callable[[Hub], None]] = {
    "fine": lambda _: None, "gated": gated, "gone": lambda hub: hub.close(), "a server that tells": tells,
    "missing": lambda hub: hub.repositories.clear(), "drop": fails("drop"), "cut": fails("cut"),
    "429": fails("429"), "503": fails("503"),
}  # fmt: skip


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=[pytest.mark.told_token] if case == "a server that tells" else [])
        for case in CASES
    ],
)
def test_a_download_shows_the_token_nowhere(
    case: str, any_hub: Hub, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    any_hub.add("org/model", {"model.safetensors": b"x" * 999, "config.json": b"{}"}, private=True)
    CASES[case](any_hub)
    shown = ""
    try:
        shown = str(locate("org/model"))
    except WeightArithError as error:
        shown = "".join([*traceback.format_exception(error), repr(error), str(vars(error))])

    assert shown
    log = "" if case == "a server that tells" else caplog.text  # HTTP's own log has all that a server says
    assert TOKEN not in shown + "".join(capfd.readouterr()) + log + repr(any_hub.requests)
    sent = any_hub.requests[0].headers["authorization"] if any_hub.requests else "Bearer …"
    assert sent == "Bearer …"  # it went, and only the wire knows what it was
    left = {path for path in any_hub.home.rglob("*") if path.is_file() and SOUGHT in path.read_bytes()}
    assert left == {any_hub.home / "token"}


def test_what_is_made_of_an_answer_holds_no_token(any_hub: Hub) -> None:
    any_hub.add("org/model", {"model.safetensors": b"x" * 999}, private=True)

    found = listing(Address("org/model"))

    assert TOKEN not in repr(found)
    assert TOKEN not in repr(vars(api()))


def test_a_password_in_the_address_of_the_hub_is_not_shown(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    port = hub.url.rpartition(":")[2]
    hub.close()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://me:{TOKEN}@127.0.0.1:{port}")

    with pytest.raises(WeightArithError, match="cannot connect to 127") as caught, talking("asking"):
        api().whoami()
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    "text", [f"no {TOKEN} here", f"Authorization: Bearer {TOKEN}", f"http://user:{TOKEN}@host/x", TOKEN]
)
def test_what_a_server_says_is_cleaned(text: str) -> None:
    assert TOKEN not in harmless(text)
    assert "…" in harmless(text)


def test_an_error_of_the_disk_that_names_the_token_is_cleaned(tmp_path: Path) -> None:
    found = explained(RuntimeError(f"CAS refused {TOKEN} at {tmp_path}"), "reading")

    assert found is not None
    assert TOKEN not in str(found)


def test_what_a_test_shows_or_leaves_is_searched_for_the_token(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "token").write_text(TOKEN)
    (tmp_path / "card.md").write_text(f"by {TOKEN}")
    report = pytest.TestReport(
        "test", ("test.py", 1, "test"), {}, "passed", None, "call", [("Captured log call", f"sent {TOKEN}")]
    )

    assert list(files_with_token(tmp_path, tmp_path / "home")) == [tmp_path / "card.md"]
    assert shows_token(report) == "Captured log call"
    (tmp_path / "card.md").unlink()  # else the same search, run after every test, would fail this one
