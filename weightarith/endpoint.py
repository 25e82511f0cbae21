"""A client of servers that speak OpenAI's chat completions: questions in, answers out.

The token comes from an environment variable and goes into one header, to the host that was named and nowhere
else: redirects are not followed, it is never sent unencrypted over a network, and no error shows it.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from ipaddress import ip_address
from threading import Event
from typing import IO, Any
from urllib.parse import urlsplit

from weightarith.data import Conversation
from weightarith.errors import HubError, RecipeError, quoted

KEY_VARIABLE = "WEIGHTARITH_API_KEY"
PATH = "/chat/completions"
LARGEST = 16 << 20  # bytes of a reply
PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed."""
LONGEST_WAIT = 60.0  # seconds


@dataclass(frozen=True)
class Reply:
    """What was said."""

    text: str
    ended: bool  # False where it was cut at the limit


@dataclass(frozen=True)
class Endpoint:
    """A model behind a URL.

    Attributes:
        url: up to where `/chat/completions` is added, such as http://localhost:8000/v1.
        model: its name there.
        key_variable: the environment variable that holds the token; where it is not set, none is sent.
        parallel: requests under way at a time.
        timeout: seconds for one request.
        attempts: at one request, where the server is busy or the connection breaks.
        wait: sleeps for so many seconds.
    """

    url: str
    model: str
    key_variable: str = KEY_VARIABLE
    parallel: int = 4
    timeout: float = 300.0
    attempts: int = 5
    wait: Callable[[float], None] = field(default=time.sleep, compare=False)

    def __post_init__(self) -> None:
        """Refuse a URL that is none, or that holds a secret.

        Raises:
            RecipeError: says which of the two.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise RecipeError(
                f"{quoted(self.url.rpartition('@')[2])} is no URL of an endpoint",
                hint="write it like http://localhost:8000/v1",
            )
        if parts.username or parts.password or parts.query or parts.fragment:
            raise RecipeError(
                f"the URL of the endpoint at {quoted(parts.hostname)} holds more than host and path",
                hint=f"put the token into the environment variable {self.key_variable}",
            )

    def answer(
        self, asked: Sequence[Conversation], *, limit: int, temperature: float = 0.0, seed: int = 0,
        progress: Callable[[int], None] = lambda _answered: None,
    ) -> list[Reply]:  # fmt: skip
        """Return an answer to each conversation, of at most `limit` tokens; number i has the seed `seed` + i.

        Whether a server heeds a seed is its own affair.

        Raises:
            HubError: the endpoint refuses, or does not answer; what was under way is abandoned.
        """
        bodies = [
            {
                "model": self.model, "messages": one.messages(), "max_tokens": limit,
                "temperature": temperature, "seed": seed + place,
            }
            for place, one in enumerate(asked)
        ]  # fmt: skip
        stopped = Event()
        with ThreadPoolExecutor(self.parallel) as pool:
            waiting = [pool.submit(self._reply, body, stopped) for body in bodies]
            try:
                for done, one in enumerate(as_completed(waiting), 1):
                    one.result()
                    progress(done)
            except BaseException:
                stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [one.result() for one in waiting]

    def _reply(self, body: Mapping[str, Any], stopped: Event) -> Reply:
        attempt = 0
        while True:
            attempt += 1
            is_last = attempt >= self.attempts or stopped.is_set()
            try:
                return self._parsed(self._posted(body))
            except urllib.error.HTTPError as error:
                with error:
                    if error.code not in PASSING or is_last:
                        raise self._refused(error) from None
                    pause = _asked_for(error.headers.get("Retry-After"))
            except (OSError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", error)
                if is_last or isinstance(reason, ConnectionRefusedError):
                    raise self._silent(reason) from None
                pause = None
            self.wait(min(2.0 ** (attempt - 1) if pause is None else pause, LONGEST_WAIT))

    def _posted(self, body: Mapping[str, Any]) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token := self._token():
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(
            self.url.rstrip("/").removesuffix(PATH) + PATH, json.dumps(body).encode(), headers, method="POST"
        )
        with self._opener().open(request, timeout=self.timeout) as answered:
            content: bytes = answered.read(LARGEST)
            return content

    def _opener(self) -> urllib.request.OpenerDirector:
        direct = [urllib.request.ProxyHandler({})] if self._is_here else []
        return urllib.request.build_opener(_NoRedirects, *direct)

    def _token(self) -> str:
        token = os.environ.get(self.key_variable, "").strip()
        if token and not (token.isascii() and token.isprintable()):
            raise RecipeError(f"the token in {self.key_variable} holds characters that no token has")
        if token and not self._is_here and urlsplit(self.url).scheme != "https":
            raise RecipeError(
                f"the token in {self.key_variable} would go to {quoted(self.url)} unencrypted",
                hint=f"use https, or unset {self.key_variable} if that server wants none",
            )
        return token

    @property
    def _is_here(self) -> bool:
        """Whether the endpoint is on this machine."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    def _parsed(self, content: bytes) -> Reply:
        try:
            choice = json.loads(content)["choices"][0]
            text = choice["message"]["content"] or ""
            ended = choice.get("finish_reason") != "length"
            return Reply(text.strip(), ended)
        except (ValueError, LookupError, TypeError, AttributeError):
            raise HubError(
                f"{quoted(self.url)} sent no chat completion",
                hint="see that the URL is one of an OpenAI-compatible server, up to /v1",
            ) from None

    def _refused(self, error: urllib.error.HTTPError) -> HubError:
        hints = {
            401: f"put a valid token into the environment variable {self.key_variable}",
            403: f"see that the token in {self.key_variable} may use {quoted(self.model)}",
            404: f"see that the URL ends in /v1 or the like, and that {quoted(self.model)} is known there",
        }
        said = "" if error.code in (401, 403) else self._excerpt(error)
        return HubError(
            f"{quoted(self.url)} answered {error.code} {http.client.responses.get(error.code, '')}".rstrip()
            + said,
            hint=hints.get(error.code, "try again later" if error.code in PASSING else ""),
        )

    def _excerpt(self, body: IO[bytes]) -> str:
        """Return the beginning of what a server says in an error, without the token should it repeat it."""
        try:
            text = " ".join(body.read(1 << 16).decode("utf-8", "replace").split())
        except (OSError, http.client.HTTPException):
            return ""
        if token := os.environ.get(self.key_variable, "").strip():
            text = text.replace(token, "…")
        return f": {quoted(text)}" if text else ""

    def _silent(self, reason: object) -> HubError:
        return HubError(
            f"{quoted(self.url)} does not answer: {getattr(reason, 'strerror', None) or reason}",
            hint="see that the server runs and that the URL names it",
        )


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for the error that it is here: it would carry the token to another host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Return nothing: there is no request to follow."""
        return


def _asked_for(retry_after: str | None) -> float | None:
    """Return the seconds a server asks to wait; a date, which it may send too, is no number."""
    try:
        return max(0.0, float(retry_after or ""))
    except ValueError:
        return None
