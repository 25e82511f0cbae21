"""The plan of a push: every file, the card, the licence and who may see it, before anything is sent.

It is pure but for questions to the Hub, and those are left out where HF_HUB_OFFLINE says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightarith.card import Parent, render
from weightarith.card.facts import Kind
from weightarith.card.licence import Decision, decide
from weightarith.errors import RecipeError, TargetError, quoted
from weightarith.hub.about import CARD, check_card
from weightarith.hub.address import DEFAULT_REVISION, Address, parse
from weightarith.hub.repository import There
from weightarith.hub.session import online
from weightarith.publish import leaks
from weightarith.publish.content import Content, content_of
from weightarith.publish.files import LeftOut
from weightarith.publish.parents import restricted
from weightarith.publish.recipes import is_recipe, recipe_content
from weightarith.publish.stand import Stand, stand
from weightarith.receipt import to_bytes
from weightarith.store.stage import RECEIPT


@dataclass(frozen=True)
class Wish:
    """What a push is asked for.

    Attributes:
        repo: `org/name`.
        private: whether a new repository is; None lets the parents decide.
        as_request: open a pull request.
        revision: the branch.
        tag: a name for the commit.
        licence: an identifier, in place of what the parents say.
        results: a sweep's folder, or the file that `evaluate -o` writes.
        part: of a run: `vector`, `positive` or `negative`.
        overwrite: replace what weightarith did not write, or something of another kind.
    """

    repo: str
    private: bool | None = None
    as_request: bool = False
    revision: str = DEFAULT_REVISION
    tag: str = ""
    licence: str = ""
    results: Path | None = None
    part: str = ""
    overwrite: bool = False


@dataclass(frozen=True)
class Item:
    """A file as it will be in the repository.

    Attributes:
        name: there.
        size: bytes.
        file: where it lies; None for one that is made.
        content: of one that is small; None where it is read when it is sent.
    """

    name: str
    size: int
    file: Path | None = None
    content: bytes | None = None


@dataclass(frozen=True)
class Plan:
    """A push, ready to be carried out.

    Attributes:
        wish: what was asked for.
        kind: what is published.
        items: every file, weights first, the receipt and the card last.
        card: the text of the card.
        decision: the licence.
        parents: base first.
        private: whether a repository that is made is private.
        visibility: who will see it, and why, in a sentence.
        stand: what is there already; None where the Hub was not asked.
        left_out: what lies beside it and stays here.
        warnings: what is to be known first.
        content: what the receipt is made of, once hashes are known.
    """

    wish: Wish
    kind: Kind
    items: tuple[Item, ...]
    card: str
    decision: Decision
    parents: tuple[Parent, ...]
    private: bool
    visibility: str
    stand: Stand | None
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...]
    content: Content

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(item.size for item in self.items)

    @property
    def hashed_bytes(self) -> int:
        """Bytes that are read to hash them."""
        return sum(item.size for item in self.items if item.content is None)


def draw(path: Path, wish: Wish) -> Plan:
    """Return the plan of pushing what lies at a path.

    Raises:
        WeightArithError: it cannot be published so; nothing has been sent.
    """
    wish = _checked(wish)
    if is_recipe(path):
        content = recipe_content(path)
    else:
        content = content_of(path, part=wish.part, results=wish.results)
    return draw_content(content, wish)


def draw_content(content: Content, wish: Wish) -> Plan:
    """Return the plan of pushing some content.

    Raises:
        WeightArithError: it cannot be published so; nothing has been sent.
    """
    wish = _checked(wish)
    decision = decide(content.parents, wish.licence)
    there = stand(wish.repo, wish.revision, wish.tag) if online() else None
    private, visibility = _visibility(wish, content.parents, there.there if there is not None else None)
    if there is not None:
        there.check(content.kind, overwrite=wish.overwrite, as_request=wish.as_request)
    card = render(content.facts(wish.repo, decision))
    items = items_of(content, card)
    return Plan(
        wish, content.kind, items, card, decision, content.parents, private, visibility, there,
        content.left_out, (*content.warnings, *_unnamed(content)), content,
    )  # fmt: skip


def _checked(wish: Wish) -> Wish:
    address = parse(wish.repo)
    if address is None or address.path or address.revision != DEFAULT_REVISION:
        raise RecipeError(
            f"{quoted(wish.repo)} is no name of a repository, expected org/name",
            hint="a branch is named by --revision",
        )
    for what, name in (("branch", wish.revision), ("tag", wish.tag)):
        if name and parse(f"{address.repo}@{name}") is None:
            raise RecipeError(f"{quoted(name)} is no name of a {what}")
    if wish.as_request and (wish.tag or wish.revision != DEFAULT_REVISION):
        other = "--tag" if wish.tag else "--revision"
        raise RecipeError(
            f"a pull request goes to {DEFAULT_REVISION} and has no tag, so {other} does not go with it",
            hint="tag the commit when it is merged",
        )
    return Wish(**{**vars(wish), "repo": address.repo})


def items_of(content: Content, card: str) -> tuple[Item, ...]:
    """Return every file as it will be in the repository, checked for what must not leave this machine.

    Raises:
        InvalidFileError: the card is none, or a text tells a secret or a path.
    """
    check_card(card)
    items = _items(content, card)
    for item in items:
        if item.content is not None:
            leaks.check(item.name, item.content, content.folders)
    return items


def _items(content: Content, card: str) -> tuple[Item, ...]:
    weights = [Item(name, path.stat().st_size, path) for name, path in content.weights.items()]
    weights += [Item(name, size) for name, size in content.made.items()]
    texts = [Item(name, len(data), content=data) for name, data in sorted(content.texts.items())]
    pictures = [Item(name, len(data), content=data) for name, data in content.pictures.items()]
    written = ((RECEIPT, to_bytes(content.receipt({}))), (CARD, card.encode()))
    return (*weights, *texts, *pictures, *(Item(name, len(data), content=data) for name, data in written))


def _unnamed(content: Content) -> list[str]:
    if any(one.repo for one in content.parents):
        return []
    return ["no parent is on the Hub, so the card names no base_model: nobody finds this by its model"]


def _visibility(wish: Wish, parents: tuple[Parent, ...], there: There | None) -> tuple[bool, str]:
    """Return whether a repository that is made is private, and who will see it.

    Raises:
        TargetError: it is public, and should be private.
    """
    held = restricted(parents)
    why = ", ".join(f"{one.shown} is {one.restricted}" for one in held)
    private = wish.private if wish.private is not None else bool(held)
    if there is not None and not there.private and private:
        reason = why or "--private asks for it"
        raise TargetError(
            f"{wish.repo} is public, and this should be private: {reason}",
            hint="choose another repository; or --public, if the licences allow it",
        )
    if there is not None:
        return there.private, f"{'private' if there.private else 'public'}, as it is"
    if wish.private is not None:
        return private, f"{'private' if private else 'public'}, as asked for" + (f"; {why}" if why else "")
    return private, f"private, because {why}" if why else "public"


def as_json(plan: Plan) -> Mapping[str, Any]:
    """Return a plan as JSON has it."""
    changes = plan.stand.changes(plan.items) if plan.stand is not None else {}
    return {
        "repo": plan.wish.repo,
        "revision": plan.wish.revision,
        "kind": plan.kind,
        "private": plan.private,
        "visibility": plan.visibility,
        "licence": {"id": plan.decision.licence.id, "why": plan.decision.why},
        "base": [
            str(Address(one.repo, one.revision or DEFAULT_REVISION)) for one in plan.parents if one.repo
        ],
        "files": {item.name: item.size for item in plan.items},
        "changes": changes,
        "removed": list(plan.stand.stale(plan.items)) if plan.stand is not None else [],
        "left_out": {one.name: one.why for one in plan.left_out},
        "warnings": list(plan.warnings),
        "card": plan.card,
    }
