"""The Xet storage that the client carries in itself, in a folder, and the routes that lead it there."""

from __future__ import annotations

import hashlib
import struct
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.hubserver.access import readable, writable
from tests.hubserver.wire import Answer, Call, refuses, says

if TYPE_CHECKING:
    from tests.hubserver.server import Hub

ACCESS = "no-secret"
VALID = 3600  # seconds

HEADER = RECORD = 48  # bytes
END = b"\xff" * 32
VERIFIED, WITH_SHA256 = 1 << 31, 1 << 30


class Cas:
    """A folder of chunks, written and read by the client's own code: `local://` is a scheme it has for tests.

    Nobody tells a server which Xet hash a content has; the client writes it, beside the sha256, into shards.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"local://{folder}"
        folder.mkdir(parents=True, exist_ok=True)
        self._known: dict[str, tuple[str, int]] = {}  # Xet hash and size by sha256
        self._read: set[Path] = set()
        self._session: Any = None
        self._lock = threading.RLock()

    def add(self, path: Path, sha256: str) -> None:
        """Store a file."""
        with self._lock:
            if self._find(sha256):
                return
            with self._talking().new_upload_commit(**self._access()) as commit:
                commit.start_upload_file(str(path), sha256=sha256)

    def hash_of(self, sha256: str) -> str | None:
        """Return the Xet hash of a content that is here."""
        found = self._find(sha256)
        return found[0] if found else None

    def size_of(self, sha256: str) -> int:
        """Return the size of a content that is here, in bytes."""
        return (self._find(sha256) or ("", 0))[1]

    def take_out(self, sha256: str, path: Path) -> None:
        """Write a content that is here to a file."""
        from hf_xet import XetFileInfo  # type: ignore[import-untyped]

        with self._lock:
            hashed, size = self._find(sha256) or ("", 0)
            with self._talking().new_file_download_group(**self._access()) as group:
                group.start_download_file(XetFileInfo(hashed, size), str(path))

    def _find(self, sha256: str) -> tuple[str, int] | None:
        with self._lock:
            if sha256 not in self._known:
                for path in set(self.folder.rglob("shards/*.mdb")) - self._read:
                    self._known |= contents(path.read_bytes())
                    self._read.add(path)
            return self._known.get(sha256)

    def _talking(self) -> Any:
        from hf_xet import XetSession

        self._session = self._session or XetSession()
        return self._session

    def _access(self) -> dict[str, Any]:
        return {"endpoint": self.address, "token": ACCESS, "token_expiry_unix_secs": int(time.time()) + VALID}


def contents(shard: bytes) -> dict[str, tuple[str, int]]:
    """Return the Xet hash and the size of each file of a shard, by sha256.

    https://huggingface.co/docs/xet/shard
    """
    found, at = {}, HEADER
    while shard[at : at + 32] != END:
        flags, count = struct.unpack_from("<II", shard, at + 32)
        hashed, at = _hash(shard, at), at + RECORD
        size = sum(struct.unpack_from("<I", shard, at + RECORD * i + 36)[0] for i in range(count))
        at += RECORD * count * (2 if flags & VERIFIED else 1)
        if flags & WITH_SHA256:
            found[_hash(shard, at)] = (hashed, size)
            at += RECORD
    return found


def _hash(data: bytes, at: int) -> str:
    return "".join(f"{word:016x}" for word in struct.unpack_from("<4Q", data, at))


def trouble() -> str:
    """Return why this does not work with the client that is installed; nothing where it does."""
    content = b"a few bytes"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "in").write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        try:
            cas = Cas(folder / "cas")
            cas.add(folder / "in", sha256)
            cas.take_out(sha256, folder / "out")
            same = (folder / "out").read_bytes() == content
        except Exception as error:  # whatever an undocumented scheme may do in another version
            return f"the local storage of hf_xet does not work: {error!r}"
    return "" if same else "the local storage of hf_xet gives back other bytes"


def read_token(hub: Hub, call: Call, repo: str, _revision: str) -> Answer:
    readable(hub, call, repo, content=True)
    return _token(hub)


def write_token(hub: Hub, call: Call, repo: str, _revision: str) -> Answer:
    if "create_pr" in call.query:
        readable(hub, call, repo)
    else:
        writable(hub, call, repo)
    return _token(hub)


def _token(hub: Hub) -> Answer:
    if hub.cas is None:
        return refuses(404, "Sorry, we can't find the page you are looking for.")
    until = int(time.time()) + VALID
    address = hub.cas.address
    headers = {
        "X-Xet-Cas-Url": address, "X-Xet-Access-Token": ACCESS, "X-Xet-Token-Expiration": str(until),
    }  # fmt: skip
    return says({"casUrl": address, "accessToken": ACCESS, "exp": until}, headers=headers)
