"""Arithmetic on the weights of language models.

Two nouns: a `Checkpoint` is all weights of one model, a point; a `Vector` is a displacement between points,
and a file. They add and scale as points and displacements do, lazily: opening reads headers, `save` computes.

    import weightarith as wa

    base = wa.Checkpoint.open("base")
    honest = wa.Checkpoint.open("finetuned") - base
    wa.save(base + 0.5 * honest, "merged")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weightarith.algebra import Checkpoint, Sum, Vector
    from weightarith.engine.settings import Policy
    from weightarith.errors import (
        DegreeError,
        HubError,
        IncompatibleError,
        Interrupted,
        InvalidFileError,
        LockedError,
        NonFiniteError,
        RecipeError,
        StorageError,
        TargetError,
        UnsupportedError,
        VerificationError,
        WeightArithError,
    )
    from weightarith.recipe import Recipe, load_recipe, parse_expression, parse_recipe
    from weightarith.saving import save

_HOMES = {
    "Checkpoint": "algebra",
    "DegreeError": "errors",
    "HubError": "errors",
    "IncompatibleError": "errors",
    "Interrupted": "errors",
    "InvalidFileError": "errors",
    "LockedError": "errors",
    "NonFiniteError": "errors",
    "Policy": "engine.settings",
    "Recipe": "recipe",
    "RecipeError": "errors",
    "StorageError": "errors",
    "Sum": "algebra",
    "TargetError": "errors",
    "UnsupportedError": "errors",
    "Vector": "algebra",
    "VerificationError": "errors",
    "WeightArithError": "errors",
    "load_recipe": "recipe",
    "parse_expression": "recipe",
    "parse_recipe": "recipe",
    "save": "saving",
}

__all__ = [
    "Checkpoint",
    "DegreeError",
    "HubError",
    "IncompatibleError",
    "Interrupted",
    "InvalidFileError",
    "LockedError",
    "NonFiniteError",
    "Policy",
    "Recipe",
    "RecipeError",
    "StorageError",
    "Sum",
    "TargetError",
    "UnsupportedError",
    "Vector",
    "VerificationError",
    "WeightArithError",
    "load_recipe",
    "parse_expression",
    "parse_recipe",
    "save",
]


def __getattr__(name: str) -> Any:
    """Return a public name, importing its module on first use, so that `--help` pays for none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module 'weightarith' has no attribute {name!r}")
    return getattr(import_module(f"weightarith.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
