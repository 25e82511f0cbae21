"""What mergekit 0.1.5 does without a word, and what `weightarith merge` does: refusals, and files.

The cases are numbered as in docs/mergekit.md; those of numbers are in test_silent_numbers.py.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny
from tests.cli.conftest import Ran, Run
from tests.mergekit.both import by_mergekit, by_us, placed
from tests.reference import read

pytestmark = pytest.mark.oracle

ONE, OTHER = "{model: $a, parameters: {weight: 1}}", "{model: $b, parameters: {weight: 1}}"
LINEAR = f"merge_method: linear\nmodels:\n- {ONE}\n- {OTHER}\n"
TIES = f"merge_method: ties\nbase_model: $base\nmodels:\n- {ONE}\n- {OTHER}\n"


def test_every_case_of_the_page_is_shown_by_a_test() -> None:
    here = Path(__file__)
    page = here.parents[2] / "docs" / "mergekit.md"
    cases = re.findall(r"^\| ([0-9]+) \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    tests = "".join(path.read_text(encoding="utf-8") for path in here.parent.glob("test_silent_*.py"))

    assert cases == [str(number) for number in range(1, 21)]
    assert set(re.findall(r"\bdef test_([0-9]+)_", tests)) == set(cases)


@pytest.fixture
def refused(llamas: Path, tmp_path: Path, run: Run) -> Any:
    """Return what is said of a document that `merge` refuses before anything is written."""

    def told(document: str, status: int = 2) -> str:
        (tmp_path / "mergekit.yaml").write_text(placed(document, llamas), encoding="utf-8")
        ran: Ran = run("merge", tmp_path / "mergekit.yaml", "-o", tmp_path / "out")
        assert (ran.status, ran.stdout, (tmp_path / "out").exists()) == (status, "", False)
        return ran.stderr.replace(f"{llamas}/", "").replace(f"{tmp_path}/", "")

    return told


TYPOS = {
    "parameters: {nomalize: false}": "mergekit.yaml:5:14: unknown parameter 'nomalize'",
    "paramters: {normalize: false}": "mergekit.yaml:5:1: unknown key 'paramters'",
    "parameters: {density: 0.5}": "mergekit.yaml:5:14: linear makes nothing of density: it would be ignored",
}


@pytest.mark.parametrize("line", TYPOS)
def test_1_a_slip_of_the_pen_is_told_and_not_swallowed(
    line: str, refused: Any, llamas: Path, tmp_path: Path
) -> None:
    text = refused(LINEAR + line)

    assert TYPOS[line] in text
    assert "'normalize' instead of 'nomalize'" in text or "nomalize" not in line
    theirs = [
        by_mergekit(placed(LINEAR + each, llamas), tmp_path / str(number))
        for number, each in enumerate(("", line))
    ]
    assert read(theirs[0]) == read(theirs[1])


def test_1_a_weight_beside_a_model_is_told_and_not_swallowed(refused: Any) -> None:
    text = refused("merge_method: linear\nmodels:\n- {model: $a, weight: 1}\n- {model: $b, weight: 1}\n")

    assert "mergekit.yaml:3:" in text
    assert "weight stands outside parameters:, where it would be ignored" in text


def test_2_there_is_no_number_of_writing_threads_to_set(llamas: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "mergekit.yaml").write_text(placed(LINEAR, llamas), encoding="utf-8")

    ran = run("merge", tmp_path / "mergekit.yaml", "-o", tmp_path / "out", "--write-threads", 4)

    assert ran.status == 2
    assert "--write-threads" in ran.stderr


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_3_config_and_tokenizer_are_those_of_the_first_model(
    names: tuple[str, str], llamas: Path, tmp_path: Path, run: Run
) -> None:
    models = tmp_path / "models"
    for name in names:
        shutil.copytree(llamas / name, models / name)
        said = json.dumps({"model_max_length": 64, "of": name})
        (models / name / "tokenizer_config.json").write_text(said, encoding="utf-8")
    listed = [f"{{model: {models / name}, parameters: {{weight: 1}}}}" for name in names]

    out = by_us(f"merge_method: linear\nmodels: [{', '.join(listed)}]\n", tmp_path, run)

    assert json.loads((out / "tokenizer_config.json").read_text(encoding="utf-8"))["of"] == names[0]


def test_4_weights_that_cancel_are_refused(refused: Any, llamas: Path, tmp_path: Path) -> None:
    document = LINEAR.replace("$b, parameters: {weight: 1}", "$b, parameters: {weight: -1}")

    text = refused(document)

    assert "mergekit.yaml:3:" in text
    assert "the weights add up to 0, and linear divides by their sum" in text
    assert "try: a difference of models is a vector: weightarith diff A B, or A - B in a recipe" in text
    with np.errstate(invalid="ignore"):
        theirs = read(by_mergekit(placed(document, llamas), tmp_path))
    assert not any(np.isfinite(raw.values).any() for raw in theirs.values())


def test_4_weights_that_cancel_in_some_layers_only_are_refused_in_the_run(refused: Any) -> None:
    document = LINEAR.replace("$b, parameters: {weight: 1}", "$b, parameters: {weight: [1, -1]}")

    text = refused(document)

    assert "the weights 1, -1 sum to 0 at 'model.layers.3." in text
    assert "and cannot be normalised" in text


def test_5_a_negative_weight_is_not_divided_by(refused: Any, llamas: Path, tmp_path: Path, run: Run) -> None:
    document = TIES.replace("$b, parameters: {weight: 1}", "$b, parameters: {weight: -0.9}")

    text = refused(document)

    assert "a negative weight, and ties divides by the sum of weights" in text
    assert "try: parameters: {normalize: false}" in text
    text = placed(document, llamas)
    theirs = read(by_mergekit(text, tmp_path))
    ours = read(by_us(f"{text}parameters: {{normalize: false}}", tmp_path, run))
    base = read(llamas / "base")
    grown = [
        np.abs(theirs[name].values - raw.values).max() / np.abs(ours[name].values - raw.values).max()
        for name, raw in base.items()
    ]
    assert max(grown) == pytest.approx(10, rel=0.5)


def test_8_a_model_that_is_listed_twice_is_refused(refused: Any) -> None:
    assert "'a' is listed twice, first in line 3" in refused(LINEAR.replace("$b", "$a"))


def test_9_the_dtype_asked_for_is_that_of_a_fusion_too(llamas: Path, tmp_path: Path, run: Run) -> None:
    document = "merge_method: arcee_fusion\nbase_model: $base16\nmodels: [{model: $a16}]\ndtype: bfloat16\n"

    ours = by_us(placed(document, llamas), tmp_path, run)

    theirs = by_mergekit(placed(document, llamas), tmp_path)
    assert {raw.code for raw in read(ours).values()} == {"BF16"}
    assert {raw.code for raw in read(theirs).values()} == {"F32"}
    for folder in (ours, theirs):
        assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["dtype"] == "bfloat16"


def test_10_nothing_of_an_earlier_result_is_left_beside_a_new_one(
    llamas: Path, tmp_path: Path, run: Run
) -> None:
    text = placed(LINEAR, llamas)
    document, out = tmp_path / "mergekit.yaml", tmp_path / "out"
    document.write_text(text, encoding="utf-8")
    assert run("merge", document, "-o", out, "--shard-size", "10kB").status == 0
    assert len(list(out.glob("*.safetensors"))) > 2

    assert run("merge", document, "-o", out).status == 5
    assert run("merge", document, "-o", out, "--overwrite").status == 0

    assert [path.name for path in out.glob("*.safetensors*")] == ["model.safetensors"]
    for size in ("10000", "5B"):
        theirs = by_mergekit(text, tmp_path, out_shard_size=int(size.replace("5B", "5000000000")))
    assert (theirs / "model.safetensors.index.json").exists()
    assert (theirs / "model.safetensors").exists()


def test_14_vocabularies_that_differ_are_refused(llamas: Path, tmp_path: Path, refused: Any) -> None:
    models = shutil.copytree(llamas, tmp_path / "models")
    tensors = tiny.load(llamas / "b")
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        tensors[name] = np.concatenate([tensors[name], tensors[name][:2]])
    tiny.checkpoint(models / "b", tensors, dtype="F32")

    text = refused(LINEAR.replace("$a", str(models / "a")).replace("$b", str(models / "b")), status=4)

    assert "expected shape [40, 16]" in text
    assert "found [42, 16]" in text


def test_15_shapes_that_differ_are_refused_by_every_method(
    llamas: Path, tmp_path: Path, refused: Any
) -> None:
    tensors = tiny.load(llamas / "b")
    tensors["model.layers.1.mlp.up_proj.weight"] = tensors["model.layers.1.mlp.up_proj.weight"][1:]
    wrong = tiny.checkpoint(tmp_path / "wrong", tensors, dtype="F32")

    text = refused(f"merge_method: karcher\nmodels: [{{model: $a}}, {{model: {wrong}}}]", status=4)

    assert "tensor 'model.layers.1.mlp.up_proj.weight'" in text


def test_19_a_lora_that_was_trained_anew_counts(llamas: Path, tmp_path: Path, run: Run) -> None:
    models = shutil.copytree(llamas, tmp_path / "models")
    document = placed("merge_method: passthrough\nmodels: [{model: $base+$lora}]\n", models)
    found: dict[str, list[Any]] = {"ours": [], "theirs": []}

    for seed in (1, 2):
        tiny.adapter(models / "lora", depth=4, seed=seed)
        for made in (by_us(document, tmp_path, run), by_mergekit(document, tmp_path)):
            found[made.name].append(read(made))
            shutil.rmtree(made)

    assert found["ours"][0] != found["ours"][1]
    assert found["theirs"][0] == found["theirs"][1]


FURTHER = {
    "a pattern is no part of a name": (
        LINEAR + "parameters: {weight: [{filter: '*mlp*', value: 2}, {value: 1}]}",
        "filter '*mlp*' matches nothing",
    ),
    "layers of models": (
        LINEAR.replace("{model: $b,", "{model: $b, layer_range: [0, 2],"), "layer_range",
    ),
    "a base that would be merged in": (
        LINEAR.replace("linear", "linear\nbase_model: $base"), "it would be merged in",
    ),
    "a template of a wrong text": (LINEAR + "chat_template: llama3", "chat_template: llama3"),
    "a union of tokenizers": (LINEAR + "tokenizer_source: union", "union"),
}  # fmt: skip


@pytest.mark.parametrize("case", FURTHER)
def test_what_else_would_be_ignored_or_guessed_at_is_refused(case: str, refused: Any) -> None:
    document, said = FURTHER[case]
    status = 10 if "template" in case or "union" in case else 2

    assert said in refused(document, status)
