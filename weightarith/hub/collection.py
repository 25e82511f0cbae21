"""Collections of the Hub: lists of repositories that somebody keeps under one name.

They are named `hf://collections/owner/title-id`, or by the address of their page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from weightarith.errors import HubError, quoted
from weightarith.hub.address import SCHEME, Address, parse
from weightarith.hub.listing import listing
from weightarith.hub.session import api, online, patiently, talking

_SLUG = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+-[0-9a-f]{24}", re.ASCII)


@dataclass(frozen=True)
class Collection:
    """What a collection holds.

    Attributes:
        slug: its name, as in its page's address: `owner/title-id`.
        models: the repositories of models in it, in its order.
        others: what it holds beside them, with the kind before each name.
    """

    slug: str
    models: tuple[Address, ...]
    others: tuple[str, ...]


def slug_of(text: str) -> str | None:
    """Return the name of the collection that `text` means; None if it means none.

    Raises:
        HubError: it begins as one and is none.
    """
    from huggingface_hub import constants

    for start in (f"{SCHEME}collections/", f"{constants.ENDPOINT}/collections/"):
        if text.startswith(start):
            slug = text.removeprefix(start).rstrip("/")
            if not _SLUG.fullmatch(slug):
                raise HubError(
                    f"{quoted(text)} names no collection, expected {SCHEME}collections/owner/title-id",
                    hint="the name is the end of the address of its page",
                )
            return slug
    return None


def collection(slug: str) -> Collection:
    """Return what a collection holds now; one request.

    Raises:
        HubError: the Hub did not deliver, knows no such collection, or may not be asked.
    """
    if not online():
        raise HubError(
            f"the collection {quoted(slug)} is on the Hub only, and HF_HUB_OFFLINE=1",
            hint="give the vectors themselves; those in the cache can be read",
        )
    with talking(f"reading the collection {quoted(slug)}"):
        found = patiently(lambda: api().get_collection(slug))
    models: list[Address] = []
    others: list[str] = []
    for item in found.items:
        address = parse(f"{SCHEME}{item.item_id}") if item.item_type == "model" else None
        if address is None:
            others.append(f"{item.item_type} {item.item_id}")
        else:
            models.append(address)
    return Collection(slug, tuple(models), tuple(others))


def holds_model(address: Address) -> bool:
    """Return whether a repository holds a whole model and no adapter, by the names of its files.

    Raises:
        HubError: the Hub did not deliver.
    """
    names = listing(address).files
    return "config.json" in names and "adapter_config.json" not in names
