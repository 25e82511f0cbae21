"""What stands on a command line, opened: labels for messages, and the kind each command wants."""

from __future__ import annotations

from pathlib import PurePath

from weightarith.algebra import Checkpoint, Leaf, Vector
from weightarith.errors import RecipeError, quoted
from weightarith.hub import locate
from weightarith.store import open_source


def labels_for(texts: list[str]) -> list[str]:
    """Return a short name for each input: the last part of its path, or letters where two are alike."""
    short = [PurePath(text.rstrip("/")).name.removesuffix(".safetensors") or text for text in texts]
    return short if len(set(short)) == len(short) else [chr(ord("A") + index) for index in range(len(texts))]


def opened(text: str, label: str) -> Leaf:
    """Return a model, vector or adapter, whichever `text` is."""
    source = open_source(locate(text))
    return Checkpoint(source, label) if source.kind == "checkpoint" else Vector(source, label)


def opened_model(text: str, label: str) -> Checkpoint:
    """Return the model at `text`.

    Raises:
        RecipeError: it is a vector or an adapter.
    """
    leaf = opened(text, label)
    if not isinstance(leaf, Checkpoint):
        raise RecipeError(f"{quoted(text)} is of kind {leaf.source.kind}, expected a model")
    return leaf


def opened_vector(text: str, label: str, base: Checkpoint | None = None) -> Vector:
    """Return the vector or adapter at `text`, trained on `base` where that matters.

    Raises:
        RecipeError: it is a model.
    """
    leaf = opened(text, label)
    if not isinstance(leaf, Vector):
        raise RecipeError(
            f"{quoted(text)} is a model, expected a vector or an adapter",
            hint="subtract its base first: weightarith diff FINETUNED BASE -o v.safetensors",
        )
    return Vector(leaf.source, label, base) if leaf.source.replaced else leaf
