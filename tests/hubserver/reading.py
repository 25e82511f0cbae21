"""Routes that only read: what there is, at which commit, and the bytes of it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlencode

import yaml

from tests.hubserver.access import logged_in, readable, writable
from tests.hubserver.objects import Blob, pointer
from tests.hubserver.repository import MissingError, Repository
from tests.hubserver.wire import Answer, Call, Slice, refuses, says

if TYPE_CHECKING:
    from tests.hubserver.server import Hub

WHEN = "2026-01-01T00:00:00.000Z"


def front_matter(text: str) -> dict[str, Any]:
    """Return what a card says between its two lines of dashes."""
    found = re.match(r"---\r?\n(.*?)\r?\n---\s*(\n|$)", text, re.DOTALL)
    loaded = yaml.safe_load(found[1]) if found else None
    return loaded if isinstance(loaded, dict) else {}


def info(hub: Hub, call: Call, repo: str, revision: str = "main") -> Answer:
    found = readable(hub, call, repo)
    oid = found.resolve(revision)
    tree = found.trees[oid]
    card = front_matter(hub.content(tree["README.md"]).decode()) if "README.md" in tree else {}
    files = [
        {"rfilename": path, **(_sizes(tree[path]) if "blobs" in call.query else {})} for path in sorted(tree)
    ]
    said = {
        "_id": "0" * 24, "id": repo, "modelId": repo, "sha": oid, "private": found.private,
        "gated": "manual" if found.gated else False, "disabled": False, "downloads": 0, "likes": 0,
        "tags": list(card.get("tags") or []), "createdAt": WHEN, "lastModified": WHEN,
        "siblings": files, "author": repo.partition("/")[0],
    }  # fmt: skip
    if card:
        said |= {"cardData": card}
    return says(said)


def collection(hub: Hub, call: Call, slug: str) -> Answer:
    logged_in(hub, call)
    if slug not in hub.collections:
        return refuses(404, "Collection not found")
    items = [
        {"_id": f"{place:024x}", "id": name, "type": kind, "position": place}
        for place, (kind, name) in enumerate(hub.collections[slug])
    ]
    return says({
        "slug": slug, "title": "Vectors", "owner": {"name": slug.partition("/")[0]}, "items": items,
        "lastUpdated": WHEN, "position": 0, "private": False, "theme": "green", "upvotes": 0,
    })  # fmt: skip


def _sizes(blob: Blob) -> dict[str, Any]:
    found: dict[str, Any] = {"size": blob.size, "blobId": blob.git_oid}
    return found | ({"lfs": _lfs(blob)} if blob.lfs else {})


def _lfs(blob: Blob) -> dict[str, Any]:
    return {
        "oid": blob.sha256, "sha256": blob.sha256, "size": blob.size,
        "pointerSize": len(pointer(blob.sha256, blob.size)),
    }  # fmt: skip


def _entry(hub: Hub, path: str, blob: Blob) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "file", "path": path, "size": blob.size, "oid": blob.git_oid}
    if blob.lfs:
        found["lfs"] = _lfs(blob)
        if hub.cas and (hashed := hub.cas.hash_of(blob.sha256)):
            found["xetHash"] = hashed
    return found


def tree(hub: Hub, call: Call, repo: str, revision: str, folder: str = "") -> Answer:
    found = readable(hub, call, repo)
    entries = _listed(hub, found, found.resolve(revision), folder, call.query.get("recursive", [""])[0])
    start = int(call.query.get("cursor", ["0"])[0])
    page = entries[start : start + hub.page]
    headers = {}
    if start + hub.page < len(entries):
        query = {name: values[0] for name, values in call.query.items()} | {"cursor": str(start + hub.page)}
        path = "/".join(quote(part, safe="") for part in call.parts)
        headers["Link"] = f'<{hub.url}/{path}?{urlencode(query)}>; rel="next"'
    return says(page, headers=headers)


def _listed(hub: Hub, repo: Repository, oid: str, folder: str, recursive: str) -> list[dict[str, Any]]:
    files, prefix = repo.trees[oid], f"{folder.strip('/')}/" if folder else ""
    inside = [path for path in sorted(files) if path.startswith(prefix)]
    if not inside:
        if folder:
            raise MissingError("EntryNotFound")
        return []
    deep = recursive.lower() in ("true", "1")
    folders = {
        prefix + "/".join(parts[: depth + 1])
        for parts in (path[len(prefix) :].split("/") for path in inside)
        for depth in range(len(parts) - 1 if deep else min(1, len(parts) - 1))
    }
    shown = [path for path in inside if deep or "/" not in path[len(prefix) :]]
    return [{"type": "directory", "path": path, "size": 0, "oid": "0" * 40} for path in sorted(folders)] + [
        _entry(hub, path, files[path]) for path in shown
    ]


def paths_info(hub: Hub, call: Call, repo: str, revision: str) -> Answer:
    found = readable(hub, call, repo)
    files = found.trees[found.resolve(revision)]
    said = call.body.read()
    asked = json.loads(said)["paths"] if said[:1] == b"{" else parse_qs(said.decode()).get("paths", [])
    return says([_entry(hub, path, files[path]) for path in asked if path in files])


def refs(hub: Hub, call: Call, repo: str) -> Answer:
    found = readable(hub, call, repo)

    def under(start: str, short: str) -> list[dict[str, str]]:
        return [
            {"name": name.removeprefix(short), "ref": name, "targetCommit": oid}
            for name, oid in sorted(found.refs.items())
            if name.startswith(start)
        ]

    said = {
        "branches": under("refs/heads/", "refs/heads/"), "tags": under("refs/tags/", "refs/tags/"),
        "converts": [],
    }  # fmt: skip
    if "include_prs" in call.query:
        said["pullRequests"] = under("refs/pr/", "refs/")
    return says(said)


def commits(hub: Hub, call: Call, repo: str, revision: str) -> Answer:
    history = readable(hub, call, repo).history(revision)
    return says([
        {"id": one.oid, "title": one.title, "message": "", "authors": [{"user": "tester"}], "date": WHEN}
        for one in history
    ])  # fmt: skip


def resolve(hub: Hub, call: Call, repo: str, revision: str, path: str) -> Answer:
    found = readable(hub, call, repo, content=True)
    oid = found.resolve(revision)
    commit = {"X-Repo-Commit": oid}
    blob = found.trees[oid].get(path)
    if blob is None:
        answer = refuses(404, "Entry not found", "EntryNotFound")
        return Answer(answer.status, answer.body, {**answer.headers, **commit})
    headers = {**commit, "ETag": f'"{blob.sha256 if blob.lfs else blob.git_oid}"'}
    if blob.lfs:
        headers |= {"X-Linked-Etag": f'"{blob.sha256}"', "X-Linked-Size": str(blob.size)}
        if hub.cas and (hashed := hub.cas.hash_of(blob.sha256)):
            route = f"{hub.url}/api/models/{repo}/xet-read-token/{oid}"
            headers |= {"X-Xet-Hash": hashed, "X-Xet-Refresh-Route": route}
        if hub.cdn:
            return Answer(302, b"", {**headers, "Location": f"{hub.cdn_url}/cdn/{blob.sha256}?signed=yes"})
    return ranged(hub, call, blob.sha256, headers)


def cdn(hub: Hub, call: Call, sha256: str) -> Answer:
    """Answer for the other host that large files lie on, which must not be sent the token."""
    if "authorization" in call.headers:
        return refuses(400, "only one auth mechanism allowed")
    return ranged(hub, call, sha256, {"ETag": f'"{sha256}"'})


def ranged(hub: Hub, call: Call, sha256: str, headers: dict[str, str]) -> Answer:
    """Return a content, or the one range of it that is asked for."""
    path = hub.path_of(sha256)
    size = path.stat().st_size
    headers = {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream", **headers}
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", call.headers.get("range", ""))
    if asked is None or asked[0] == "bytes=-":
        return Answer(200, Slice(path, 0, size), headers)
    start = int(asked[1]) if asked[1] else max(size - int(asked[2]), 0)
    end = min(int(asked[2]), size - 1) if asked[1] and asked[2] else size - 1
    if start >= size or end < start:
        return Answer(416, b"", {**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{end}/{size}"
    return Answer(206, Slice(path, start, end - start + 1), headers)


def safetensors_metadata(hub: Hub, call: Call, repo: str, index: str) -> Answer:
    found = readable(hub, call, repo, content=True)
    files = found.trees[found.resolve("main")]
    if index not in files:
        raise MissingError("EntryNotFound")
    said = json.loads(hub.content(files[index]))
    shards = sorted(set(said.pop("weight_map").values()))
    return says({"index": said, "headers": {shard: _header(hub, files[shard]) for shard in shards}})


def _header(hub: Hub, blob: Blob) -> Any:
    with hub.path_of(blob.sha256).open("rb") as file:
        return json.loads(file.read(int.from_bytes(file.read(8), "little")))


def whoami(hub: Hub, call: Call) -> Answer:
    if not logged_in(hub, call):
        return refuses(401, "Invalid username or password.")
    auth = {"type": "access_token", "accessToken": {"displayName": "test", "role": "write"}}
    return says({"type": "user", "id": "0", "name": "tester", "fullname": "Tester", "orgs": [], "auth": auth})


def auth_check(hub: Hub, call: Call, repo: str) -> Answer:
    readable(hub, call, repo, content=True)
    return says({})


def auth_check_write(hub: Hub, call: Call, repo: str) -> Answer:
    writable(hub, call, repo)
    return says({})
