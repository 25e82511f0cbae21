"""What a contrast is compared with: biases alone, and one training on a task and a side together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from weightarith.contrast.make import make
from weightarith.contrast.plan import plan_contrast
from weightarith.contrast.run import BIAS, JOINT, Run, Side, read_run
from weightarith.data import Example
from weightarith.errors import RecipeError
from weightarith.store.stage import check_target
from weightarith.train.run import train
from weightarith.train.settings import Settings
from weightarith.train.watch import Moment


def add_bias(
    run: Run,
    *,
    learning_rates: tuple[float, ...] = (),
    overwrite: bool = False,
    device: str = "auto",
    progress: Callable[[Moment], None] = lambda _moment: None,
) -> Run:
    """Train the same contrast once more with nothing but a bias on every MLP down projection.

    Fierro and Roger (2025), section 4, compare with it: as wide as an activation vector on every layer, but
    learned.

    Args:
        run: the contrast, whose data and settings are used.
        learning_rates: to be tried; biases want higher ones, and those of `RATES` are the default.
        overwrite: replace what is there.
        device: `auto`, or `cpu` even where there is a GPU.
        progress: called after every step.

    Raises:
        WeightArithError: see `weightarith.errors`; work that was done is kept for the next call.
    """
    settings = replace(
        run.settings, kind="bias", learning_rates=learning_rates, trained_whole=(), keep_checkpoints=False
    )
    plan = plan_contrast(
        run.base, run.examples["positive"], run.examples["negative"], settings, device=device
    )
    target = run.folder / BIAS
    check_target(target, [plan.start.folder], overwrite=overwrite)
    make(plan, target, overwrite=overwrite, progress=progress)
    return read_run(run.folder)


def add_joint(
    run: Run,
    task: Sequence[Example],
    *,
    side: Side = "negative",
    repeat: int = 1,
    settings: Settings | None = None,
    overwrite: bool = False,
    device: str = "auto",
    progress: Callable[[Moment], None] = lambda _moment: None,
) -> Run:
    """Train one adapter on a task and on one side of the contrast together: the plain way.

    Fierro and Roger (2025), section 4, mix the side in up to six times.

    Args:
        run: the contrast.
        task: what else is trained on.
        side: the one that is mixed in.
        repeat: how often each of its rows is.
        settings: how to train; None takes those of the run.
        overwrite: replace what is there.
        device: `auto`, or `cpu` even where there is a GPU.
        progress: called after every step.

    Raises:
        WeightArithError: see `weightarith.errors`; work that was done is kept for the next call.
    """
    if repeat < 1:
        raise RecipeError(f"a side is mixed in {repeat} times, expected once or more")
    chosen = settings or replace(run.settings, kind="lora", keep_checkpoints=False)
    if chosen.kind != "lora":
        raise RecipeError(f"joint training makes an adapter, and its settings say {chosen.kind}")
    examples = [*task, *run.examples[side] * repeat]
    train(
        run.base, examples, run.folder / JOINT, chosen,
        overwrite=overwrite, device=device, progress=progress,
    )  # fmt: skip
    return read_run(run.folder)
