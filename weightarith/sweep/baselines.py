"""The methods a weight vector has to be better than, each made of what a run folder holds.

Positive only, negative only, activation steering, a system prompt, the fine-tunes themselves at their
checkpoints, joint fine-tuning, biases alone, and a random vector of the same norm: the baselines and
ablations of arXiv 2511.05408, and chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from weightarith.algebra import Checkpoint, Linear, Vector
from weightarith.contrast import Run, Side
from weightarith.contrast.run import VECTOR
from weightarith.hub import locate
from weightarith.lm import LanguageModel
from weightarith.steer import (
    ActivationMethod,
    ActivationVectors,
    PromptMethod,
    StagesMethod,
    WeightMethod,
    negative_only,
    positive_only,
    random_like,
    train_activation,
)
from weightarith.store import open_source
from weightarith.sweep.arm import Arm, files_identity, identity_of
from weightarith.sweep.named import names_in

SIDES: dict[Side, int] = {"positive": 1, "negative": -1}


class Missing(Exception):  # noqa: N818  (no error: the sweep goes on, and says so)
    """A method cannot be made; the text says of what it would be."""


@dataclass(frozen=True)
class Ingredients:
    """What methods are made of.

    Attributes:
        label: what the run, or the vector, is called.
        vector: the file of the vector.
        base: the model that is steered, unsteered.
        model: where its weights are, for adapters with tensors that are trained whole.
        run: the run folder, where there is one.
        prompts: system prompts that ask for the behaviour and for its opposite.
        seed: of the random vector.
    """

    label: str
    vector: Path
    base: LanguageModel
    model: str
    run: Run | None = None
    prompts: tuple[str, str] | None = None
    seed: int = 0

    @property
    def of_run(self) -> Run:
        """The run.

        Raises:
            Missing: there is a vector alone.
        """
        if self.run is None:
            raise Missing("made of a run folder, and this is a vector alone")
        return self.run

    @cached_property
    def activations(self) -> ActivationVectors:
        """The difference of activations over the run's own data."""
        examples = self.of_run.examples
        return train_activation(self.base, examples["positive"], examples["negative"])

    @cached_property
    def data_identity(self) -> str:
        """A hash of the run's data."""
        return identity_of({side: [*map(asdict, rows)] for side, rows in self.of_run.examples.items()})

    def opened(self, path: Path) -> Linear:
        """Return what a fine-tune changed: its adapter, its vector, or itself less the base."""
        source = open_source(path)
        if source.kind == "checkpoint":
            return Checkpoint(source, path.name) - Checkpoint.open(locate(self.model), label="base")
        if source.replaced:
            return Vector(source, path.name, Checkpoint.open(locate(self.model), label="base"))
        return Vector(source, path.name)


def chosen(of: Ingredients) -> Arm:
    """Return the vector that all else is compared with."""
    name = "contrast" if of.run is not None else of.label
    return Arm(WeightMethod(name, of.opened(of.vector)), files_identity(of.vector))


def _side(of: Ingredients, side: Side) -> Path:
    path = of.of_run.positive if side == "positive" else of.of_run.negative
    if not path.exists():
        raise Missing(f"the run has discarded the {side} model")
    return path


def _positive(of: Ingredients) -> Arm:
    path = _side(of, "positive")
    return Arm(positive_only(of.opened(path)), identity_of({"positive": files_identity(path)}))


def _negative(of: Ingredients) -> Arm:
    path = _side(of, "negative")
    return Arm(negative_only(of.opened(path)), identity_of({"negative": files_identity(path)}))


def activation(of: Ingredients, layer: int | None) -> Arm:
    """Return activation steering at one layer, or at all."""
    identity = identity_of({"activation": of.data_identity, "layer": layer})
    return Arm(ActivationMethod(of.activations, layer), identity)


def _prompt(of: Ingredients) -> Arm:
    if of.prompts is None:
        raise Missing("no system prompts; give --trait FILE, or --prompts POSITIVE NEGATIVE")
    return Arm(PromptMethod("system prompt", *of.prompts), identity_of({"prompts": of.prompts}))


def _stages(of: Ingredients) -> Arm:
    """Return the fine-tunes of both sides: what was kept of each at ±1, other checkpoints by their step."""
    run = of.of_run
    paths: dict[float, Path] = {}
    for side, sign in SIDES.items():
        kept = run.checkpoints[side]
        paths |= {sign * round(step / run.step, 4): path for step, path in kept if step != run.step}
        paths[float(sign)] = _side(of, side)
    identity = identity_of({"stages": {f"{k:g}": files_identity(path) for k, path in paths.items()}})
    return Arm(StagesMethod("fine-tuning", {k: of.opened(path) for k, path in paths.items()}), identity)


def _joint(of: Ingredients) -> Arm:
    path = of.of_run.joint
    if path is None:
        raise Missing("the run has no joint fine-tune; give the task's data, --task FILE, and it is trained")
    return Arm(StagesMethod("joint", {-1.0: of.opened(path)}), identity_of({"joint": files_identity(path)}))


def _bias(of: Ingredients) -> Arm:
    path = of.of_run.bias
    if path is None:
        raise Missing("the run has no biases; name bias among the baselines, and they are trained")
    file = path / VECTOR
    return Arm(WeightMethod("bias only", of.opened(file)), identity_of({"bias": files_identity(file)}))


def _random(of: Ingredients) -> Arm:
    method = random_like(of.opened(of.vector), of.seed)
    method.name = "random"  # one name for all seeds, so that runs can be averaged
    return Arm(method, identity_of({"random": files_identity(of.vector), "seed": of.seed}))


MAKERS: dict[str, Callable[[Ingredients], Arm]] = {
    "positive": _positive,
    "negative": _negative,
    "activation": lambda of: activation(of, 1),  # its layer is searched for: see `line_up`
    "activation-all": lambda of: activation(of, None),
    "prompt": _prompt,
    "fine-tuning": _stages,
    "joint": _joint,
    "bias": _bias,
    "random": _random,
}
BASELINES = tuple(MAKERS)


def made(name: str, of: Ingredients) -> Arm:
    """Return a baseline.

    Raises:
        Missing: what it is made of is not there.
    """
    return MAKERS[name](of)


def baselines_named(text: str) -> tuple[str, ...]:
    """Return the names in a list with commas, or in the words all and none.

    Raises:
        RecipeError: a name is unknown, or stands there twice.
    """
    return names_in(text, BASELINES, "baseline")


def with_seeds(runs: Sequence[Ingredients]) -> list[Ingredients]:
    """Return further runs, each with a random vector of its own."""
    return [replace(of, seed=of.seed + number) for number, of in enumerate(runs, 1)]
