"""Whatever goes wrong at the Hub is one kind of error, that says what failed and what to try."""

from __future__ import annotations

import errno
from email.utils import formatdate
from json import JSONDecodeError
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, hf_hub_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
)
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

from tests.hubserver import Hub
from weightarith.errors import HubError, InvalidFileError, StorageError, WeightArithError
from weightarith.hub.session import api, online, patiently, talking

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]


def answered(status: int, said: str = "", headers: dict[str, str] | None = None) -> HfHubHTTPError:
    request = httpx.Request("GET", "https://huggingface.co/api/models/org/model")
    response = httpx.Response(status, headers=headers or {}, request=request)
    return HfHubHTTPError("no", response=response, server_message=said or None)


def wrapped(cause: Exception) -> Exception:
    error = RuntimeError("Error while uploading 'x' to the Hub.")
    error.__cause__ = cause
    return error


def raised(error: Exception) -> WeightArithError:
    with pytest.raises(WeightArithError) as caught, talking("reading org/model"):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (answered(401), "the Hub does not know who asks", "hf auth login"),
        (answered(403, "no\nrights"), "the Hub refuses it: 'no rights'", "check the rights"),
        (answered(412), "somebody else has committed to it meanwhile", "look at what changed"),
        (answered(429), "too many requests for the Hub", "wait five minutes"),
        (answered(503, "down"), "the Hub failed (503): 'down'", "in a while"),
        (answered(418, "teapot"), "the Hub answered 418: 'teapot'", ""),
        (wrapped(answered(412)), "somebody else has committed to it meanwhile", "look"),
        (OfflineModeIsEnabled("x"), "HF_HUB_OFFLINE is set, and the Hub is not asked", "unset"),
        (LocalTokenNotFoundError("x"), "not logged in", "hf auth login"),
        (httpx.ConnectError("x"), "cannot connect to 127.0.0.1", "HF_HUB_OFFLINE=1"),
        (httpx.ReadTimeout("x"), "127.0.0.1 does not answer", "check the network"),
        (httpx.RemoteProtocolError("x"), "broke (RemoteProtocolError)", "run it again"),
        (OSError("Consistency check failed: 3 and not 4"), "a file came incomplete", "run it again"),
        (JSONDecodeError("x", "<html>", 0), "127.0.0.1 does not answer as the Hub does", "HF_ENDPOINT"),
        (RuntimeError("CAS error: no such xorb"), "the Hub's storage failed: 'CAS error", "run it again"),
    ],
)
@pytest.mark.usefixtures("hub")
def test_what_failed_is_said_with_what_to_try(error: Exception, message: str, hint: str) -> None:
    found = raised(error)

    assert isinstance(found, HubError)
    assert found.exit_code == 8
    assert found.message.startswith("reading org/model: ")
    assert message in found.message
    assert hint in found.hint


def test_a_cause_that_the_client_wraps_is_found(hub: Hub) -> None:
    error = LocalEntryNotFoundError("An error happened")
    error.__cause__ = httpx.ConnectError("x")

    assert "cannot connect to 127.0.0.1" in raised(error).message
    assert hub.requests == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS])
def test_a_disk_that_says_no_is_an_error_of_storage(number: int) -> None:
    found = raised(OSError(number, "no", "/cache/blob"))

    assert isinstance(found, StorageError)
    assert "at '/cache/blob'" in found.message
    assert "HF_HUB_CACHE=DIR" in found.hint


def test_a_name_that_is_none_is_an_error_of_the_input() -> None:
    assert isinstance(raised(HFValidationError("bad name")), InvalidFileError)


@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyError("x"), OSError(errno.ENOENT, "gone")])
def test_a_mistake_of_ours_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)), talking("reading"):
        raise error


def test_our_own_errors_pass_as_they_are() -> None:
    ours = StorageError("full")

    assert raised(ours) is ours


def test_gated_private_and_missing_repositories_are_told_apart(hub: Hub) -> None:
    hub.add("org/gated", {"a.txt": b"a"}, gated=True)
    hub.add("org/open", {"a.txt": b"a"})
    for repo, revision, file, message in (
        ("org/gated", None, "a.txt", "is gated, and access to it must be asked for"),
        ("org/gone", None, "a.txt", "the Hub knows no such repository, or it is private"),
        ("org/open", "v9", "a.txt", "the repository has no such revision"),
        ("org/open", None, "b.txt", "the repository has no such file"),
    ):
        with pytest.raises(HubError, match=message), talking("reading"):
            hf_hub_download(repo, file, revision=revision)


def test_a_stale_parent_is_told_from_the_real_answer(hub: Hub) -> None:
    parent = hub.add("org/model", {"a.txt": b"a"})
    hub.move("org/model")

    with pytest.raises(HubError, match="somebody else has committed"), talking("pushing"):
        api().create_commit(
            "org/model", [CommitOperationAdd("b.txt", b"b")], commit_message="x", parent_commit=parent
        )  # fmt: skip


def test_a_connection_that_drops_and_a_server_that_is_gone_are_told(hub: Hub) -> None:
    hub.fail(0, "drop")
    with pytest.raises(HubError, match=r"the connection to .* broke"), talking("asking"):
        api().whoami()
    hub.close()
    with pytest.raises(HubError, match="cannot connect to"), talking("asking"):
        api().whoami()


def test_the_client_says_who_it_is_and_follows_the_endpoint(hub: Hub) -> None:
    assert api().whoami()["name"] == "tester"

    assert hub.requests[0].headers["user-agent"].startswith("weightarith/")
    assert api().endpoint == hub.url


def test_offline_is_what_the_environment_says(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert online()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    assert not online()
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"), talking("asking"):
        api().model_info("org/model")
    assert hub.requests == []


@pytest.mark.parametrize("how", ["drop", "cut", "429", "500", "503"])
def test_a_passing_failure_is_asked_again_with_longer_and_longer_pauses(how: str, hub: Hub) -> None:
    pauses: list[float] = []
    hub.fail(0, how, times=3)  # type: ignore[arg-type]

    assert patiently(lambda: api().whoami()["name"], wait=pauses.append) == "tester"
    assert pauses == [1, 2, 4]


def test_a_lasting_failure_is_given_up_and_told(hub: Hub) -> None:
    pauses: list[float] = []
    hub.fail(0, "503", times=99)

    with pytest.raises(HubError, match=r"the Hub failed \(503\)"), talking("asking"):
        patiently(lambda: api().whoami(), attempts=3, wait=pauses.append)
    assert pauses == [1, 2]


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "100000"}, 300),
        ({"Retry-After": formatdate(0, usegmt=True)}, 1),
        ({"Retry-After": "soon"}, 1),
        ({"RateLimit": '"api";r=0;t=55'}, 55),
        ({"RateLimit": '"api";r=3;t=55'}, 1),
    ],
)
def test_a_pause_is_as_long_as_the_server_asks(headers: dict[str, str], pause: float, hub: Hub) -> None:
    pauses: list[float] = []
    hub.fail(0, "429", headers=headers)

    patiently(lambda: api().whoami(), wait=pauses.append)

    assert pauses == [pause]


@pytest.mark.parametrize("error", [answered(404), answered(412), OfflineModeIsEnabled("x"), KeyError("x")])
def test_what_asking_again_cannot_help_is_not_asked_again(error: Exception, tmp_path: Path) -> None:
    def call() -> None:
        (tmp_path / "called").touch(exist_ok=False)
        raise error

    with pytest.raises(type(error)):
        patiently(call, wait=lambda _: None)
