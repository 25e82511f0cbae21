"""The client of chat completions: what it sends, what it makes of a reply, where the token never goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.serving import Request, Response, completion, serving
from weightarith.data import Conversation
from weightarith.endpoint import Endpoint
from weightarith.errors import HubError, RecipeError

SECRET = "sk-very-secret"
ASKED = [Conversation.of(f"question {number}", "be brief") for number in range(7)]

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHTARITH_API_KEY", SECRET)
    monkeypatch.setenv("http_proxy", "http://203.0.113.1:9")  # nothing on this machine is asked through it


def echo(request: Request, _number: int) -> Response:
    return completion(f" said: {request.body['messages'][-1]['content']} ")


def patient(url: str, waited: list[float] | None = None, **others: object) -> Endpoint:
    pauses = waited if waited is not None else []
    return Endpoint(url, "some-model", wait=pauses.append, **others)  # type: ignore[arg-type]


def failing(times: int, response: Response) -> Callable[[Request, int], Response]:
    return lambda request, number: response if number < times else echo(request, number)


def test_answers_come_in_the_order_of_the_questions_and_are_stripped() -> None:
    counts: list[int] = []
    with serving(echo) as served:
        found = patient(served.url).answer(ASKED, limit=20, progress=counts.append)

    assert [one.text for one in found] == [f"said: question {number}" for number in range(7)]
    assert all(one.ended for one in found)
    assert counts == [1, 2, 3, 4, 5, 6, 7]


def test_a_request_says_model_messages_limit_temperature_and_a_seed_of_its_own() -> None:
    with serving(echo) as served:
        patient(served.url + "/", parallel=1).answer(ASKED[:2], limit=20, temperature=0.7, seed=5)

    first, second = served.requests
    assert first.path == "/v1/chat/completions"
    assert first.headers["Authorization"] == f"Bearer {SECRET}"
    assert first.body == {
        "model": "some-model", "messages": ASKED[0].messages(), "max_tokens": 20, "temperature": 0.7,
        "seed": 5,
    }  # fmt: skip
    assert second.body["seed"] == 6


def test_without_a_token_none_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEIGHTARITH_API_KEY")
    with serving(echo) as served:
        patient(served.url).answer(ASKED[:1], limit=20)

    assert "Authorization" not in served.requests[0].headers


def test_an_answer_cut_at_the_limit_says_so_and_no_content_is_an_empty_answer() -> None:
    with serving(lambda _request, _number: completion("and then", reason="length")) as served:
        assert not patient(served.url).answer(ASKED[:1], limit=2)[0].ended
    with serving(lambda _request, _number: completion(None)) as served:
        assert patient(served.url).answer(ASKED[:1], limit=2)[0].text == ""


def test_a_busy_server_is_asked_again_after_as_long_as_it_wants() -> None:
    waited: list[float] = []
    with serving(failing(1, Response(b"", 429, {"Retry-After": "7"}))) as served:
        found = patient(served.url, waited, parallel=1).answer(ASKED[:1], limit=2)

    assert found[0].text == "said: question 0"
    assert waited == [7]


def test_a_server_that_stays_busy_is_given_up_after_waits_that_double() -> None:
    waited: list[float] = []
    with serving(failing(99, Response(b"", 503))) as served, pytest.raises(HubError, match="503") as caught:
        patient(served.url, waited, parallel=1).answer(ASKED[:1], limit=2)

    assert waited == [1, 2, 4, 8]
    assert caught.value.hint == "try again later"


@pytest.mark.parametrize(
    ("status", "said", "hint"),
    [
        (401, "401 Unauthorized", "WEIGHTARITH_API_KEY"),
        (404, "404 Not Found", "'some-model' is known there"),
        (400, "400 Bad Request: 'max_tokens is too large for …'", ""),
    ],
)
def test_a_refusal_is_an_error_at_once_that_says_why_and_never_shows_the_token(
    status: int, said: str, hint: str
) -> None:
    response = Response(f"max_tokens is too\n large for {SECRET}".encode(), status)
    with serving(failing(99, response)) as served, pytest.raises(HubError) as caught:
        patient(served.url, parallel=1).answer(ASKED[:1], limit=2)

    assert said in caught.value.message
    assert hint in caught.value.hint
    assert len(served.requests) == 1
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b'{"choices": []}', b'{"choices": [{"message": {"content": 3}}]}', b"\xff"]
)
def test_a_reply_that_is_no_completion_is_an_error_that_says_so(body: bytes) -> None:
    said = "sent no chat completion"
    with serving(lambda *_: Response(body)) as served, pytest.raises(HubError, match=said):
        patient(served.url).answer(ASKED[:1], limit=2)


def test_the_token_does_not_follow_a_redirect() -> None:
    with serving(echo) as other:
        moved = Response(b"", 307, {"Location": f"{other.url}/chat/completions"})
        with serving(lambda *_: moved) as served, pytest.raises(HubError, match="307 Temporary Redirect"):
            patient(served.url).answer(ASKED[:1], limit=2)

    assert other.requests == []


def test_a_server_that_is_not_there_is_an_error_at_once() -> None:
    with serving(echo) as served:
        pass
    waited: list[float] = []
    with pytest.raises(HubError, match="does not answer: Connection refused") as caught:
        patient(served.url, waited).answer(ASKED[:1], limit=2)

    assert waited == []
    assert "see that the server runs" in caught.value.hint


def test_a_token_is_never_sent_unencrypted_over_a_network() -> None:
    with pytest.raises(RecipeError, match="unencrypted") as caught:
        patient("http://example.org/v1").answer(ASKED[:1], limit=2)

    assert SECRET not in str(caught.value)
    assert caught.value.hint == "use https, or unset WEIGHTARITH_API_KEY if that server wants none"


def test_a_token_that_no_header_can_hold_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHTARITH_API_KEY", "sk-very\nsecret")
    with serving(echo) as served, pytest.raises(RecipeError, match="characters that no token has") as caught:
        patient(served.url).answer(ASKED[:1], limit=2)

    assert "secret" not in str(caught.value)
    assert served.requests == []


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host/v1", "", "https://", "user:pw@host"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(RecipeError, match="is no URL of an endpoint") as caught:
        Endpoint(url, "some-model")

    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://me:pw@host/v1", "https://host/v1?key=pw", "https://host/v1#pw"])
def test_a_secret_in_the_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(RecipeError, match="holds more than host and path") as caught:
        Endpoint(url, "some-model")

    assert "pw" not in str(caught.value)
