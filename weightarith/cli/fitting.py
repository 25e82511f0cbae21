"""The options of commands that fine-tune, and the bar that shows how far they are."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from weightarith.errors import quoted

if TYPE_CHECKING:
    from pathlib import Path

    from weightarith.train import Moment, Settings


class Rates(click.ParamType[tuple[float, ...]]):
    """Learning rates: `5e-4`, or `1e-4,5e-4`."""

    name = "rates"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Return the numbers; whether they make sense, the settings say."""
        try:
            return tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{quoted(str(value))} is no list of numbers; write it like 1e-4,5e-4", param, ctx)


@dataclass(frozen=True)
class Asked:
    """How a command is to train: the settings, and where."""

    settings: Settings
    device: str
    report_to: tuple[str, ...]
    overwrite: bool
    dry_run: bool
    as_json: bool


def training(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a training, passed as one argument `asked`."""

    def bundled(**given: Any) -> None:
        gc.enable()  # training takes long, and the command line collects nothing
        command(**{key: value for key, value in given.items() if key not in _NAMES}, asked=_asked(given))

    bundled.__name__, bundled.__doc__ = command.__name__, command.__doc__
    bundled.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(_OPTIONS):
        bundled = option(bundled)
    return bundled


def _asked(given: dict[str, Any]) -> Asked:
    from weightarith.train.settings import Settings

    if given["steps"] is not None and given["epochs"] is not None:
        raise click.UsageError("--steps and --epochs say the same thing twice: give one of them")
    plain = {key: given[key] for key in _SETTINGS if given[key] is not None}
    whole, names = given["train_whole"], given["report_to"]
    settings = Settings(**plain, trained_whole=_words(whole))
    return Asked(
        settings, given["device"], _words(names), given["overwrite"], given["dry_run"], given["as_json"]
    )


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",")) if text else ()


@contextmanager
def shown_progress() -> Iterator[Callable[[Moment], None]]:
    """Yield what to call after every step: a bar for each training on a terminal, silence elsewhere."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _moment: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[tuple[str, float], Any] = {}

        def show(moment: Moment) -> None:
            key = (moment.name, moment.learning_rate)
            if key not in tasks:
                tasks[key] = bar.add_task("", total=moment.steps)
            said = f"{moment.name or 'training'}, rate {moment.learning_rate:g}, loss {moment.loss:.3f}"
            bar.update(tasks[key], completed=moment.step, description=said)

        yield show


@contextmanager
def resumable(output: Path) -> Iterator[None]:
    """Say, where a command is interrupted, that what it did is kept."""
    from weightarith.cli.terminal import printable, tell
    from weightarith.errors import Interrupted
    from weightarith.train.work import work_of

    try:
        yield
    except (KeyboardInterrupt, Interrupted):
        if work_of(output).is_dir():
            tell(f"what is trained so far is in {printable(str(work_of(output)))}: the same command goes on")
        raise


_OPTIONS = (
    click.option("--kind", type=click.Choice(["lora", "bias", "full"]),
                 help="What is trained: factors on every linear module, a bias on every MLP down projection, "
                      "or all weights.  [default: lora]"),
    click.option("--rank", type=int, metavar="R", help="Rank of the factors.  [default: 32]"),
    click.option("--alpha", type=float, metavar="A", help="Their product counts A/R times.  [default: 16]"),
    click.option("--dropout", type=float, metavar="P", help="Dropout before the factors.  [default: 0]"),
    click.option("--train-whole", metavar="NAME,…",
                 help="Modules that are trained in full beside the factors, such as embed_tokens,lm_head."),
    click.option("--lr", "learning_rates", type=Rates(), metavar="RATE,…",
                 help="Learning rates; each is tried, and the validation loss chooses.  [default: 1e-4,5e-4; "
                      "for biases 1e-3,1e-2; for full 1e-5,5e-5]"),
    click.option("--epochs", type=float, metavar="N", help="Passes over the rows.  [default: 1]"),
    click.option("--steps", type=int, metavar="N", help="Steps, in place of --epochs."),
    click.option("--batch", type=int, metavar="N", help="Rows of a step, over all processes.  [default: 8]"),
    click.option("--accumulation", type=int, metavar="N",
                 help="Parts that a step is cut into, to save memory.  [default: 1]"),
    click.option("--weight-decay", type=float, metavar="W", help="Of AdamW.  [default: 0.01]"),
    click.option("--warmup", type=int, metavar="N", help="Steps in which the rate rises.  [default: 5]"),
    click.option("--validation", type=float, metavar="SHARE",
                 help="Share of the rows that no step sees.  [default: 0.05]"),
    click.option("--evaluate-every", type=int, metavar="N",
                 help="Steps between two looks at the validation loss.  [default: 20]"),
    click.option("--patience", type=int, metavar="N",
                 help="Looks without a lower one after which training stops, and the lowest is kept; 0 "
                      "trains to the end.  [default: 2]"),
    click.option("--seed", type=int, metavar="N",
                 help="Of the random start, the order of rows and the validation rows.  [default: 0]"),
    click.option("--dtype", type=click.Choice(["auto", "float32", "bfloat16"]),
                 help="What the model computes in; what is trained is float32 in any case. auto is bfloat16, "
                      "for full float32.  [default: auto]"),
    click.option("--max-tokens", type=int, metavar="N",
                 help="Most tokens of a row; a longer one is an error.  [default: 2048]"),
    click.option("--recompute", is_flag=True, default=None, help="Save memory: compute activations twice."),
    click.option("--device", type=click.Choice(["auto", "cpu"]), default="auto", show_default=True,
                 help="Where to compute: cpu leaves a GPU alone."),
    click.option("--report-to", metavar="NAME,…", help="Trackers of transformers, such as tensorboard."),
    click.option("--overwrite", is_flag=True, help="Replace an earlier output of weightarith."),
    click.option("--dry-run", is_flag=True, help="Check everything, say what would be trained, and stop."),
    click.option("--json", "as_json", is_flag=True, help="Print what was done, or would be, as JSON."),
)  # fmt: skip
_SETTINGS = (
    "kind", "rank", "alpha", "dropout", "learning_rates", "epochs", "steps", "batch", "accumulation",
    "weight_decay", "warmup", "validation", "evaluate_every", "patience", "seed", "dtype", "max_tokens",
    "recompute",
)  # fmt: skip
_NAMES = frozenset({*_SETTINGS, "train_whole", "device", "report_to", "overwrite", "dry_run", "as_json"})
