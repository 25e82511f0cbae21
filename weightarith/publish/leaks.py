"""What must not leave this machine: secrets, and where files lie on it; a text that holds some is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from weightarith.errors import InvalidFileError, quoted

_SECRETS = {
    "a token of the Hugging Face Hub": re.compile(rb"\b(?:hf_|api_org_)[A-Za-z0-9]{20,}"),
    "a token of GitHub": re.compile(rb"\bgh[pousr]_[A-Za-z0-9]{30,}"),
    "a key of a cloud": re.compile(rb"\bAKIA[0-9A-Z]{16}\b"),
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
}
_HOME = re.compile(rb"(?<![\w./:])/(?:home|Users)/[\w.-]+/")
_VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "merges.txt", "added_tokens.json")
"""Files whose words are those of a tokenizer: a path among them is nobody's."""


def places(*folders: Path) -> tuple[Path, ...]:
    """Return the folders whose names must not be published: the home, where we are, and those given."""
    every = (Path.home(), Path.cwd(), *folders)
    shown = (path for one in every for path in (one.absolute(), one.resolve()))
    return tuple(dict.fromkeys(path for path in shown if len(path.parts) > 1))


def check(name: str, content: bytes, folders: Iterable[Path]) -> None:
    """Refuse a text that gives away a secret or a path.

    Raises:
        InvalidFileError: it does; the message names the file and what it holds, and shows none of it.
    """
    for what, pattern in _SECRETS.items():
        if pattern.search(content):
            raise InvalidFileError(
                f"{quoted(name)} holds what looks like {what}, and would be published",
                hint="take it out of the file; if it is a real one, revoke it",
            )
    if name in _VOCABULARIES:
        return
    if _HOME.search(content) or any(_holds(content, folder) for folder in folders):
        raise InvalidFileError(
            f"{quoted(name)} holds the path of a folder on this machine, and would be published",
            hint="take it out where it came from, and make the output again",
        )


def _holds(content: bytes, folder: Path) -> bool:
    text = str(folder).encode()
    return re.search(re.escape(text) + rb"(?![\w.-])", content) is not None and (
        len(folder.parts) > 2 or re.search(rb"(?<![\w./:])" + re.escape(text) + rb"/\w", content) is not None
    )
