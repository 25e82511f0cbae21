"""Routes that change something: repositories, names of commits, and commits themselves."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import yaml

from tests.hubserver.access import may_write_to, readable, writable
from tests.hubserver.objects import Blob
from tests.hubserver.reading import front_matter
from tests.hubserver.repository import MissingError, Repository, is_large
from tests.hubserver.wire import Answer, Call, refuses, says

if TYPE_CHECKING:
    from tests.hubserver.server import Hub

ATTRIBUTES = "*.safetensors filter=lfs diff=lfs merge=lfs -text\n"


def create(hub: Hub, call: Call) -> Answer:
    said = call.body.json()
    namespace = said.get("organization") or "tester"
    name = f"{namespace}/{said['name']}"
    may_write_to(hub, call, namespace)
    with hub.lock:
        if name in hub.repositories:
            url = {"error": "You already created this model repo", "url": f"{hub.url}/{name}"}
            return says(url, 409)
        private = said.get("private") is True or said.get("visibility") == "private"
        made = hub.repositories[name] = Repository(name, private=private)
        first = {".gitattributes": hub.stored(ATTRIBUTES.encode())}
        made.commit("refs/heads/main", first, "initial commit", None)
    return says({"url": f"{hub.url}/{name}", "name": name, "id": "0" * 24})


def delete(hub: Hub, call: Call) -> Answer:
    said = call.body.json()
    name = f"{said.get('organization') or 'tester'}/{said['name']}"
    writable(hub, call, name)
    with hub.lock:
        del hub.repositories[name]
    return Answer()


def settings(hub: Hub, call: Call, repo: str) -> Answer:
    found, said = writable(hub, call, repo), call.body.json()
    found.private = said.get("private", said.get("visibility", found.private)) in (True, "private")
    found.gated = bool(said.get("gated", found.gated))
    return says(said)


def validate_yaml(_hub: Hub, call: Call) -> Answer:
    try:
        front_matter(call.body.json()["content"])
    except yaml.YAMLError as error:
        return says({"errors": [{"message": str(error)}], "warnings": []}, 400)
    return says({"errors": [], "warnings": []})


def preupload(hub: Hub, call: Call, repo: str, revision: str) -> Answer:
    # Who may not push may still open a pull request.
    found = readable(hub, call, repo) if "create_pr" in call.query else writable(hub, call, repo)
    files = found.trees[found.resolve(revision)]
    return says({"files": [_how(files, one) for one in call.body.json()["files"]]})


def _how(files: dict[str, Blob], asked: dict[str, Any]) -> dict[str, Any]:
    path, there = asked["path"], files.get(asked["path"])
    lfs = is_large(path, asked["size"], base64.b64decode(asked["sample"]))
    said = {"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
    if there is not None and there.lfs == lfs:
        said["oid"] = there.sha256 if lfs else there.git_oid
    return said


def commit(hub: Hub, call: Call, repo: str, revision: str) -> Answer:
    lines = [json.loads(line) for line in call.body.read().splitlines() if line]
    as_request = call.query.get("create_pr") == ["1"]
    with hub.lock:
        found = readable(hub, call, repo) if as_request else writable(hub, call, repo)
        may_write_to(hub, call, "")  # to be logged in is enough for a pull request
        header = next(line["value"] for line in lines if line["key"] == "header")
        parent, target = found.resolve(revision), found.ref(revision)
        if target is None or target.startswith("refs/tags/"):
            return refuses(400, "can only commit to a branch or a pull request")
        stale = header.get("parentCommit") not in (None, parent)
        if stale:
            return refuses(412, "A commit has happened since. Please refresh and try again.")
        try:
            changes = _changes(hub, found, found.trees[parent], lines)
        except KeyError as error:
            return refuses(400, f"LFS pointer pointed to a file that does not exist: {error}")
        number = found.next_pull_request()
        ref = f"refs/pr/{number}" if as_request else target
        oid = found.commit(ref, changes, header["summary"], parent)
    said = {"success": True, "commitOid": oid, "commitUrl": f"{hub.url}/{repo}/commit/{oid}"}
    if as_request:
        said["pullRequestUrl"] = f"{hub.url}/{repo}/discussions/{number}"
    return says(said)


def _changes(
    hub: Hub, repo: Repository, files: dict[str, Blob], lines: list[dict[str, Any]]
) -> dict[str, Blob | None]:
    found: dict[str, Blob | None] = {}
    for line in lines:
        said = line["value"]
        if line["key"] == "file":
            found[said["path"]] = hub.stored(base64.b64decode(said["content"]))
        elif line["key"] == "lfsFile":
            found[said["path"]] = hub.uploaded(repo, said["oid"])
        elif line["key"] == "deletedFile":
            if said["path"] not in files:
                raise MissingError("EntryNotFound")
            found[said["path"]] = None
        elif line["key"] == "deletedFolder":
            start = said["path"].rstrip("/") + "/"
            found |= {path: None for path in files if path.startswith(start)}
    return found


def tag(hub: Hub, call: Call, repo: str, revision: str) -> Answer:
    said = call.body.json()
    return _name(hub, call, repo, f"refs/tags/{said['tag']}", revision)


def branch(hub: Hub, call: Call, repo: str, name: str) -> Answer:
    said = call.body.json()
    return _name(hub, call, repo, f"refs/heads/{name}", said.get("startingPoint", "main"))


def _name(hub: Hub, call: Call, repo: str, ref: str, revision: str) -> Answer:
    with hub.lock:
        found = writable(hub, call, repo)
        oid = found.resolve(revision)
        if ref in found.refs:
            return refuses(409, f"{ref} exists already")
        found.refs[ref] = oid
    return says({"success": True})


def untag(hub: Hub, call: Call, repo: str, name: str) -> Answer:
    return _forget(hub, call, repo, f"refs/tags/{name}")


def unbranch(hub: Hub, call: Call, repo: str, name: str) -> Answer:
    return _forget(hub, call, repo, f"refs/heads/{name}")


def _forget(hub: Hub, call: Call, repo: str, ref: str) -> Answer:
    with hub.lock:
        if writable(hub, call, repo).refs.pop(ref, None) is None:
            raise MissingError("RevisionNotFound")
    return says({"success": True})


def discuss(hub: Hub, call: Call, repo: str) -> Answer:
    said = call.body.json()
    with hub.lock:
        found = readable(hub, call, repo)
        may_write_to(hub, call, "")
        number = found.next_pull_request()
        if said.get("pullRequest"):
            found.refs[f"refs/pr/{number}"] = found.refs["refs/heads/main"]
    return says({"num": number, "url": f"{hub.url}/{repo}/discussions/{number}"})


def merge(hub: Hub, call: Call, repo: str, number: str) -> Answer:
    writable(hub, call, repo)
    hub.merge(repo, int(number))
    return says({"success": True})
