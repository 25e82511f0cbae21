"""A server on the loopback that speaks chat completions, or whatever a test makes it say."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Response:
    """What is sent back."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """What came in."""

    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Served:
    """Where a server is, and what it was asked."""

    url: str
    requests: list[Request]


def completion(text: str | None, *, reason: str = "stop") -> Response:
    """Return a chat completion."""
    message = {"role": "assistant", "content": text}
    return Response(json.dumps({"choices": [{"message": message, "finish_reason": reason}]}).encode())


@contextmanager
def serving(reply: Callable[[Request, int], Response]) -> Iterator[Served]:
    """Serve on a free port; `reply` is given each request and its number, from 0."""
    found: list[Request] = []
    counted = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.path, dict(self.headers.items()), json.loads(content))
            with counted:
                number = len(found)
                found.append(request)
            sent = reply(request, number)
            self.send_response(sent.status)
            for name, value in {"Content-Length": str(len(sent.body)), **sent.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent.body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Served(f"http://127.0.0.1:{server.server_port}/v1", found)
        finally:
            server.shutdown()
            thread.join()
