"""What `compare` is given, opened as displacements: vectors, adapters, runs, and models less their base."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from weightarith.algebra import Checkpoint, Leaf, Linear, Vector
from weightarith.cli.opening import described, labels_for, opened, opened_model
from weightarith.errors import RecipeError, quoted

if TYPE_CHECKING:
    from weightarith.contrast import Run

RUN = "run.json"


@dataclass(frozen=True)
class Comparands:
    """What is compared.

    Attributes:
        labels: what each is called.
        linears: each as a displacement; where `weights` holds, two models as they are.
        sides: of each run, by label, the displacements of its positive and its negative side.
        without: labels of runs whose sides are not there any more.
        base: the model they are measured from, where it was named.
        weights: whether two models are compared, and no displacements.
    """

    labels: tuple[str, ...]
    linears: tuple[Linear, ...]
    sides: dict[str, tuple[Linear, Linear]]
    without: tuple[str, ...]
    base: Checkpoint | None
    weights: bool


def comparands(texts: tuple[str, ...], base: str | None) -> Comparands:
    """Return what texts on a command line mean.

    Raises:
        RecipeError: models among vectors, or more than two of them, and no base.
        WeightArithError: something cannot be opened.
    """
    labels = labels_for(list(texts))
    model = None if base is None else opened_model(base, "base")
    runs = {label: text for text, label in zip(texts, labels, strict=True) if _is_run(text)}
    leaves = [_leaf(text, label, model) for text, label in zip(texts, labels, strict=True)]
    models = [leaf for leaf in leaves if isinstance(leaf, Checkpoint)]
    weights = model is None and len(models) == len(leaves) == 2
    if models and model is None and not weights:
        raise RecipeError(
            f"{models[0].label} is a model, and what it was trained from is not known",
            hint="name it, and each model counts as its difference from it: --base BASE",
        )
    linears = tuple(leaf - model if isinstance(leaf, Checkpoint) and model else leaf for leaf in leaves)
    sides = {label: _sides(text, model) for label, text in runs.items()}
    return Comparands(
        tuple(labels), linears, {label: both for label, both in sides.items() if both is not None},
        tuple(label for label, both in sides.items() if both is None), model, weights,
    )  # fmt: skip


def _is_run(text: str) -> bool:
    return (Path(text) / RUN).is_file()


def _leaf(text: str, label: str, base: Checkpoint | None) -> Leaf:
    if _is_run(text):
        return Vector.open(_run(text).vector, label=label)
    leaf = opened(text, label)
    whole = isinstance(leaf, Vector) and leaf.source.replaced
    return Vector(leaf.source, label, base) if whole else leaf


def _sides(text: str, base: Checkpoint | None) -> tuple[Linear, Linear] | None:
    """Return the displacements of the two sides of a run, None where one of them was discarded."""
    run = _run(text)
    if not run.positive.exists() or not run.negative.exists():
        return None
    return _side(run, run.positive, "positive", base), _side(run, run.negative, "negative", base)


def _side(run: Run, path: Path, label: str, base: Checkpoint | None) -> Linear:
    leaf = opened(str(path), label)
    if isinstance(leaf, Vector) and not leaf.source.replaced:
        return leaf
    start = base if base is not None else opened_model(run.base, "base")
    if isinstance(leaf, Vector):
        return Vector(leaf.source, label, start)
    if not isinstance(leaf, Checkpoint):
        raise RecipeError(f"{quoted(str(path))} is {described(leaf)}, expected a side of a run")
    return leaf - start


def _run(text: str) -> Run:
    from weightarith.contrast import read_run

    return read_run(text)
