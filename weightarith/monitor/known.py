"""The vectors that a training is held against: those watched, the opposite of each, and controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weightarith.algebra import Checkpoint, Linear, Vector
from weightarith.contrast import Run, read_run
from weightarith.contrast.run import RUN, SIDES
from weightarith.errors import RecipeError, quoted, some
from weightarith.geometry import Gram, gram
from weightarith.geometry.products import lengths
from weightarith.hub import locate
from weightarith.monitor.overlap import Doubles
from weightarith.store import open_source
from weightarith.store.folder import SUFFIX

Given = Linear | str | Path
"""A vector, or where one lies: a vector, an adapter, or a folder written by `contrast`."""

_COMMON = ("model", "vector", "adapter_model")


@dataclass(frozen=True)
class Watched:
    """One vector whose cosine is followed.

    Attributes:
        label: what it is called.
        place: its number among all vectors.
        opposite: what it is set against, by its label; empty where nothing is.
        sides: the numbers of the two whose cosines make up the gap; None where nothing is set against it.
    """

    label: str
    place: int
    opposite: str = ""
    sides: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Known:
    """All vectors of a monitor.

    Attributes:
        labels: of all.
        vectors: all of them.
        watched: those that may sound an alarm.
        controls: the numbers of unrelated trainings, which tell what a training comes to by itself.
        products: inner products of all with one another.
    """

    labels: tuple[str, ...]
    vectors: tuple[Linear, ...]
    watched: tuple[Watched, ...]
    controls: tuple[int, ...]
    products: Gram

    def direction(self, one: Watched) -> Doubles:
        """Return the coefficients, (vectors,), of what a watched vector is tested by.

        That is the vector itself over its norm, or v/‖v‖ − o/‖o‖ where it has an opposite.
        """
        return self._unit(one.place) if one.sides is None else self._gap(*one.sides)

    def norm(self, direction: Doubles) -> float:
        """Return the norm of a combination of the vectors."""
        return float(np.sqrt(max(float(direction @ self.products.total() @ direction), 0.0)))

    def of_controls(self, one: Watched) -> dict[str, float]:
        """Return what each control comes to where a training is tested by a watched vector, by label."""
        total, direction = self.products.total(), self.direction(one)
        norms = lengths(total)
        return {self.labels[each]: float(total[each] @ direction / norms[each]) for each in self.controls}

    def _unit(self, place: int) -> Doubles:
        found = np.zeros(len(self.labels))
        found[place] = 1 / lengths(self.products.total())[place]
        return found

    def _gap(self, plus: int, minus: int) -> Doubles:
        return self._unit(plus) - self._unit(minus)


def known_from(
    against: Sequence[Given],
    controls: Sequence[Given] = (),
    opposites: Mapping[str, str] | None = None,
    base: Checkpoint | None = None,
    *,
    threads: int = 0,
) -> Known:
    """Return `known` of vectors from where they lie, see `opened`; a run as a control is its two sides."""
    watched, others = opened(against, base), opened(controls, base)
    trainings: dict[str, Linear] = {}
    for label, vector in others.vectors.items():
        trainings |= _by_sides(label, others.sides[label]) if label in others.sides else {label: vector}
    return known(
        watched.vectors, opposites=opposites, sides=watched.sides, controls=trainings, threads=threads
    )


def known(
    against: Mapping[str, Linear],
    *,
    opposites: Mapping[str, str] | None = None,
    sides: Mapping[str, tuple[Linear, Linear]] | None = None,
    controls: Mapping[str, Linear] | None = None,
    threads: int = 0,
) -> Known:
    """Return vectors ready to be held against a training; each is read once, for its norm.

    Args:
        against: what is watched, by label.
        opposites: of a watched vector, by label, the watched vector that it is set against; that one sounds
            no alarm of its own, unless it is set against another itself.
        sides: of a contrast, by label, the two fine-tunes that it is the difference of.
        controls: unrelated trainings, by label.
        threads: how many; 0 takes one a core.

    Raises:
        RecipeError: nothing is watched, a label is unknown or taken twice, or a vector is zero.
        WeightArithError: they do not fit together, or are damaged.
    """
    opposites, sides, controls = opposites or {}, sides or {}, controls or {}
    _check(against, opposites, controls)
    held: dict[str, Linear] = dict(against)
    for label, both in sides.items():
        if label not in opposites:
            held |= _by_sides(label, both)
    held |= controls
    places = {label: place for place, label in enumerate(held)}
    found = gram(list(held.values()), labels=list(held), threads=threads)
    zero = [label for label, norm in zip(found.labels, found.norms(), strict=True) if not norm]
    if zero:
        raise RecipeError(f"{quoted(zero[0])} is zero, and nothing can be like it")
    references = set(opposites.values()) - opposites.keys()
    watched = tuple(_watched(label, places, opposites) for label in against if label not in references)
    numbers = tuple(places[label] for label in controls)
    return Known(tuple(held), tuple(held.values()), watched, numbers, found)


def _by_sides(label: str, both: tuple[Linear, Linear]) -> dict[str, Linear]:
    return {f"{label}+": both[0], f"{label}−": both[1]}


def _watched(label: str, places: Mapping[str, int], opposites: Mapping[str, str]) -> Watched:
    if label in opposites:
        other = opposites[label]
        return Watched(label, places[label], other, (places[label], places[other]))
    if f"{label}+" in places and f"{label}−" in places:
        return Watched(label, places[label], f"{label}−", (places[f"{label}+"], places[f"{label}−"]))
    return Watched(label, places[label])


def _check(
    against: Mapping[str, Linear], opposites: Mapping[str, str], controls: Mapping[str, Linear]
) -> None:
    if not against:
        raise RecipeError("there is nothing to watch for", hint="name a vector: --against V.safetensors")
    for one, other in opposites.items():
        for label in (one, other):
            if label not in against:
                raise RecipeError(
                    f"{quoted(label)} is set against another vector and is not watched",
                    hint=f"the vectors are called {some(list(against))}",
                )
        if one == other:
            raise RecipeError(f"{quoted(one)} cannot be its own opposite")
    twice = sorted(against.keys() & controls.keys())
    if twice:
        raise RecipeError(f"{quoted(twice[0])} is watched, and a control too")


@dataclass(frozen=True)
class Opened:
    """Vectors opened from where they lie, by label, and the two sides of those that are runs."""

    vectors: dict[str, Linear]
    sides: dict[str, tuple[Linear, Linear]]


def opened(given: Sequence[Given], base: Checkpoint | None = None) -> Opened:
    """Return vectors, opened by their headers, with labels made of their paths.

    Args:
        given: vectors, adapters, folders written by `contrast`, or vectors that are open.
        base: the model they are for, where an adapter holds fully trained tensors or names of its own.

    Raises:
        RecipeError: one of them is a model, or two have the same name.
        WeightArithError: one of them is not there or is damaged.
    """
    vectors: dict[str, Linear] = {}
    sides: dict[str, tuple[Linear, Linear]] = {}
    for one in given:
        label = str(one) if isinstance(one, Linear) else label_of(one)
        if label in vectors:
            raise RecipeError(
                f"two vectors are called {quoted(label)}",
                hint="give their files or folders names of their own",
            )
        if isinstance(one, Linear):
            vectors[label] = one
        elif (Path(one) / RUN).is_file():
            run = read_run(one)
            vectors[label] = Vector.open(run.vector, label=label)
            if run.positive.exists() and run.negative.exists():
                sides[label] = _sides(run, base)
        else:
            vectors[label] = _displacement(one, label, base)
    return Opened(vectors, sides)


def label_of(path: str | Path) -> str:
    """Return a short name for what lies at a path: the last part of it that says something."""
    place = Path(path)
    name = place.name.removesuffix(SUFFIX)
    if name in _COMMON and place.name.endswith(SUFFIX):
        return place.absolute().parent.name or name
    return name or str(place.resolve().name)


def _sides(run: Run, base: Checkpoint | None) -> tuple[Linear, Linear]:
    positive, negative = (_side(getattr(run, side), side, run, base) for side in SIDES)
    return positive, negative


def _side(path: Path, label: str, run: Run, base: Checkpoint | None) -> Linear:
    source = open_source(path)
    if source.kind != "checkpoint" and not source.replaced:
        return Vector(source, label)
    start = base if base is not None else Checkpoint.open(locate(run.base), label="base")
    return Checkpoint(source, label) - start if source.kind == "checkpoint" else Vector(source, label, start)


def _displacement(given: str | Path, label: str, base: Checkpoint | None) -> Linear:
    source = open_source(locate(str(given)))
    if source.kind == "checkpoint":
        raise RecipeError(
            f"{quoted(str(given))} is a model, expected a vector, an adapter or a run",
            hint="subtract its base first: weightarith diff FINETUNED BASE -o v.safetensors",
        )
    return Vector(source, label, base if source.replaced or source.own_names else None)
