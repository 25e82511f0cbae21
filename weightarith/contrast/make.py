"""Two opposite fine-tunes and their difference, the steering vector: positive − negative.

Both sides share the base, the random start, the order of the rows, the rows kept back, the learning rate
and the step: everything but the answers. Another random start alone gives a vector that is nearly orthogonal.

Fierro and Roger (2025), section 2, https://arxiv.org/abs/2511.05408
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from weightarith.algebra import Checkpoint, Linear, Vector
from weightarith.contrast.geometry import geometry
from weightarith.contrast.plan import Contrast, check_place, path_from, plan_contrast
from weightarith.contrast.run import CHECKPOINTS, FORMAT, RUN, SIDES, VECTOR, Run, Side, read_run
from weightarith.data import Example
from weightarith.store.stage import RECEIPT, staged, write_small
from weightarith.train.choice import Chosen, choose
from weightarith.train.fit import Fitted, fit, weights_at
from weightarith.train.result import name_of, write_result
from weightarith.train.rows import as_lines
from weightarith.train.run import (
    REPORT,
    REPORT_FORMAT,
    chosen_json,
    provenance,
    rate_folder,
    receipt_of,
    versions,
    write_checkpoints,
)
from weightarith.train.settings import Settings
from weightarith.train.vectors import write_vector
from weightarith.train.watch import Moment
from weightarith.train.work import at_work, is_main, wait_for_all


def contrast(
    base: str | Path,
    positive: Sequence[Example],
    negative: Sequence[Example],
    out: str | Path,
    settings: Settings | None = None,
    *,
    overwrite: bool = False,
    discard_models: bool = False,
    device: str = "auto",
    report_to: tuple[str, ...] = (),
    progress: Callable[[Moment], None] = lambda _moment: None,
) -> Run:
    """Train both sides, write the run folder and return it.

    A call that was killed is gone on with by the same call; the folder stands there when all of it is done.
    Under `accelerate launch` every process makes the same call, and the main one writes.

    Args:
        base: a transformers folder, or hf://org/name.
        positive: examples whose answers show the behaviour.
        negative: as a rule the same conversations, whose answers show the opposite.
        out: the run folder.
        settings: how to train each side; None takes the defaults.
        overwrite: replace an earlier run.
        discard_models: of full fine-tuning keep the vector alone, and not the two models.
        device: `auto`, or `cpu` even where there is a GPU.
        report_to: trackers that transformers knows, such as `tensorboard`.
        progress: called after every step.

    Raises:
        WeightArithError: see `weightarith.errors`; work that was done is kept for the next call.
    """
    target = Path(out)
    plan = plan_contrast(base, positive, negative, settings or Settings(), device=device, report_to=report_to)
    check_place(plan, target, overwrite=overwrite)
    make(plan, target, overwrite=overwrite, discard_models=discard_models, progress=progress)
    return read_run(target)


def make(
    plan: Contrast, target: Path, *, overwrite: bool, discard_models: bool = False,
    progress: Callable[[Moment], None],
) -> None:  # fmt: skip
    """Train both sides and publish what came of it.

    Raises:
        WeightArithError: work that was done is kept for the next call.
    """
    with at_work(target, plan.start.job(plan.about)) as work:
        sides = {side: _fitted(plan, side, work, progress) for side in SIDES}
        chosen = choose([sides[side] for side in SIDES], plan.settings)
        if is_main():
            _publish(plan, work, sides, chosen, target, overwrite=overwrite, discard_models=discard_models)
    wait_for_all()


def _publish(
    plan: Contrast, work: Path, sides: Mapping[Side, Mapping[float, Fitted]], chosen: Chosen, target: Path, *,
    overwrite: bool, discard_models: bool,
) -> None:  # fmt: skip
    found = {side: _weights(work, side, chosen) for side in SIDES}
    with staged(target, needed=_needed(plan, found), overwrite=overwrite) as stage:
        _write_sides(plan, work, sides, chosen, stage)
        told = _write_vector(plan, chosen, stage)
        _write_words(plan, sides, chosen, told, stage, target)
        if discard_models and plan.settings.kind == "full":
            for side in SIDES:
                shutil.rmtree(stage / side)
        write_small(stage / RECEIPT, receipt_of("run", plan.start, stage))


def _fitted(
    plan: Contrast, side: Side, work: Path, progress: Callable[[Moment], None]
) -> dict[float, Fitted]:
    job = plan.jobs[side]
    return {rate: fit(job, rate, rate_folder(work / side, rate), progress) for rate in plan.settings.rates}


def _weights(work: Path, side: Side, chosen: Chosen) -> Path:
    return weights_at(rate_folder(work / side, chosen.learning_rate), chosen.step)


def _needed(plan: Contrast, found: Mapping[Side, Path]) -> int:
    """Return the bytes that a run takes, roughly: both sides, the vector, and checkpoints."""
    weights = sum(path.stat().st_size for folder in found.values() for path in folder.glob("*.safetensors"))
    return weights * (5 if plan.settings.keep_checkpoints else 2)


def _write_sides(
    plan: Contrast, work: Path, sides: Mapping[Side, Mapping[float, Fitted]], chosen: Chosen, stage: Path
) -> None:
    (stage / "data").mkdir()
    for side in SIDES:
        data = _short(plan.about["data"][side])
        told = provenance(plan.settings, chosen, data)
        place = stage / name_of(side, plan.settings.kind)
        write_result(plan.settings.kind, _weights(work, side, chosen), place, plan.start, told)
        write_checkpoints(
            rate_folder(work / side, chosen.learning_rate), stage / CHECKPOINTS / side,
            sides[side][chosen.learning_rate], chosen, plan.settings, plan.start, data,
        )  # fmt: skip
        write_small(stage / "data" / f"{side}.jsonl", as_lines(plan.examples[side]).encode())


def _write_vector(plan: Contrast, chosen: Chosen, stage: Path) -> dict[str, Any]:
    """Write positive − negative, and return how the two lie to each other."""
    opened = {side: _opened(stage / name_of(side, plan.settings.kind), side, plan) for side in SIDES}
    data: dict[str, Any] = {side: _short(plan.about["data"][side]) for side in SIDES}
    write_vector(
        opened["positive"] - opened["negative"],
        stage / VECTOR,
        start=plan.start,
        training=provenance(plan.settings, chosen, data),
    )
    if plan.settings.kind == "full":
        opened = {side: one - plan.start.checkpoint for side, one in opened.items()}
    return geometry(opened["positive"], opened["negative"])


def _opened(path: Path, side: Side, plan: Contrast) -> Linear:
    if plan.settings.kind == "full":
        return Checkpoint.open(path, label=side)
    whole = plan.start.checkpoint if plan.settings.trained_whole else None
    return Vector.open(path, label=side, base=whole)


def _short(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"rows": data["rows"], "sha256": data["sha256"]}


def _write_words(
    plan: Contrast, sides: Mapping[Side, Mapping[float, Fitted]], chosen: Chosen, told: Mapping[str, Any],
    stage: Path, target: Path,
) -> None:  # fmt: skip
    kept = chosen_json(chosen, SIDES)
    run = {
        "weightarith_run": FORMAT,
        **plan.about,
        "base": {**plan.about["base"], "path": path_from(target, plan.start)},
        "chosen": kept,
        "warnings": list(plan.warnings),
        "versions": versions(),
    }
    training = {
        "weightarith_training": REPORT_FORMAT,
        "chosen": kept,
        "geometry": told,
        "sides": {side: [one.to_json() for one in sides[side].values()] for side in SIDES},
    }
    for name, content in ((RUN, run), (REPORT, training)):
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_small(stage / name, text.encode())
