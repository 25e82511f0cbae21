"""What stands on a command line, opened: labels for messages, and the kind each command wants."""

from __future__ import annotations

from pathlib import Path

from weightarith.algebra import Checkpoint, Leaf, Vector
from weightarith.cli.terminal import escaped
from weightarith.errors import RecipeError, quoted
from weightarith.hub import locate
from weightarith.store import open_source, open_streamed

SUFFIX = ".safetensors"
COMMON = ("model", "vector", "adapter_model")
"""Names of files that say less than the name of their folder."""


def labels_for(texts: list[str]) -> list[str]:
    """Return a short name for each input: the last telling part of its path; letters where two are alike."""
    short = {text: escaped(_short(text)) for text in texts}
    if len(set(short.values())) < len(short):
        short = {text: chr(ord("A") + index) for index, text in enumerate(short)}
    return [short[text] for text in texts]


def _short(text: str) -> str:
    path = Path(text)
    if text.rstrip("/").endswith((".", "..")):  # here, or above: the name is not in the text
        path = path.resolve()
    name = path.name.removesuffix(SUFFIX)
    if name in COMMON and path.name.endswith(SUFFIX):
        return path.absolute().parent.name or name
    return name or text


def opened(text: str, label: str, *, stream: bool = False) -> Leaf:
    """Return a model, vector or adapter, whichever `text` is; with `stream` its weights stay on the Hub."""
    source = open_streamed(text) if stream else open_source(locate(text))
    return Checkpoint(source, label) if source.kind == "checkpoint" else Vector(source, label)


def opened_model(text: str, label: str, *, stream: bool = False) -> Checkpoint:
    """Return the model at `text`.

    Raises:
        RecipeError: it is a vector or an adapter.
    """
    leaf = opened(text, label, stream=stream)
    if not isinstance(leaf, Checkpoint):
        raise RecipeError(
            f"{quoted(text)} is {described(leaf)}, expected a model",
            hint="the model comes first: weightarith apply BASE VECTOR -o OUT",
        )
    return leaf


def opened_vector(text: str, label: str, base: Checkpoint | None = None, *, stream: bool = False) -> Vector:
    """Return the vector or adapter at `text`, trained on `base` where that matters.

    Raises:
        RecipeError: it is a model.
    """
    leaf = opened(text, label, stream=stream)
    if not isinstance(leaf, Vector):
        raise RecipeError(
            f"{quoted(text)} is {described(leaf)}, expected a vector or an adapter",
            hint="subtract its base first: weightarith diff FINETUNED BASE -o v.safetensors",
        )
    return Vector(leaf.source, label, base) if leaf.source.replaced else leaf


def expect_one_kind(left: Leaf, right: Leaf) -> None:
    """Raise RecipeError where one of two is a model and the other a displacement: they have no difference."""
    if isinstance(left, Checkpoint) == isinstance(right, Checkpoint):
        return
    remedy = "to take a vector away from a model: weightarith apply MODEL VECTOR --strength -1 -o OUT"
    raise RecipeError(
        f"{left.label} is {described(left)} and {right.label} is {described(right)}, "
        "expected two models, or two vectors or adapters",
        hint=remedy,
    )


def described(leaf: Leaf) -> str:
    """Return what an input is, with its article."""
    return {"checkpoint": "a model", "vector": "a vector", "adapter": "an adapter"}[leaf.source.kind]
