"""lm-evaluation-harness in process: what it is asked, and what becomes of its samples."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from tests.tinychat import instruct
from weightarith.errors import HubError, IncompatibleError, RecipeError, UnsupportedError
from weightarith.evaluate.harness import Harness
from weightarith.lm import LanguageModel, load
from weightarith.steer import ActivationMethod, ActivationVectors

SAMPLES = {
    "piqa": [
        {"doc_id": 0, "target": 1, "filter": "none", "acc": 1.0, "acc_norm": 0.0},
        {"doc_id": 2, "filter": "none", "acc": 0.0},
    ],
    "gsm": [
        {"doc_id": 0, "filter": "strict", "acc": 0}, {"doc_id": 0, "filter": "flexible", "acc": 1},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load(instruct(tmp_path_factory.mktemp("model") / "instruct"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Put a harness in place that says what it was asked."""
    told: dict[str, Any] = {"samples": SAMPLES}

    class Wrapped:
        def __init__(self, **given: Any) -> None:
            given["pretrained"].tie_weights()  # as the real one does
            told["model"] = given

    class Tasks:
        all_tasks = ("gsm", "piqa")

        def __init__(self, include_path: str | None = None) -> None:
            told["folder"] = include_path

    def evaluate(**given: Any) -> dict[str, Any]:
        told["evaluate"] = given
        if isinstance(told["samples"], Exception):
            raise told["samples"]
        return {"samples": told["samples"]}

    parts: dict[str, dict[str, Any]] = {
        "lm_eval": {"simple_evaluate": evaluate},
        "lm_eval.models": {},
        "lm_eval.models.huggingface": {"HFLM": Wrapped},
        "lm_eval.tasks": {"TaskManager": Tasks},
    }
    for name, content in parts.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return told


def test_each_document_is_an_item_of_the_outcome_of_its_task(
    asked: dict[str, Any], model: LanguageModel
) -> None:
    found = Harness.from_options(None, {"tasks": ["piqa", "gsm"]}).measure(model).outcomes

    assert (found["piqa"].kind, found["piqa"].items) == ("share", ("0", "2"))
    assert {name: list(one.values) for name, one in found.items()} == {
        "piqa": [1, 0], "gsm_strict": [0], "gsm_flexible": [1], "all": [1, 0, 0, 1],
    }  # fmt: skip
    assert found["all"].items == ("piqa 0", "piqa 2", "gsm_strict 0", "gsm_flexible 0")
    assert asked["folder"] is None


def test_the_harness_is_given_the_model_in_memory_and_the_options(
    asked: dict[str, Any], model: LanguageModel
) -> None:
    options = {
        "tasks": "piqa", "limit": "20", "few_shots": "0", "batch": "4", "chat": "yes", "folder": "tasks",
    }  # fmt: skip
    Harness.from_options(None, options).measure(model.under("Be brief."))

    assert asked["model"] == {"pretrained": model.network, "tokenizer": model.tokenizer, "batch_size": 4}
    given = asked["evaluate"]
    assert (given["tasks"], given["limit"], given["num_fewshot"]) == (["piqa"], 20, 0)
    assert (given["apply_chat_template"], given["system_instruction"]) == (True, "Be brief.")
    assert {
        given[f"{name}_seed"] for name in ("random", "numpy_random", "torch_random", "fewshot_random")
    } == {1234}
    assert asked["folder"] == "tasks"


@pytest.mark.usefixtures("asked")
def test_the_harness_does_not_tie_the_weights_of_a_steered_model() -> None:
    tied: list[bool] = []

    class Network:
        def tie_weights(self) -> None:
            tied.append(True)

    network = Network()
    fake = SimpleNamespace(network=network, tokenizer=None, system=None)
    Harness(("piqa",)).measure(fake)  # type: ignore[arg-type]

    assert tied == []
    network.tie_weights()
    assert tied == [True]


def test_numbers_other_than_right_and_wrong_are_a_mean(asked: dict[str, Any], model: LanguageModel) -> None:
    asked["samples"] = {"piqa": [{"doc_id": 0, "acc": 0.25}, {"doc_id": 1, "acc": 1.0}]}

    assert Harness(("piqa",)).measure(model).outcomes["piqa"].kind == "mean"


def test_an_unknown_task_and_an_unknown_metric_are_named(asked: dict[str, Any], model: LanguageModel) -> None:
    with pytest.raises(IncompatibleError, match="knows no task 'pica'"):
        Harness(("piqa", "pica")).measure(model)
    with pytest.raises(
        IncompatibleError, match="the task 'piqa' has no metric 'f1' for a document"
    ) as caught:
        Harness(("piqa",), metric="f1").measure(model)
    assert caught.value.hint == "it has 'acc', 'acc_norm'"
    assert "model" in asked


def test_data_that_cannot_be_had_are_an_error_of_the_hub(asked: dict[str, Any], model: LanguageModel) -> None:
    asked["samples"] = ConnectionError("couldn't reach 'piqa'\nlong story")

    with pytest.raises(HubError, match=r"has not got its data: couldn't reach 'piqa'$"):
        Harness(("piqa",)).measure(model)


def test_without_the_extra_it_says_what_to_install(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)

    with pytest.raises(UnsupportedError, match="lm-evaluation-harness is not installed") as caught:
        Harness(("piqa",)).measure(model)
    assert caught.value.hint == "pip install 'weightarith[eval]'"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "metric harness: tasks is absent, expected a list of texts"),
        ({"tasks": []}, "metric harness: tasks is '[]', expected a list of texts"),
        ({"tasks": [3]}, "metric harness: tasks holds '3', expected texts"),
        ({"tasks": "piqa", "few_shots": "-1"}, "metric harness: few_shots is '-1', expected a whole number"),
        ({"tasks": "piqa", "task": "x"}, "metric harness: unknown option 'task', expected tasks, metric"),
    ],
)
def test_options_that_mean_nothing_are_refused_by_name(options: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Harness.from_options(None, options)

    assert caught.value.message.startswith(said)


def test_it_takes_no_data() -> None:
    with pytest.raises(RecipeError, match=r"metric harness: it takes no data, found 'rows.jsonl'"):
        Harness.from_options(Path("rows.jsonl"), {"tasks": "piqa"})


def test_answers_are_not_scored_while_activations_are_steered(
    asked: dict[str, Any], model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scores(**given: Any) -> dict[str, Any]:
        given["model"]._loglikelihood_tokens([], disable_tqdm=True)
        return {"samples": SAMPLES}

    wrapped = sys.modules["lm_eval.models.huggingface"].HFLM
    monkeypatch.setattr(wrapped, "_loglikelihood_tokens", lambda *_, **__: [], raising=False)
    monkeypatch.setattr(sys.modules["lm_eval"], "simple_evaluate", scores)
    method = ActivationMethod(ActivationVectors(torch.ones(3, 32), 1, 1, "m"))

    with method.at(model, 1.0) as steered, pytest.raises(IncompatibleError, match="one pass with their"):
        Harness(("piqa",)).measure(steered)
    with method.at(model, 0.0) as plain:
        assert Harness(("piqa",)).measure(plain).outcomes
    assert Harness(("piqa",)).measure(model).outcomes
    assert "model" in asked
