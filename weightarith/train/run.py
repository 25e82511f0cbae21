"""A fine-tune in one call: every learning rate tried, the best of them kept, published at once, reported."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from weightarith.data import Example
from weightarith.errors import RecipeError
from weightarith.lm.model import tokenizer_of
from weightarith.receipt import FORMAT, to_bytes
from weightarith.store.stage import RECEIPT, check_target, staged, write_small
from weightarith.tensorfile.digest import sha256_of
from weightarith.train.choice import Chosen, choose
from weightarith.train.fit import Fitted, Job, fit, weights_at
from weightarith.train.result import name_of, write_result
from weightarith.train.rows import data_hash, split, tokenised
from weightarith.train.settings import Settings
from weightarith.train.start import Start
from weightarith.train.watch import Moment, milestones
from weightarith.train.work import at_work, is_main, wait_for_all

REPORT = "training.json"
REPORT_FORMAT = 1
_PACKAGES = ("torch", "transformers", "peft", "accelerate", "tokenizers", "safetensors")


@dataclass(frozen=True)
class Trained:
    """A finished fine-tune.

    Attributes:
        path: the adapter folder, the vector of biases, or the model folder.
        chosen: the learning rate and the step that were kept.
        report: all that `training.json` says.
    """

    path: Path
    chosen: Chosen
    report: Mapping[str, Any]


def train(
    base: str | Path,
    examples: Sequence[Example],
    out: str | Path,
    settings: Settings | None = None,
    *,
    overwrite: bool = False,
    device: str = "auto",
    report_to: tuple[str, ...] = (),
    progress: Callable[[Moment], None] = lambda _moment: None,
) -> Trained:
    """Fine-tune a base on examples, with the loss on their answers, and return what came of it.

    Killed, the same call goes on, and equal calls write equal bytes on one machine. Under `accelerate launch`
    every process makes the same call, and the main one writes.

    Args:
        base: a transformers folder, or hf://org/name.
        examples: conversations with their answers.
        out: a folder; for biases a file, which gets the ending `.safetensors` where it has none.
        settings: how to train; None takes the defaults.
        overwrite: replace an earlier output of weightarith.
        device: `auto`, or `cpu` even where there is a GPU.
        report_to: trackers that transformers knows, such as `tensorboard`.
        progress: called after every step.

    Raises:
        WeightArithError: see `weightarith.errors`; work that was done is kept for the next call.
    """
    settings = settings or Settings()
    start, target = Start.of(base), target_of(Path(out), settings)
    check_target(target, [start.folder], overwrite=overwrite)
    job = prepare("", start, examples, settings, device=device, report_to=report_to)
    about = {"base": start.to_json(), "data": about_data(examples, job), "settings": settings.to_json()}
    with at_work(target, start.job(about)) as work:
        fits = {rate: fit(job, rate, rate_folder(work, rate), progress) for rate in settings.rates}
        chosen = choose([fits], settings)
        report = _report(about, fits, chosen)
        if is_main():
            kept = rate_folder(work, chosen.learning_rate)
            _publish(target, kept, chosen, start, settings, report, overwrite=overwrite)
    wait_for_all()
    return Trained(target, chosen, report)


def _report(about: Mapping[str, Any], fits: Mapping[float, Fitted], chosen: Chosen) -> dict[str, Any]:
    return {
        "weightarith_training": REPORT_FORMAT,
        **about,
        "chosen": chosen_json(chosen, ("validation_loss",)),
        "rates": [one.to_json() for one in fits.values()],
        "versions": versions(),
    }


def target_of(out: Path, settings: Settings) -> Path:
    """Return the path of an output: of a vector of biases it ends in `.safetensors`.

    Raises:
        RecipeError: checkpoints are to be kept beside a single file.
    """
    if settings.kind != "bias":
        return out
    if settings.keep_checkpoints:
        raise RecipeError(
            "biases are one file, which has no place for checkpoints",
            hint="a contrast keeps them in its folder",
        )
    if out.suffix == ".safetensors":
        return out
    return out.with_name(name_of(out.name, "bias"))


def prepare(
    name: str, start: Start, examples: Sequence[Example], settings: Settings, *,
    device: str = "auto", report_to: tuple[str, ...] = (),
) -> Job:  # fmt: skip
    """Return a training ready to begin: rows as tokens, and in their order.

    Raises:
        WeightArithError: a row is too long, there are too few, or the base has no tokenizer.
    """
    rows = tokenised(start.folder, start.name, examples, settings)
    fill = tokenizer_of(start.folder).pad_token_id
    return Job(name, start.folder, rows, split(len(rows), settings), fill, settings, device, report_to)


def about_data(examples: Sequence[Example], job: Job) -> dict[str, Any]:
    """Return what a report says of the rows."""
    return {
        "rows": len(job.rows),
        "validation_rows": len(job.split.validation),
        "sha256": data_hash(examples),
        "prompt_tokens": sum(len(row.prompt) for row in job.rows),
        "answer_tokens": sum(len(row.answer) for row in job.rows),
    }


def rate_folder(work: Path, rate: float) -> Path:
    """Return where the training at a learning rate works."""
    return work / f"rate-{rate!r}"


def chosen_json(chosen: Chosen, names: Sequence[str]) -> dict[str, Any]:
    """Return what a report says of the choice; `names` are of its validation losses."""
    return {
        "learning_rate": chosen.learning_rate,
        "step": chosen.step,
        **dict(zip(names, chosen.validation, strict=True)),
    }


def versions() -> dict[str, str]:
    """Return the versions of all that takes part in a training."""
    return {
        "python": platform.python_version(),
        "weightarith": version("weightarith"),
        **{package: version(package) for package in _PACKAGES},
    }


def provenance(settings: Settings, chosen: Chosen, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the header of a vector says of how it was trained: no time, and no version."""
    found = {
        "kind": settings.kind,
        "learning_rate": chosen.learning_rate,
        "step": chosen.step,
        "seed": settings.seed,
        "data": data,
    }
    if settings.kind == "lora":
        found |= {"rank": settings.rank, "scale": settings.alpha / settings.rank}
    return found


def write_checkpoints(
    kept: Path, target: Path, fitted: Fitted, chosen: Chosen, settings: Settings, start: Start,
    data: Mapping[str, Any],
) -> None:  # fmt: skip
    """Write the weights along the way, as folders or files `step-N`, where that is asked for."""
    if not settings.keep_checkpoints:
        return
    for step in milestones(fitted.steps):
        if step in fitted.saved:
            told = provenance(settings, Chosen(chosen.learning_rate, step, ()), data)
            target.mkdir(parents=True, exist_ok=True)
            place = target / name_of(f"step-{step}", settings.kind)
            write_result(settings.kind, weights_at(kept, step), place, start, told)


def receipt_of(kind: str, start: Start, folder: Path) -> bytes:
    """Return the receipt of a folder that training made: what is in it; `training.json` says how.

    That report has times in it, so it is named and not hashed: equal trainings leave equal receipts.
    """
    entries = sorted(folder.iterdir())
    beside = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in entries
        if path.is_file() and path.name != REPORT
    }
    return to_bytes(
        {
            "weightarith": version("weightarith"),
            "receipt": FORMAT,
            "kind": kind,
            "base": start.to_json(),
            "files": [path.name for path in entries],
            "beside": beside,
        }
    )


def _publish(
    target: Path, kept: Path, chosen: Chosen, start: Start, settings: Settings, report: Mapping[str, Any], *,
    overwrite: bool,
) -> None:  # fmt: skip
    checkpoint = weights_at(kept, chosen.step)
    told = provenance(settings, chosen, {"sha256": report["data"]["sha256"], "rows": report["data"]["rows"]})
    text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    needed = sum(path.stat().st_size for path in checkpoint.iterdir())
    with staged(target, needed=needed, overwrite=overwrite) as stage:
        inside = stage / target.name if settings.kind == "bias" else stage / "made"
        write_result(settings.kind, checkpoint, inside, start, told)
        if settings.kind != "bias":
            for path in inside.iterdir():
                path.rename(stage / path.name)
            inside.rmdir()
            fitted = next(one for one in report["rates"] if one["learning_rate"] == chosen.learning_rate)
            data = told["data"]
            write_checkpoints(
                kept, stage / "checkpoints", Fitted.from_json(fitted), chosen, settings, start, data
            )
            kind = "adapter" if settings.kind == "lora" else "checkpoint"
            write_small(stage / REPORT, text.encode())
            write_small(stage / RECEIPT, receipt_of(kind, start, stage))
    if settings.kind == "bias":
        report_of(target).write_text(text, encoding="utf-8")


def report_of(target: Path) -> Path:
    """Return where the report of an output lies: in its folder, or beside a single file."""
    return target.with_suffix(".training.json") if target.suffix == ".safetensors" else target / REPORT
