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
    from weightarith.lm.model import load as load_model
    from weightarith.lock import Lock, load_locked, lock_recipe
    from weightarith.lowrank import export_adapter, save_compressed
    from weightarith.mergekit import load_recipe
    from weightarith.operators.field import Blockwise, Field, Mixed, Product, Rowwise, Tensors, Whole
    from weightarith.operators.operator import Operator, Option
    from weightarith.proof import Verdict
    from weightarith.proof import pull_output as pull
    from weightarith.proof import reproduce_output as reproduce
    from weightarith.proof import verify_output as verify
    from weightarith.publish.push import Pushed, push
    from weightarith.recipe import Recipe, parse_expression, parse_recipe
    from weightarith.saving import save
    from weightarith.steer.live import steered

_HOMES = {
    "Blockwise": "operators.field",
    "Checkpoint": "algebra",
    "DegreeError": "errors",
    "Field": "operators.field",
    "HubError": "errors",
    "IncompatibleError": "errors",
    "Interrupted": "errors",
    "InvalidFileError": "errors",
    "Lock": "lock",
    "LockedError": "errors",
    "Mixed": "operators.field",
    "NonFiniteError": "errors",
    "Operator": "operators.operator",
    "Option": "operators.operator",
    "Policy": "engine.settings",
    "Product": "operators.field",
    "Pushed": "publish.push",
    "Recipe": "recipe",
    "RecipeError": "errors",
    "Rowwise": "operators.field",
    "StorageError": "errors",
    "Sum": "algebra",
    "TargetError": "errors",
    "Tensors": "operators.field",
    "UnsupportedError": "errors",
    "Vector": "algebra",
    "Verdict": "proof",
    "VerificationError": "errors",
    "WeightArithError": "errors",
    "Whole": "operators.field",
    "export_adapter": "lowrank",
    "load_locked": "lock",
    "load_model": "lm.model:load",
    "load_recipe": "mergekit",
    "lock_recipe": "lock",
    "parse_expression": "recipe",
    "parse_recipe": "recipe",
    "pull": "proof:pull_output",
    "push": "publish.push",
    "reproduce": "proof:reproduce_output",
    "save": "saving",
    "save_compressed": "lowrank",
    "steered": "steer.live",
    "verify": "proof:verify_output",
}
"""The module of every public name; behind a colon, what it is called there, if not the same."""

_OPERATORS = frozenset((
    "abliterate", "arcee_fusion", "breadcrumbs", "breadcrumbs_ties", "compress", "core_space", "dare",
    "dare_linear", "dare_ties", "della", "della_linear", "elect", "expo", "ext_sub", "fisher", "int8",
    "iso_c", "iso_cts", "karcher", "knots", "linear", "lines", "magprune", "model_stock", "multislerp",
    "nearswap", "nuslerp", "passthrough", "project", "ram", "ramplus", "reject", "safe_lora", "sce",
    "sign", "slerp", "subspace_boosting", "task_arithmetic", "ties", "trim", "tsv",
))  # fmt: skip
"""Names of `operators.table.OPERATORS`, written out so that a look at the package imports none of them."""

__all__ = [
    "Blockwise",
    "Checkpoint",
    "DegreeError",
    "Field",
    "HubError",
    "IncompatibleError",
    "Interrupted",
    "InvalidFileError",
    "Lock",
    "LockedError",
    "Mixed",
    "NonFiniteError",
    "Operator",
    "Option",
    "Policy",
    "Product",
    "Pushed",
    "Recipe",
    "RecipeError",
    "Rowwise",
    "StorageError",
    "Sum",
    "TargetError",
    "Tensors",
    "UnsupportedError",
    "Vector",
    "Verdict",
    "VerificationError",
    "WeightArithError",
    "Whole",
    "export_adapter",
    "load_locked",
    "load_model",
    "load_recipe",
    "lock_recipe",
    "parse_expression",
    "parse_recipe",
    "pull",
    "push",
    "reproduce",
    "save",
    "save_compressed",
    "steered",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Return a public name, importing its module on first use, so that `--help` pays for none of them.

    Operators are public by the names they have in recipes: `weightarith.ties([v, w], density=0.2)`.
    """
    if name in _OPERATORS:
        return import_module("weightarith.operators.table").OPERATORS[name]
    if name not in _HOMES:
        raise AttributeError(f"module 'weightarith' has no attribute {name!r}")
    home, _, own = _HOMES[name].partition(":")
    return getattr(import_module(f"weightarith.{home}"), own or name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted({*__all__, *_OPERATORS})
