"""Names of models on the Hub: `org/name[@revision]`, or `hf://org/name[@revision][/file-or-folder]`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

from weightarith.errors import HubError

SCHEME = "hf://"
DEFAULT_REVISION = "main"
COMMIT = re.compile(r"[0-9a-f]{40}")
SHORT_COMMIT = re.compile(r"[0-9a-f]{7,39}")

_PART = r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?"
_REVISION = r"[A-Za-z0-9][\w./-]*"
_PLAIN = re.compile(rf"(?P<repo>{_PART}/{_PART})(?:@(?P<revision>{_REVISION}))?", re.ASCII)
_WHOLE = re.compile(
    rf"(?:models/)?(?P<repo>{_PART}/{_PART})"
    r"(?:@(?P<revision>refs/(?:pr/\d+|convert/[\w.-]+)|[^/@]+))?(?:/(?P<path>.+?))?/?",
    re.ASCII,
)
_NO_MODELS = ("datasets/", "spaces/", "kernels/", "buckets/")
_SPECIAL = re.compile(r"refs/(?:pr/\d+|convert/[\w.-]+)", re.ASCII)


@dataclass(frozen=True)
class Address:
    """A repository of models at a revision, and a file or folder in it: all of it where `path` is empty."""

    repo: str  # org/name
    revision: str = DEFAULT_REVISION  # a branch, a tag, refs/pr/1, or a commit
    path: str = ""  # with forward slashes

    def __str__(self) -> str:
        """Return the address as it may be typed; the default revision is left out."""
        plain = "/" not in self.revision or _SPECIAL.fullmatch(self.revision)
        revision = self.revision if plain else quote(self.revision, safe="")
        at = "" if revision == DEFAULT_REVISION else f"@{revision}"
        return f"{SCHEME}{self.repo}{at}" + (f"/{self.path}" if self.path else "")

    @property
    def pinned(self) -> bool:
        """Whether the revision is a whole commit, which never means anything else."""
        return COMMIT.fullmatch(self.revision) is not None


def parse(text: str) -> Address | None:
    """Return the address that `text` is, or None if it is none.

    After `hf://` the revision ends at the first slash, those of `refs/pr/1` and `refs/convert/NAME` apart; a
    slash in the name of a branch is written `%2F` there. A plain name has no path, so that its revision may
    hold slashes. Data sets, Spaces, kernels and buckets are no models.
    https://huggingface.co/docs/huggingface_hub/package_reference/hf_uris
    """
    if not text.startswith(SCHEME):
        found = _PLAIN.fullmatch(text)
        return _address(found["repo"], found["revision"] or DEFAULT_REVISION, "") if found else None
    rest = text.removeprefix(SCHEME)
    whole = None if rest.startswith(_NO_MODELS) else _WHOLE.fullmatch(rest)
    if whole is None:
        return None
    revision = unquote(whole["revision"] or DEFAULT_REVISION)
    if not re.fullmatch(_REVISION, revision, re.ASCII):
        return None
    return _address(whole["repo"], revision, whole["path"] or "")


def _address(repo: str, revision: str, path: str) -> Address | None:
    if "--" in repo or ".." in repo or ".." in revision or repo.endswith(".git"):
        return None
    return None if path and unsafe(path) else Address(repo, revision, path)


def only(commits: Sequence[str], address: Address) -> str:
    """Return the one commit that a shortened one may be, nothing where there is none.

    Raises:
        HubError: it may be any of several.
    """
    if len(commits) > 1:
        raise HubError(
            f"commit {address.revision} of {address.repo} may be any of {', '.join(commits)}",
            hint="write more characters of it",
        )
    return commits[0] if commits else ""


def unsafe(path: str) -> str:
    """Return why a name in a repository must not become a path on this machine; nothing if it may."""
    if "\0" in path or "\\" in path or not path.isprintable():
        return "holds a backslash or a control character"
    if path.startswith(("/", "~")) or re.match(r"[A-Za-z]:", path):
        return "is an absolute path"
    if any(part in ("", ".", "..") for part in path.split("/")):
        return "leads out of its folder"
    return ""
