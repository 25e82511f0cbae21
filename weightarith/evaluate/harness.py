"""lm-evaluation-harness, run in this process on a model that is loaded already, steered or not.

Its tasks, its metrics, its numbers: what it says of each document becomes an item of an outcome. The extra
`eval` brings it along, and where its tasks take their data from is its own affair.

https://github.com/EleutherAI/lm-evaluation-harness
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from numbers import Real
from pathlib import Path
from typing import Any, NoReturn

from weightarith.errors import HubError, IncompatibleError, UnsupportedError, quoted, some
from weightarith.evaluate.options import Options
from weightarith.evaluate.outcome import Kind, Measured, Outcome
from weightarith.lm import LanguageModel
from weightarith.lm.span import response_is_steered

METRIC = "acc"
SHARES = frozenset({"acc", "acc_norm", "acc_mutual_info", "exact_match"})
"""Metrics that say right or wrong of a document."""
TOLD = ("doc_id", "target")  # numbers of a document that are no metrics
ALL = "all"
"""The outcome over the documents of all tasks."""
SEED = 1234


@dataclass(frozen=True)
class Harness:
    """Tasks of lm-evaluation-harness, an outcome each: it has the task's name, and a document is an item.

    `all` is over the documents of all tasks. Of a task that reads its answers in several ways (filters)
    there is one for each: `gsm8k_strict-match`.

    Attributes:
        tasks: names that the harness knows, or finds in `folder`.
        metric: what is read of each document, such as acc, acc_norm or exact_match.
        limit: documents of each task, at most; None for all.
        few_shots: examples before each question; None for what the task says.
        batch: rows that go through the network at a time.
        chat: whether questions are put as a chat, by the tokenizer's template.
        folder: where tasks of one's own are described in YAML.
    """

    tasks: tuple[str, ...]
    metric: str = METRIC
    limit: int | None = None
    few_shots: int | None = None
    batch: int = 16
    chat: bool = False
    folder: Path | None = None

    @classmethod
    def from_options(cls, data: Path | None, options: Mapping[str, object]) -> Harness:
        """Return the metric; options are tasks, metric, limit, few_shots, batch, chat and folder.

        Raises:
            RecipeError: an option is unknown, or means nothing, or there are data.
        """
        read = Options("harness", options, data).only(
            "tasks", "metric", "limit", "few_shots", "batch", "chat", "folder"
        )
        read.no_data()
        return cls(
            read.texts("tasks"),
            read.text("metric", METRIC),
            read.whole("limit", None) if "limit" in options else None,
            read.whole("few_shots", None, least=0) if "few_shots" in options else None,
            read.whole("batch", 16),
            read.truth("chat", default=False),
            Path(read.text("folder")) if "folder" in options else None,
        )

    def measure(self, model: LanguageModel) -> Measured:
        """Return what the harness finds.

        Raises:
            UnsupportedError: it is not installed.
            IncompatibleError: it does not know a task, the task has no such metric, or it scores answers
                while activations are steered.
            HubError: the data of a task cannot be had.
        """
        outcomes: dict[str, Outcome] = {}
        for task, rows in self._samples(model).items():
            filters = dict.fromkeys(row.get("filter") for row in rows)
            for one in filters:
                name = task if len(filters) == 1 else f"{task}_{one}"
                outcomes[name] = self._outcome(task, [row for row in rows if row.get("filter") == one])
        return Measured({**outcomes, ALL: _together(outcomes)})

    def _samples(self, model: LanguageModel) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Return what the harness says of each document of each task."""
        try:
            harness = import_module("lm_eval")
            models = import_module("lm_eval.models.huggingface")
            manager = import_module("lm_eval.tasks")
        except ImportError as error:
            raise UnsupportedError(
                f"lm-evaluation-harness is not installed: {error}", hint="pip install 'weightarith[eval]'"
            ) from error
        tasks = manager.TaskManager(include_path=None if self.folder is None else str(self.folder))
        unknown = [task for task in self.tasks if task not in tasks.all_tasks]
        if unknown:
            raise IncompatibleError(
                f"lm-evaluation-harness knows no task {some(unknown)}", hint="lm-eval ls tasks lists them"
            )
        with _untied(model.network):
            asked = models.HFLM(pretrained=model.network, tokenizer=model.tokenizer, batch_size=self.batch)
        if response_is_steered():
            asked._loglikelihood_tokens = _refused
        try:
            found = harness.simple_evaluate(
                model=asked, tasks=list(self.tasks), num_fewshot=self.few_shots, limit=self.limit,
                log_samples=True, bootstrap_iters=0, apply_chat_template=self.chat,
                system_instruction=model.system, task_manager=tasks, random_seed=SEED,
                numpy_random_seed=SEED, torch_random_seed=SEED, fewshot_random_seed=SEED,
            )  # fmt: skip
        except OSError as error:  # what it raises where the Hub or its cache has no such data
            raise HubError(f"lm-evaluation-harness has not got its data: {_first_line(error)}") from error
        samples: Mapping[str, Sequence[Mapping[str, Any]]] = found["samples"]
        return samples

    def _outcome(self, task: str, rows: Sequence[Mapping[str, Any]]) -> Outcome:
        values = []
        for row in rows:
            value = row.get(self.metric)
            if not isinstance(value, Real):
                known = [name for name, other in row.items() if isinstance(other, Real) and name not in TOLD]
                raise IncompatibleError(
                    f"the task {quoted(task)} has no metric {quoted(self.metric)} for a document",
                    hint=f"it has {some(known)}" if known else "it has none; choose another task",
                )
            values.append(float(value))
        kind: Kind = "share" if self.metric in SHARES and set(values) <= {0.0, 1.0} else "mean"
        return Outcome(kind, tuple(str(row["doc_id"]) for row in rows), tuple(values))


def _together(outcomes: Mapping[str, Outcome]) -> Outcome:
    items = [f"{task} {item}" for task, one in outcomes.items() for item in one.items]
    values = [value for one in outcomes.values() for value in one.values]
    kind: Kind = "share" if all(one.kind == "share" for one in outcomes.values()) else "mean"
    return Outcome(kind, tuple(items), tuple(values))


def _refused(*_given: Any, **_more: Any) -> NoReturn:
    """Refuse to score: the harness puts question and answer into one pass, and the answer is steered alone.

    Raises:
        IncompatibleError: always.
    """
    raise IncompatibleError(
        "a task of lm-evaluation-harness scores answers in one pass with their questions, and steering "
        "activations must be told where an answer begins",
        hint="compare activation steering by a suite without such tasks; tasks that generate are fine",
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


@contextmanager
def _untied(network: Any) -> Iterator[None]:
    """Keep the harness from tying the embeddings anew, which would undo what steers one of the two."""
    network.tie_weights = lambda *_, **__: None
    try:
        yield
    finally:
        del network.tie_weights
