"""Licences: what a card says of its own, and which one follows for what was made of several models.

Nothing here is legal advice, and nothing is guessed: where parents disagree or say nothing, a person decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weightarith.card.parent import Licence, Parent
from weightarith.errors import IncompatibleError, RecipeError, quoted

LIST = "https://huggingface.co/docs/hub/repositories-licenses"
_ID = re.compile(r"[a-z0-9][a-z0-9.+-]*")
_SAYS_NOTHING = ("", "unknown", "none")


@dataclass(frozen=True)
class Decision:
    """The licence of what is published, and why it is that one.

    Attributes:
        licence: as the card says it.
        why: one sentence.
        chosen: whether a person chose it.
    """

    licence: Licence
    why: str
    chosen: bool


def licence_of(front: Mapping[str, Any], repo: str = "") -> Licence | None:
    """Return the licence that the front matter of a card names, None where it names none that means anything.

    `other` means something only by its name or its link; a link to a file is one into `repo`.
    https://huggingface.co/docs/hub/model-cards#specifying-a-license
    """
    said = front.get("license")
    if isinstance(said, list):
        said = said[0] if len(said) == 1 else ", ".join(sorted(map(str, said)))
    known = str(said or "").strip().lower()
    name, link = (str(front.get(key) or "").strip() for key in ("license_name", "license_link"))
    if known in _SAYS_NOTHING or (known == "other" and not (name or link)):
        return None
    if link and "://" not in link:
        link = f"https://huggingface.co/{repo}/blob/main/{link}" if repo else ""
    return Licence(known, name, link) if known == "other" else Licence(known)


def decide(parents: Sequence[Parent], chosen: str = "") -> Decision:
    """Return the licence that all parents share, or the one that was chosen.

    Raises:
        IncompatibleError: they do not share one, or one says nothing, and none was chosen.
        RecipeError: what was chosen is no identifier of a licence.
    """
    asked = [parent for parent in parents if parent.asked]
    if chosen:
        if not _ID.fullmatch(chosen):
            raise RecipeError(f"{quoted(chosen)} is no identifier of a licence", hint=f"see {LIST}")
        return Decision(Licence(chosen), "chosen by whoever published this", chosen=True)
    found = {parent.licence for parent in asked}
    if len(found) == 1 and None not in found:
        (licence,) = found
        if licence is not None and _ID.fullmatch(licence.id):
            return Decision(licence, f"that of {_listed(asked)}", chosen=False)
    raise IncompatibleError(_trouble(asked), hint=f"read them, and choose: --license ID, one of {LIST}")


def _trouble(asked: Sequence[Parent]) -> str:
    if not asked:
        return "nothing says what this was made of, so no licence follows from it"
    lines = "".join(f"\n  {parent.shown}: {parent.licence or 'says nothing'}" for parent in asked)
    which = (
        "say nothing of a licence" if {one.licence for one in asked} == {None} else "do not share a licence"
    )
    if len(asked) == 1:
        which = "says nothing of a licence" if asked[0].licence is None else "names several licences"
        return f"its only parent {which}:{lines}"
    return f"its parents {which}:{lines}"


def _listed(parents: Sequence[Parent]) -> str:
    names = list(dict.fromkeys(parent.shown for parent in parents))
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
