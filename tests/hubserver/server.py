"""A Hub on the loopback, to test against with the real client: models only, standard library only.

What it answers is what huggingface_hub 2.4 asks: https://huggingface.co/docs/hub/api and the client's source.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.hubserver.access import RefusedError, missing
from tests.hubserver.faults import Fault, How, Request
from tests.hubserver.objects import Blob, Objects, large, small
from tests.hubserver.repository import Commit, MissingError, Repository, is_large
from tests.hubserver.routes import route
from tests.hubserver.wire import Answer, Call, Handler
from tests.hubserver.xet import Cas

TOKEN = "hf_canaryCANARYcanary0123456789abcdef"  # what must never be seen anywhere but on the wire
SAMPLE = 512  # bytes that the Hub looks at to tell a text


class Hub:
    """The server: a context manager, and all that a test asks or tells it.

    `cdn`: large files are redirected to another port, as they are to another host by the real one.
    `page`: entries on one page of a listing. `part_size`: LFS files above it come in parts.
    `foreign`: namespaces in which whoever is logged in has no rights.
    """

    token = TOKEN

    def __init__(self, folder: Path, *, xet: bool = False) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.objects = Objects(folder / "objects")
        self.cas = Cas(folder / "cas") if xet else None
        self.repositories: dict[str, Repository] = {}
        self.collections: dict[str, list[tuple[str, str]]] = {}  # kinds and names, by owner/title-id
        self.parts: dict[tuple[str, str, int], str] = {}
        self.requests: list[Request] = []
        self.lock = threading.RLock()
        self.cdn = False
        self.page = 1000
        self.part_size = 0
        self.foreign: set[str] = set()
        self.url = self.cdn_url = ""
        self._faults: list[Fault] = []
        self._connections: set[socket.socket] = set()
        self._servers: list[ThreadingHTTPServer] = []

    def __enter__(self) -> Self:
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "token").write_text(self.token, encoding="utf-8")
        (self.home / "token").chmod(0o600)
        handler = type("BoundHandler", (Handler,), {"hub": self})
        for _ in range(2):
            server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
            server.daemon_threads = True
            self._servers.append(server)
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self.url, self.cdn_url = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving, and close what is open; this may be said twice."""
        for server in self._servers:
            server.shutdown()
        with self.lock:
            left = list(self._connections)
        for connection in left:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # it is closed already
                continue
        for server in self._servers:
            server.server_close()

    def environment(self) -> dict[str, str]:
        """Return the environment for a program that is to talk to this server, logged in by a file."""
        kept = {name: value for name, value in os.environ.items() if name not in ("HF_TOKEN", "HF_HUB_CACHE")}
        return kept | {
            "HF_ENDPOINT": self.url, "HF_HOME": str(self.home), "HF_HUB_OFFLINE": "0",
            "TRANSFORMERS_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1",
            "HF_HUB_DISABLE_XET": "0" if self.cas else "1", "HF_XET_CACHE": str(self.home / "xet"),
            "HF_XET_CLIENT_RETRY_BASE_DELAY": "1ms",
        }  # fmt: skip

    # What a test asks and tells.

    def add(
        self, repo: str, files: Mapping[str, bytes] | Path, *, private: bool = False, gated: bool = False,
        message: str = "Add files",
    ) -> str:  # fmt: skip
        """Commit files, or all of a folder, to the main branch of a repository, made where there is none."""
        paths = {} if not isinstance(files, Path) else {
            path.relative_to(files).as_posix(): path for path in sorted(files.rglob("*")) if path.is_file()
        }  # fmt: skip
        contents = {} if isinstance(files, Path) else files
        with self.lock:
            made = self.repositories.setdefault(repo, Repository(repo, private=private, gated=gated))
            changes: dict[str, Blob | None] = {
                path: self.stored(data, path) for path, data in contents.items()
            }
            changes |= {path: self._linked(file, path) for path, file in paths.items()}
            made.uploaded |= {blob.sha256 for blob in changes.values() if blob and blob.lfs}
            return made.commit("refs/heads/main", changes, message, made.refs.get("refs/heads/main"))

    def move(self, repo: str) -> str:
        """Add a commit by somebody else to the main branch, and return it."""
        with self.lock:
            count = len(self.repositories[repo].trees)
            return self.add(repo, {"SOMEBODY.md": f"was here {count}\n".encode()}, message="By somebody else")

    def grant(self, repo: str) -> None:
        """Let whoever is logged in read a gated repository."""
        self.repositories[repo].granted = True

    def merge(self, repo: str, number: int) -> None:
        """Move the main branch to where a pull request is."""
        with self.lock:
            refs = self.repositories[repo].refs
            refs["refs/heads/main"] = refs[f"refs/pr/{number}"]

    def files(self, repo: str, revision: str = "main") -> dict[str, bytes]:
        """Return all files at a revision."""
        found = self.repositories[repo]
        return {path: self.content(blob) for path, blob in found.trees[found.resolve(revision)].items()}

    def commits(self, repo: str, revision: str = "main") -> list[Commit]:
        """Return the commits up to a revision, newest first."""
        return self.repositories[repo].history(revision)

    def refs(self, repo: str) -> dict[str, str]:
        """Return the commits that branches, tags and pull requests stand for, by their full names."""
        return dict(self.repositories[repo].refs)

    def fail(
        self, at: int | Callable[[Request], bool], how: How, times: int = 1,
        headers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Let requests fail: `times` of those from index `at` on, or of those that `at` says yes to.

        drop: half of what comes is read, nothing is done, and the connection is closed without an answer.
        cut: the request is acted on, and the connection closed in the middle of the answer's body.
        """
        with self.lock:
            self._faults.append(Fault(at, how, times, headers or {}))

    def heal(self) -> None:
        """Let nothing fail any more."""
        with self.lock:
            self._faults.clear()

    # What routes and connections ask and tell.

    def received(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[Request, Fault | None]:
        with self.lock:
            request = Request(len(self.requests), method, path, headers)
            self.requests.append(request)
            return request, next((fault for fault in self._faults if fault.strikes(request)), None)

    def log(self, request: Request) -> None:
        with self.lock:
            if request.index < len(self.requests):  # else a test has cleared the log meanwhile
                self.requests[request.index] = request

    def opened(self, connection: socket.socket) -> None:
        with self.lock:
            self._connections.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self.lock:
            self._connections.discard(connection)

    def answer(self, call: Call) -> Answer:
        """Return what the route says, or the Hub's way to say that it is not there or not allowed."""
        try:
            return route(self, call)
        except MissingError as error:
            return missing(error)
        except RefusedError as error:
            return error.answer

    def stored(self, content: bytes, path: str = "") -> Blob:
        """Store a file, outside git if the Hub would."""
        sha256, size = self.objects.write([content])
        if not is_large(path, size, content[:SAMPLE]):
            return small(content)
        if self.cas:
            self.cas.add(self.objects.path(sha256), sha256)
        return large(sha256, size)

    def _linked(self, file: Path, path: str) -> Blob:
        with file.open("rb") as opened:
            sample = opened.read(SAMPLE)
        if not is_large(path, file.stat().st_size, sample):
            return self.stored(file.read_bytes(), path)
        sha256, size = self.objects.link(file)
        if self.cas:
            self.cas.add(self.objects.path(sha256), sha256)
        return large(sha256, size)

    def uploaded(self, repo: Repository, sha256: str) -> Blob:
        """Return the large file that a commit names, which must have come before."""
        if self.cas and self.cas.hash_of(sha256):
            return large(sha256, self.cas.size_of(sha256))
        if sha256 not in repo.uploaded:
            raise KeyError(sha256)
        return large(sha256, self.objects.path(sha256).stat().st_size)

    def path_of(self, sha256: str) -> Path:
        """Return where a content lies as a plain file; what is in the CAS only is taken out of it first."""
        path = self.objects.path(sha256)
        if self.cas and not path.exists():
            self.cas.take_out(sha256, path)
        return path

    def content(self, blob: Blob) -> bytes:
        return self.path_of(blob.sha256).read_bytes()
