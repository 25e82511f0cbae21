"""Who takes part in a sweep: the vector, the baselines that were asked for, and the same of further runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from weightarith.sweep.arm import Arm
from weightarith.sweep.baselines import Ingredients, Missing, activation, chosen, made, with_seeds
from weightarith.sweep.depth import Tried, best_layer, layers_of, targets_of
from weightarith.sweep.lineup import LineUp
from weightarith.sweep.settings import Settings
from weightarith.sweep.walk import Walk


def line_up(
    walk: Walk,
    of: Ingredients,
    names: Sequence[str],
    settings: Settings,
    also: Sequence[Ingredients] = (),
    told: Callable[[str], None] = lambda _what: None,
) -> LineUp:
    """Return the vector and its baselines; the layer of activation steering is searched for.

    Args:
        walk: what measures.
        of: the run, or the vector alone.
        names: of baselines; one that cannot be made is listed as missing.
        settings: the strengths and targets, which say at what cost layers are compared.
        also: runs with other seeds.
        told: called with what the search tries.
    """
    arms, missing, layers = [chosen(of)], dict[str, str](), list[Tried]()
    layer = 1
    for name in names:
        try:
            arms.append(made(name, of))
            if name == "activation":
                layer, layers = _searched(walk, of, arms[0], settings, told)
                arms[-1] = activation(of, layer)
        except Missing as why:
            missing[name] = str(why)
    if "fine-tuning" in names and of.run is not None and not any(of.run.checkpoints.values()):
        missing["earlier checkpoints of fine-tuning"] = "the run has kept none"
    others = {run.label: tuple(_replicas(run, names, missing, layer)) for run in with_seeds(also)}
    return LineUp(tuple(arms), others, missing, of.label, tuple(layers))


def _searched(
    walk: Walk, of: Ingredients, first: Arm, settings: Settings, told: Callable[[str], None]
) -> tuple[int, list[Tried]]:
    targets = targets_of(walk, first, settings.strengths, settings.targets, settings.directions)
    candidates = layers_of(of.activations.count)
    return best_layer(walk, candidates, lambda layer: activation(of, layer), targets, told)


def _replicas(run: Ingredients, names: Sequence[str], missing: dict[str, str], layer: int) -> list[Arm]:
    """Return the methods of a further run; what it lacks is listed as missing of that run."""
    found = [chosen(run)]
    for name in names:
        if name in missing:
            continue
        try:
            found.append(activation(run, layer) if name == "activation" else made(name, run))
        except Missing as why:
            missing[f"{name} of {run.label}"] = str(why)
    return found
