"""Routes of Git LFS: large files come by themselves, before the commit that names them.

https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md, with the Hub's own transfer in several parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.hubserver.access import writable
from tests.hubserver.wire import Answer, Call, refuses, says

if TYPE_CHECKING:
    from tests.hubserver.server import Hub


def batch(hub: Hub, call: Call, repo: str) -> Answer:
    repo = repo.removesuffix(".git")
    found = writable(hub, call, repo)
    said = call.body.json()
    objects = [_object(hub, repo, one, one["oid"] in found.uploaded) for one in said["objects"]]
    return says({"transfer": "basic", "objects": objects})


def _object(hub: Hub, repo: str, asked: dict[str, Any], there: bool) -> dict[str, Any]:
    said = {"oid": asked["oid"], "size": asked["size"]}
    if there:
        return said
    upload: dict[str, Any] = {"href": f"{hub.url}/lfs/{repo}/{asked['oid']}"}
    if hub.part_size and asked["size"] > hub.part_size:
        parts = -(-asked["size"] // hub.part_size)
        header = {str(number): f"{upload['href']}/{number}" for number in range(1, parts + 1)}
        upload |= {"header": {"chunk_size": str(hub.part_size), **header}}
    verify = {"href": f"{hub.url}/api/models/{repo}/lfs-verify"}
    return said | {"actions": {"upload": upload, "verify": verify}}


def put(hub: Hub, call: Call, repo: str, oid: str) -> Answer:
    sha256, _ = hub.objects.write(call.body.pieces())
    if sha256 != oid:
        return refuses(400, "the content is not what its name says")
    with hub.lock:
        hub.repositories[repo].uploaded.add(oid)
    return Answer(headers={"ETag": f'"{sha256}"'})


def put_part(hub: Hub, call: Call, repo: str, oid: str, number: str) -> Answer:
    sha256, _ = hub.objects.write(call.body.pieces())
    with hub.lock:
        hub.parts[(repo, oid, int(number))] = sha256
    return Answer(headers={"ETag": f'"{sha256}"'})


def complete(hub: Hub, call: Call, repo: str, oid: str) -> Answer:
    """Put the parts together, which must be those that the client names."""
    parts = [
        (hub.parts.get((repo, oid, one["partNumber"])), one["etag"].strip('"'))
        for one in call.body.json()["parts"]
    ]
    if any(here != named for here, named in parts):
        return refuses(400, "a part is missing")
    sha256, _ = hub.objects.write(hub.objects.read(here) for here, _ in parts if here)
    if sha256 != oid:
        return refuses(400, "the content is not what its name says")
    with hub.lock:
        hub.repositories[repo].uploaded.add(oid)
    return says({"success": True})


def verify(hub: Hub, call: Call, repo: str) -> Answer:
    found, said = writable(hub, call, repo), call.body.json()
    path = hub.objects.path(said["oid"])
    if said["oid"] not in found.uploaded or path.stat().st_size != said["size"]:
        return refuses(404, "no such object")
    return says({})
