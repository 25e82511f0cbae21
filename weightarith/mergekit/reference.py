"""A model as mergekit names it: a path or Hub id, perhaps a revision, perhaps a LoRA on top."""

from __future__ import annotations

from dataclasses import dataclass, field

from weightarith.errors import RecipeError, UnsupportedError, quoted
from weightarith.recipe.fields import is_nothing, table, text
from weightarith.recipe.strictyaml import Node, Place, Scalar

FORM = "path[@revision][+lora[@revision]]"


@dataclass(frozen=True)
class Weights:
    """A path or Hub id, and a revision of it; empty where none is given."""

    path: str
    revision: str = ""

    def __str__(self) -> str:
        return f"{self.path}@{self.revision}" if self.revision else self.path


@dataclass(frozen=True)
class Reference:
    """A model and the LoRA that is put on it, if any; equal references are equal models."""

    model: Weights
    lora: Weights | None
    place: Place = field(compare=False)

    def __str__(self) -> str:
        return f"{self.model}+{self.lora}" if self.lora else str(self.model)


def read_reference(node: Node, what: str) -> Reference:
    """Return the model that a text, or a mapping of its parts, stands for.

    Raises:
        RecipeError: it stands for none.
        UnsupportedError: it asks for another architecture than the model's own.
    """
    if isinstance(node, Scalar):
        return _parsed(text(node, what), node.place)
    parts = table(node, what, ("model", "lora", "override_architecture"), required=("model",))
    other = parts.get("override_architecture")
    if other and not is_nothing(other.value):
        raise UnsupportedError(
            f"{other.place}: override_architecture is not supported",
            hint="leave it out: tensors are matched by name, whatever the architecture is called",
        )
    lora = parts.get("lora")
    with_lora = lora is not None and not is_nothing(lora.value)
    return Reference(
        _weights(parts["model"].value, "a model"),
        _weights(lora.value, "a LoRA") if lora and with_lora else None,
        node.place,
    )


def _parsed(written: str, place: Place) -> Reference:
    model, *loras = written.split("+")
    if len(loras) > 1:
        raise _malformed(
            written, place, "more than one +", f"a model is {FORM}; add further LoRAs in a recipe"
        )
    lora = _split(loras[0], written, place) if loras else None
    return Reference(_split(model, written, place), lora, place)


def _split(part: str, written: str, place: Place) -> Weights:
    path, *revisions = part.strip().split("@")
    if len(revisions) > 1:
        raise _malformed(written, place, "more than one @", f"a model is {FORM}")
    if not path or revisions == [""]:
        raise _malformed(written, place, "an empty path or revision", f"a model is {FORM}")
    return Weights(path, *revisions)


def _malformed(written: str, place: Place, what: str, hint: str) -> RecipeError:
    return place.error(f"{quoted(written)} names no model: {what}", hint=hint)


def _weights(node: Node, what: str) -> Weights:
    if isinstance(node, Scalar):
        return _split(text(node, what), node.text, node.place)
    parts = table(node, what, ("path", "revision"), required=("path",))
    revision = parts.get("revision")
    given = revision is not None and not is_nothing(revision.value)
    return Weights(
        text(parts["path"].value, "a path or Hub id"),
        text(revision.value, "a revision") if revision and given else "",
    )
