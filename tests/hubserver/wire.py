"""HTTP on the loopback: a request is hit by a fault or answered, and logged before its answer leaves."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hubserver.faults import Fault
from tests.hubserver.objects import BLOCK

if TYPE_CHECKING:
    from tests.hubserver.server import Hub

NOT_LOGGED = "/api/agent-harnesses"  # the client asks it once a day, whatever a test does


@dataclass(frozen=True)
class Slice:
    """Bytes of a file, to be sent without being read into memory."""

    path: Path
    start: int
    size: int


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    status: int = 200
    body: bytes | Slice = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return self.body.size if isinstance(self.body, Slice) else len(self.body)


def says(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer in JSON."""
    given = {"Content-Type": "application/json", **(headers or {})}
    return Answer(status, json.dumps(content).encode(), given)


def refuses(status: int, message: str, code: str = "") -> Answer:
    """Return an error as the Hub gives it."""
    headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
    return Answer(
        status, json.dumps({"error": message}).encode(), {"Content-Type": "application/json", **headers}
    )


class Body:
    """The body of a request, read once, piece by piece."""

    def __init__(self, handler: Handler) -> None:
        self._file = handler.rfile
        self._chunked = "chunked" in handler.headers.get("Transfer-Encoding", "").lower()
        self._left = int(handler.headers.get("Content-Length") or 0)
        self.received = 0

    def pieces(self) -> Iterator[bytes]:
        while True:
            if self._chunked and not self._left:
                self._left = int(self._file.readline().split(b";")[0], 16)
                if not self._left:
                    self._file.readline()
                    self._chunked = False
                    return
            piece = self._file.read(min(BLOCK, self._left))
            self.received += len(piece)
            self._left -= len(piece)
            if self._chunked and not self._left:
                self._file.readline()
            if not piece:
                return
            yield piece

    def read(self) -> bytes:
        return b"".join(self.pieces())

    def json(self) -> Any:
        return json.loads(self.read() or b"{}")

    def drop_half(self) -> None:
        """Read half of what is to come, so that the other side is in the middle of sending it."""
        if self._left > 1:
            self.received += len(self._file.read(self._left // 2))


@dataclass(frozen=True)
class Call:
    """A request in the hands of the route that answers it."""

    method: str
    parts: tuple[str, ...]  # of the path, unquoted
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: Body


class Route(Protocol):
    """What answers a request."""

    def __call__(self, hub: Hub, call: Call, /) -> Answer:
        """Return the answer."""


class Handler(BaseHTTPRequestHandler):
    """One connection; `hub` is set by the server that makes the class."""

    hub: Hub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.hub.opened(self.connection)

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        self.hub.closed(self.connection)

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError, ValueError):  # the other side went away
            super().handle()

    def serve(self) -> None:
        body = Body(self)
        if self.path.startswith(NOT_LOGGED):
            self._send(refuses(404, "no such page"), 0, whole=True)
            return
        request, fault = self.hub.received(self.command, self.path, self._shown_headers())
        if fault and fault.how == "drop":
            body.drop_half()
            self.hub.log(replace(request, received=body.received))
            self.close_connection = True
            return
        answer = _failing(fault) if fault and fault.how != "cut" else self._answer(body)
        for _ in body.pieces():  # what the route left unread, so that the connection can go on
            pass
        cut = fault is not None and fault.how == "cut"
        sent = 0 if self.command == "HEAD" else answer.size // 2 if cut else answer.size
        self.hub.log(replace(request, received=body.received, sent=sent, status=answer.status))
        self._send(answer, sent, whole=not cut)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = serve  # noqa: N815  # names of the standard library

    def _answer(self, body: Body) -> Answer:
        address = urlsplit(self.path)
        parts = tuple(unquote(part) for part in address.path.strip("/").split("/"))
        query = parse_qs(address.query, keep_blank_values=True)
        headers = {name.lower(): value for name, value in self.headers.items()}
        return self.hub.answer(Call(self.command, parts, query, headers, body))

    def _shown_headers(self) -> dict[str, str]:
        found = {name.lower(): value for name, value in self.headers.items()}
        if "authorization" in found:
            found["authorization"] = re.sub(r" .*", " …", found["authorization"])
        return found

    def _send(self, answer: Answer, sent: int, *, whole: bool) -> None:
        self.close_connection = self.close_connection or not whole
        if not whole and not sent:  # there is nothing to cut but the answer itself
            return
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(answer.size)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD" or not sent:
            return
        if isinstance(answer.body, Slice):
            self.wfile.flush()
            with answer.body.path.open("rb") as file:
                self.connection.sendfile(file, answer.body.start, sent)
        else:
            self.wfile.write(answer.body[:sent])

    def log_message(self, *_: object) -> None:
        pass


def _failing(fault: Fault) -> Answer:
    message = {"429": "too many requests", "500": "internal error", "503": "come back later"}[fault.how]
    answer = refuses(int(fault.how), message)
    return replace(answer, headers={**answer.headers, **fault.headers})
