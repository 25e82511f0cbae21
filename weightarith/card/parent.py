"""A parent: what something was made of, as a card names it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Licence:
    """A licence as the front matter of a card says it: an identifier of the Hub, or `other` with a name."""

    id: str
    name: str = ""
    link: str = ""

    def __str__(self) -> str:
        if not self.name:
            return self.id
        return f"{self.name} ({self.link})" if self.link else self.name


@dataclass(frozen=True)
class Parent:
    """An input of what is published, or the model that an input belongs to.

    Attributes:
        label: what it is called in the expression; empty where it is none of the inputs.
        kind: `checkpoint`, `vector`, `adapter` or `direction`.
        repo: on the Hub; empty for one on this machine.
        revision: its commit, or a branch or tag where none is known; empty for `main`.
        path: of the file or folder in the repository.
        name: of a model that is on this machine: the last part of its path.
        licence: what it says of itself.
        asked: whether its licence counts; not so of what was made here of a parent that is listed, too.
        private: None where nobody knows.
        gated: None where nobody knows.
        seen: whether the Hub shows it to this account.
        note: what else the card says of it.
    """

    label: str
    kind: str
    repo: str = ""
    revision: str = ""
    path: str = ""
    name: str = ""
    licence: Licence | None = None
    asked: bool = True
    private: bool | None = None
    gated: bool | None = None
    seen: bool = True
    note: str = ""

    @property
    def shown(self) -> str:
        """What to call it in a sentence."""
        return self.repo or self.name or self.label

    @property
    def restricted(self) -> str:
        """Why not everybody may have it: `private`, `gated`, or nothing."""
        if not self.seen:
            return "not to be seen on the Hub"
        return "private" if self.private else "gated" if self.gated else ""
