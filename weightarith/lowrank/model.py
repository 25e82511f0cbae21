"""The model that an adapter is for: said, or found where the vector says what it was measured from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from weightarith.adapter.portable_base import Base, published
from weightarith.algebra import Atom, Checkpoint, Sum, Vector, collect
from weightarith.engine.frame import leaves_read
from weightarith.errors import HubError, IncompatibleError, RecipeError, quoted
from weightarith.hub import DEFAULT_REVISION, Address
from weightarith.hub.cached import snapshot
from weightarith.operators.anchor import anchor_of
from weightarith.provenance import foreign_base, recorded_base
from weightarith.store import open_source

_REMEDY = "name the model it is for, whose names, shapes and config.json are needed: --base DIR, or base="


@dataclass(frozen=True, eq=False)
class Model:
    """A checkpoint that vectors move, and what an adapter has to know of it."""

    leaf: Checkpoint
    base: Base

    @property
    def label(self) -> str:
        """What to call it in messages."""
        return self.leaf.label


def model_of(total: Sum, given: Checkpoint | None) -> Model:
    """Return the model that a vector moves.

    That is the one given, the one that the sum itself is measured from, or one of the Hub's that all its
    vectors and adapters name and that lies in the cache.

    Raises:
        RecipeError: nothing says which it is, or it is not here.
        UnsupportedError: what is there is no checkpoint.
    """
    recorded = _recorded(total)
    leaf = given or _measured_from(total) or _cached(total, recorded)
    if leaf.source.config is None:
        raise RecipeError(f"{quoted(leaf.label)} has no config.json beside its weights", hint=_REMEDY)
    origin = leaf.source.origin
    name, revision = published(str(leaf.source.path)) if origin is None else (origin.repo, origin.revision)
    said = recorded.get("repo") or recorded.get("name", "")
    if "/" not in (name or "") and "/" in said:
        name, revision = said, recorded.get("revision")
    shapes = {each: stored.info.shape for each, stored in leaf.source.tensors.items()}
    return Model(leaf, Base(shapes, leaf.source.config, name or "", revision or ""))


def laid_onto(total: Sum, model: Model) -> Sum:
    """Return a vector with every input that needs a base to be understood measured from the model.

    Files for other programs have names of their own; an adapter may hold trained weights of the model.
    """

    def laid(leaf: Atom) -> Atom:
        if isinstance(leaf, Vector) and (leaf.source.replaced or leaf.source.own_names):
            return replace(leaf, base=leaf.base or model.leaf)
        return leaf

    return collect(replace(term, leaf=laid(term.leaf)) for term in total.terms)


def check_fits(shapes: Mapping[str, tuple[int, ...]], model: Model) -> None:
    """Refuse a vector of other tensors than the model's.

    Raises:
        IncompatibleError: names a tensor that the model lacks, or has in another shape.
    """
    for name, shape in shapes.items():
        expected = model.base.shapes.get(name)
        if expected != shape:
            found = f"of shape {list(expected)}" if expected is not None else "not there"
            raise IncompatibleError(
                f"the vector moves {quoted(name)} of shape {list(shape)}, and in {model.label} it is {found}",
                hint="give the base that the vector was measured from",
            )


def warnings_of(total: Sum, model: Model) -> tuple[str, ...]:
    """Return a warning for each vector that says it was measured from a model of other tensors."""
    vectors = [leaf for leaf in leaves_read(total) if isinstance(leaf, Vector)]
    return tuple(filter(None, (foreign_base(leaf.source, model.leaf.source) for leaf in vectors)))


def _measured_from(total: Sum) -> Checkpoint | None:
    found = [anchor_of(total), *(leaf.base for leaf in leaves_read(total) if isinstance(leaf, Vector))]
    return next((leaf for leaf in found if isinstance(leaf, Checkpoint)), None)


def _recorded(total: Sum) -> dict[str, str]:
    """Return what all vectors and adapters of a sum say of their model, nothing where they differ."""
    found = [recorded_base(leaf.source) for leaf in leaves_read(total) if isinstance(leaf, Vector)]
    return found[0] if found and all(one == found[0] for one in found) else {}


def _cached(total: Sum, recorded: Mapping[str, str]) -> Checkpoint:
    name, revision = recorded.get("repo") or recorded.get("name", ""), recorded.get("revision", "")
    if "/" not in name:
        said = f"is only recorded as {quoted(name)}" if name else "is not recorded"
        raise RecipeError(f"an adapter is for one model, and which one {total} moves {said}", hint=_REMEDY)
    try:
        path = snapshot(Address(name, revision or DEFAULT_REVISION)).folder  # only what is here already
    except HubError as error:
        raise RecipeError(f"an adapter is for one model, and {error.message}", hint=_REMEDY) from error
    return Checkpoint(open_source(path, "checkpoint"), name)
