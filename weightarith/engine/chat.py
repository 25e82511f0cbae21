"""Chat templates: whose is written, or which text. They are programs of strangers: moved, and never run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from weightarith.errors import InvalidFileError, RecipeError, quoted
from weightarith.tensorfile.jsonfile import CONFIG_LIMIT, read_object, read_text
from weightarith.tensorfile.sniff import shown

AUTO = "auto"
FILE = "chat_template.jinja"
KEY = "chat_template"
INSIDE = ("tokenizer_config.json", "chat_template.json", "processor_config.json")
"""Files that may hold a template under the key of that name; a file of its own counts before them."""

LARGEST = 1_000_000  # bytes of UTF-8


def checked_template(text: str) -> str:
    """Return `auto`, or the text of a template, if it is one.

    Raises:
        RecipeError: it is neither, or longer than 1 MB.
    """
    if text == AUTO:
        return text
    if "{{" not in text and "{%" not in text:
        message = f"expected chat_template to be auto or the text of a Jinja template, found {quoted(text)}"
        raise RecipeError(message, hint="a template has {{ … }} or {% … %} in it")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise RecipeError(f"the chat template holds what is no character: {error.reason}") from None
    if size > LARGEST:
        raise RecipeError(f"a chat template of {size:,} bytes; at most {LARGEST:,} are taken")
    return text


def elected(folders: Iterable[Path], tokenizer: Path | None) -> str:
    """Return the template that most models have; of those as many have, that of `tokenizer`, else the first.

    Raises:
        RecipeError: none of the models has a template.
        InvalidFileError: a template is longer than 1 MB, or no text.
    """
    votes: dict[str, int] = {}
    for folder in folders:
        template = template_of(folder)
        if template:
            votes[template] = votes.get(template, 0) + 1
    if not votes:
        raise RecipeError(
            "chat_template: auto, and none of the models has a chat template",
            hint="leave chat_template out, or write the template itself",
        )
    tied = [template for template, count in votes.items() if count == max(votes.values())]
    own = template_of(tokenizer) if tokenizer is not None and len(tied) > 1 else None
    return own if own in tied and own is not None else tied[0]


def template_of(folder: Path) -> str | None:
    """Return the chat template of a model, the one called `default` where there are several; None for none.

    Raises:
        InvalidFileError: it is longer than 1 MB, or no text.
    """
    if (folder / FILE).is_file():
        return _text(folder / FILE)
    for name in INSIDE:
        path = folder / name
        found = _default(read_object(path, CONFIG_LIMIT).get(KEY)) if path.is_file() else None
        if found is not None:
            return _encodable(found, path)
    return None


def _default(value: Any) -> str | None:
    """Return a template, or of a list of named ones, or of a mapping of them, the one called `default`."""
    if isinstance(value, list):
        named = [one for one in value if isinstance(one, dict) and one.get("name") == "default"]
        value = named[0].get("template") if named else None
    if isinstance(value, dict):
        value = value.get("default")
    return value if isinstance(value, str) else None


def _text(path: Path) -> str:
    try:
        return read_text(path, LARGEST).replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InvalidFileError(f"{shown(path)} is not UTF-8: {error.reason}") from None


def _encodable(text: str, path: Path) -> str:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidFileError(f"{shown(path)}: its chat template is no text: {error.reason}") from None
    if size > LARGEST:
        raise InvalidFileError(f"{shown(path)}: a chat template of {size:,} bytes; {LARGEST:,} are read")
    return text
