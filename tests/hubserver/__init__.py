"""A Hub to test against: `with Hub(folder) as hub:` serves on the loopback what the real client asks for."""

from tests.hubserver.faults import Request
from tests.hubserver.repository import Commit
from tests.hubserver.server import TOKEN, Hub

__all__ = ["TOKEN", "Commit", "Hub", "Request"]
