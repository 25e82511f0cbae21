"""The `hub:` of a recipe's output: the repository that the result is pushed to, and how."""

from __future__ import annotations

from dataclasses import dataclass

from weightarith.errors import quoted
from weightarith.hub.address import DEFAULT_REVISION, SCHEME, parse
from weightarith.recipe.fields import choice, table, text
from weightarith.recipe.strictyaml import Entry, Node, Scalar, Table

HUB = "hub"
KEYS = ("repo", "private", "license", "revision", "tag", "create_pr")
_YES_OR_NO = ("true", "false")


@dataclass(frozen=True)
class Destination:
    """Where on the Hub a result goes.

    Attributes:
        repo: `org/name`.
        private: whether a repository that is made is; None lets the parents decide.
        licence: an identifier, in place of what the parents say.
        revision: the branch.
        tag: a name for the commit.
        as_request: open a pull request.
    """

    repo: str
    private: bool | None = None
    licence: str = ""
    revision: str = DEFAULT_REVISION
    tag: str = ""
    as_request: bool = False


def read_destination(node: Node | None) -> Destination | None:
    """Return the `hub:` of an `output:`, a repository or a mapping; None where nothing is said.

    Raises:
        RecipeError: it names no repository, or a key or a choice is unknown.
    """
    output = node.entries if isinstance(node, Table) else {}
    if HUB not in output:
        return None
    said = output[HUB].value
    if isinstance(said, Scalar):
        return Destination(_repo(said))
    given = table(said, HUB, KEYS, ("repo",))
    private = _flag("private", given)
    return Destination(
        _repo(given["repo"].value),
        private,
        _line("license", given),
        _line("revision", given) or DEFAULT_REVISION,
        _line("tag", given),
        bool(_flag("create_pr", given)),
    )


def _repo(node: Node) -> str:
    name = text(node, "the name of a repository, org/name")
    found = parse(name)
    if found is None or found.repo != name.removeprefix(SCHEME):
        hint = "a branch is named by revision: {repo: org/name, revision: BRANCH}"
        raise node.place.error(f"{quoted(name)} is no name of a repository, expected org/name", hint=hint)
    return found.repo


def _line(key: str, given: dict[str, Entry]) -> str:
    return text(given[key].value, f"a text for {key}") if key in given else ""


def _flag(key: str, given: dict[str, Entry]) -> bool | None:
    return choice(given[key].value, key, _YES_OR_NO) == "true" if key in given else None
