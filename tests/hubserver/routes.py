"""Which function answers which path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.hubserver import lfs, reading, writing, xet
from tests.hubserver.wire import Answer, Call, refuses

if TYPE_CHECKING:
    from tests.hubserver.server import Hub

# `repo` takes two parts of the path, `*` the rest of it, any other word in brackets one.
ROUTES: list[tuple[str, str, Any]] = [
    ("POST", "api/repos/create", writing.create),
    ("DELETE", "api/repos/delete", writing.delete),
    ("POST", "api/validate-yaml", writing.validate_yaml),
    ("GET", "api/whoami-v2", reading.whoami),
    ("GET", "api/collections/{repo}", reading.collection),
    ("GET", "api/models/{repo}", reading.info),
    ("GET", "api/models/{repo}/revision/{revision}", reading.info),
    ("GET", "api/models/{repo}/tree/{revision}", reading.tree),
    ("GET", "api/models/{repo}/tree/{revision}/{*}", reading.tree),
    ("POST", "api/models/{repo}/paths-info/{revision}", reading.paths_info),
    ("GET", "api/models/{repo}/refs", reading.refs),
    ("GET", "api/models/{repo}/commits/{revision}", reading.commits),
    ("GET", "api/models/{repo}/safetensors-metadata/{*}", reading.safetensors_metadata),
    ("GET", "api/models/{repo}/auth-check", reading.auth_check),
    ("GET", "api/models/{repo}/auth-check/write", reading.auth_check_write),
    ("GET", "api/models/{repo}/xet-read-token/{revision}", xet.read_token),
    ("GET", "api/models/{repo}/xet-write-token/{revision}", xet.write_token),
    ("PUT", "api/models/{repo}/settings", writing.settings),
    ("POST", "api/models/{repo}/preupload/{revision}", writing.preupload),
    ("POST", "api/models/{repo}/commit/{revision}", writing.commit),
    ("POST", "api/models/{repo}/tag/{revision}", writing.tag),
    ("DELETE", "api/models/{repo}/tag/{name}", writing.untag),
    ("POST", "api/models/{repo}/branch/{name}", writing.branch),
    ("DELETE", "api/models/{repo}/branch/{name}", writing.unbranch),
    ("POST", "api/models/{repo}/discussions", writing.discuss),
    ("POST", "api/models/{repo}/discussions/{number}/merge", writing.merge),
    ("POST", "{repo}/info/lfs/objects/batch", lfs.batch),
    ("POST", "api/models/{repo}/lfs-verify", lfs.verify),
    ("PUT", "lfs/{repo}/{oid}", lfs.put),
    ("PUT", "lfs/{repo}/{oid}/{number}", lfs.put_part),
    ("POST", "lfs/{repo}/{oid}", lfs.complete),
    ("GET", "cdn/{sha256}", reading.cdn),
    ("GET", "{repo}/resolve/{revision}/{*}", reading.resolve),
]


def route(hub: Hub, call: Call) -> Answer:
    """Answer a request; HEAD is a GET without its body."""
    method = "GET" if call.method == "HEAD" else call.method
    for wanted, pattern, function in ROUTES:
        found = _match(pattern.split("/"), call.parts) if wanted == method else None
        if found is not None:
            answer: Answer = function(hub, call, *found)
            return answer
    return refuses(404, "Sorry, we can't find the page you are looking for.")


def _match(pattern: list[str], parts: tuple[str, ...]) -> list[str] | None:
    found, left = [], list(parts)
    for word in pattern:
        count = {"{repo}": 2, "{*}": len(left)}.get(word, 1)
        if not left or len(left) < count:
            return None
        taken, left = "/".join(left[:count]), left[count:]
        if word.startswith("{"):
            found.append(taken)
        elif word != taken:
            return None
    return None if left else found
