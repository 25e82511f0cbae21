"""A recipe locked, and a recipe read as its lock has it: what Python offers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from weightarith.lock.document import Lock, read_lock, write_lock
from weightarith.lock.drift import drift_between, held
from weightarith.lock.make import lock_of, lock_path
from weightarith.mergekit.load import load_recipe
from weightarith.operators.operator import Operator
from weightarith.recipe import Recipe


def lock_recipe(
    recipe: str | Path, path: str | Path | None = None, *,
    operators: Iterable[Operator] = (), overwrite: bool = False,
) -> Lock:  # fmt: skip
    """Pin every input of a recipe to the bytes that it has now, write that down, and return it.

    Of inputs on the Hub the commit is written, and what the Hub lists of their files; no weights are fetched.

    Args:
        recipe: the file.
        path: where to write; None is beside it, `recipe.lock` for `recipe.yaml`.
        operators: further ones, which the recipe may call by their names.
        overwrite: replace a lock that says something else; one that says the same stays as it is.

    Raises:
        RecipeError: the recipe means nothing.
        TargetError: another lock stands there, or something that is none.
        HubError: the Hub does not list an input.
    """
    source = Path(recipe)
    place = Path(path) if path is not None else lock_path(source)
    before = read_lock(place) if place.exists() else None
    made = lock_of(source, operators=operators)
    if before is None or drift_between(before, made):
        write_lock(place, made, overwrite=overwrite)
    return made


def load_locked(
    recipe: str | Path, params: Mapping[str, str] | None = None, *,
    lock: str | Path | None = None, operators: Iterable[Operator] = (), stream: bool = False,
) -> Recipe:  # fmt: skip
    """Return a recipe, its inputs opened by their headers and held against its lock.

    Args:
        recipe: the file.
        params: numbers in place of those under `params:`, as text: `{"k": "1.5"}`.
        lock: the file that pins the inputs; None is the one beside the recipe.
        operators: further ones, which the recipe may call by their names.
        stream: whether the weights of inputs that are on the Hub stay there until they are needed.

    Raises:
        VerificationError: an input is another one than the lock's; all that differs is named.
        WeightArithError: see `load_recipe`.
    """
    source, known = Path(recipe), list(operators)
    place = Path(lock) if lock is not None else lock_path(source)
    found = held(source, read_lock(place), str(place), operators=known, stream=stream)
    return load_recipe(source, params, operators=known, given=found.places, stream=stream)
