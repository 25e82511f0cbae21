"""Parts of files of a repository, by ranged requests: not a byte more than is asked for, nothing on the disk.

Every answer is held against what was asked and against the listing; what does not fit is an error, what
breaks off goes on where it broke off.

https://www.rfc-editor.org/rfc/rfc9110#name-range-requests
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from weightarith.errors import HubError
from weightarith.hub.address import Address
from weightarith.hub.listing import Entry, Listing
from weightarith.hub.session import patiently, talking

if TYPE_CHECKING:
    from types import ModuleType

HEAD = 100_000
"""First bytes that are fetched of every file: most headers are shorter, and so is one request enough."""

LARGEST_ERROR = 1 << 20  # bytes of an answer that only says what went wrong
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(frozen=True)
class Remote:
    """One file of a repository at a commit, where nothing changes any more; `head` is here already."""

    repo: str
    commit: str
    entry: Entry
    head: bytes = field(default=b"", repr=False, compare=False)

    def __str__(self) -> str:
        return str(Address(self.repo, self.commit, self.entry.path))

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.entry.size

    @property
    def content(self) -> str:
        """What tells its bytes from those of other files: equal for files that are known to be equal."""
        return self.entry.sha256 or f"git:{self.entry.git_oid}"


def remote(held: Listing, path: str) -> Remote:
    """Return a file of a listing."""
    return Remote(held.address.repo, held.commit, held.files[path])


def with_head(file: Remote) -> Remote:
    """Return a file with its first bytes, all of them where it is small; one request.

    Raises:
        HubError: they could not be fetched.
    """
    head = bytearray(min(file.size, HEAD))
    if head:
        fetch(file, 0, memoryview(head))
    return replace(file, head=bytes(head))


def read(file: Remote, start: int, view: memoryview) -> None:
    """Fill `view` with the bytes of a file from `start` on; those of its head are not fetched again.

    Raises:
        HubError: they could not be fetched.
    """
    here = file.head[start : start + len(view)]
    view[: len(here)] = here
    if len(here) < len(view):
        fetch(file, start + len(here), view[len(here) :])


def fetch(file: Remote, start: int, view: memoryview, *, goes_on: Callable[[], bool] = lambda: True) -> None:
    """Fill `view` with the bytes of a file from `start` on.

    Args:
        file: where they lie.
        start: in bytes; all of `view` must lie inside the file.
        view: of bytes.
        goes_on: asked after every piece; it ends early, without an error, once that says no.

    Raises:
        HubError: the Hub does not deliver them, not for all the asking, or delivers something else.
    """
    done = 0

    def go_on() -> None:
        nonlocal done
        if done == len(view):
            return
        with _asked(file, start + done, start + len(view)) as response:
            for piece in response.iter_raw():
                if len(piece) > len(view) - done:
                    raise _unexpected(file, "more bytes than were asked for")
                view[done : done + len(piece)] = piece
                done += len(piece)
                if not goes_on():
                    return
        if done < len(view):  # the length it promised was its own and not ours
            raise _http().ReadError("the answer is too short")

    with talking(f"reading {file}"):
        patiently(go_on)


@contextmanager
def _asked(file: Remote, start: int, stop: int) -> Iterator[Any]:
    """Yield the answer to a request for bytes `start` to `stop`, held against both, its body still to come.

    The client leaves the token out where a request is led to another host.
    """
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        get_session,
        hf_raise_for_status,
    )

    url = hf_hub_url(file.repo, file.entry.path, revision=file.commit, endpoint=constants.ENDPOINT)
    headers = build_hf_headers(library_name="weightarith", library_version=version("weightarith"))
    headers |= {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
    with get_session().stream(
        "GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT, follow_redirects=True
    ) as response:
        if response.status_code >= 400:
            if int(response.headers.get("Content-Length") or 0) <= LARGEST_ERROR:
                response.read()
            hf_raise_for_status(response)
        _expect_file(file, response)
        _expect_range(file, response, start, stop)
        yield response


def _expect_file(file: Remote, response: Any) -> None:
    """Refuse an answer of another commit or content. Redirects say that, and not where they lead."""
    for step in (*response.history, response):
        commit = step.headers.get("X-Repo-Commit", file.commit)
        if commit != file.commit:
            raise _unexpected(file, f"commit {commit[:40]}")
        tag = step.headers.get("X-Linked-Etag", "").removeprefix("W/").strip('"')
        if tag and file.entry.sha256 and tag != file.entry.sha256:
            raise _unexpected(file, f"a file of SHA-256 {tag[:64]}")


def _expect_range(file: Remote, response: Any, start: int, stop: int) -> None:
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise _unexpected(file, f"bytes encoded as {encoding[:20]}")
    said = response.headers.get("Content-Range", "")
    if response.status_code != 206:
        if response.status_code == 200 and (start, stop) == (0, file.size):
            return
        raise HubError(
            f"reading {file}: the server does not send parts of files",
            hint="run it without --stream, which downloads the whole",
        )
    found = _RANGE.fullmatch(said.strip())
    if found is None or tuple(map(int, found.groups())) != (start, stop - 1, file.size):
        raise _unexpected(file, f"range {said[:60] or 'none'} for bytes {start}-{stop - 1} of {file.size}")


def _unexpected(file: Remote, what: str) -> HubError:
    return HubError(
        f"reading {file}: the server answers with {what}",
        hint="check HF_ENDPOINT and the proxy, or run again",
    )


def _http() -> ModuleType:
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # 1 and 2 differ

    found: ModuleType = httpx
    return found
