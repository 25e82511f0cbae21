"""Who may see and change what: one user, whose token is known, and everybody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.hubserver.repository import MissingError, Repository
from tests.hubserver.wire import Answer, Call, refuses

if TYPE_CHECKING:
    from tests.hubserver.server import Hub

MESSAGES = {
    "RepoNotFound": "Repository not found",
    "RevisionNotFound": "Invalid rev id",
    "EntryNotFound": "Entry not found",
}


class RefusedError(Exception):
    """What a route answers instead of what it was asked for."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def missing(error: MissingError) -> Answer:
    """Return the 404 for what is not there."""
    return refuses(404, MESSAGES[error.args[0]], error.args[0])


def logged_in(hub: Hub, call: Call) -> bool:
    """Return whether the request carries the user's token; a wrong token is refused."""
    given = call.headers.get("authorization", "")
    if given and given != f"Bearer {hub.token}":
        raise RefusedError(refuses(401, "Invalid credentials in Authorization header"))
    return bool(given)


def readable(hub: Hub, call: Call, name: str, *, content: bool = False) -> Repository:
    """Return a repository that the request may look at, and into whose files if `content`."""
    user = logged_in(hub, call)
    found = hub.repositories.get(name)
    if found is None or (found.private and not user):
        if user:
            raise MissingError("RepoNotFound")
        raise RefusedError(refuses(401, "Invalid username or password.", "RepoNotFound"))
    if content and found.gated and not (user and found.granted):
        raise RefusedError(
            refuses(403 if user else 401, f"Access to model {name} is restricted.", "GatedRepo")
        )
    return found


def writable(hub: Hub, call: Call, name: str) -> Repository:
    """Return a repository that the request may change."""
    may_write_to(hub, call, name.partition("/")[0])
    return readable(hub, call, name)


def may_write_to(hub: Hub, call: Call, namespace: str) -> None:
    """Refuse who is not logged in, and who is no member of the organisation."""
    if not logged_in(hub, call):
        raise RefusedError(refuses(401, "Invalid username or password."))
    if namespace in hub.foreign:
        raise RefusedError(refuses(403, f"You have no rights in the namespace {namespace}"))
