"""merge and explain as commands: params, outputs, paths, and what becomes of every tensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import tiny as models
from tests.cli.conftest import Run
from tests.conftest import Tiny

FLAGSHIP = """\
weightarith: 1
inputs:
  base: ./base
  task_ft: {model: ./finetuned, minus: base}
  refusal+: ./positive
  refusal-: ./negative
expression: base + task_ft + 1.5·(refusal+ − refusal−)
output: {path: steered/, dtype: base, shard_size: 5GB}
"""
SCALED = """\
weightarith: 1
inputs:
  base: ./base
  task: {model: ./finetuned, minus: base}
params: {k: 1, other: 2}
expression: base + k*task + 0*other*task
"""


@pytest.fixture
def folder(tiny: Tiny) -> Path:
    (tiny.base.parent / "flagship.yaml").write_text(FLAGSHIP, encoding="utf-8")
    (tiny.base.parent / "scaled.yaml").write_text(SCALED, encoding="utf-8")
    return tiny.base.parent


def test_merge_writes_where_the_recipe_says_beside_the_recipe(
    folder: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    ran = run("merge", "../flagship.yaml")

    assert (ran.status, ran.stdout) == (0, "")
    assert (folder / "steered" / "weightarith.json").is_file()
    assert not list(Path.cwd().iterdir())


def test_the_output_given_to_merge_is_relative_to_where_one_is_and_wins(
    folder: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    ran = run("merge", "../flagship.yaml", "-o", "mine", "--dtype", "float32", "--shard-size", "1kB")

    assert ran.status == 0
    assert not (folder / "steered").exists()
    assert Path("mine", "model.safetensors.index.json").is_file()
    assert all(values.dtype == np.float32 for values in models.load(Path("mine")).values())


def test_a_param_given_to_merge_replaces_that_of_the_recipe(folder: Path, run: Run) -> None:
    for number, expected in (("0", "base"), ("1", "finetuned")):
        out = folder / f"with-{number}"
        assert (
            run("merge", folder / "scaled.yaml", "-p", f"k = {number}", "-p", "other=0", "-o", out).status
            == 0
        )
        written, wanted = models.load(out), models.load(folder / expected)
        assert all(np.array_equal(written[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-p", "q=1"], "Error: -p 'q': no such param; params are k, other"),
        (["-p", "k"], "'k' is not of the form NAME=NUMBER, such as k=1.5"),
        (["-p", "k="], "'k=' is not of the form NAME=NUMBER"),
        (["-p", "=1"], "'=1' is not of the form NAME=NUMBER"),
        (["-p", "k=much"], "Error: -p k: "),
        (["-p", "k=1", "-p", "k=2"], "'k' is given twice: as 1 and as 2"),
        (["--shard-size", "0.1B"], "'0.1B' is no size; write it like 5GB or 512MiB"),
        (["--shard-size", "5 parsecs"], "'5 parsecs' is no size"),
        (["--dtype", "int8"], "'int8' is not one of 'base'"),
        (["--threads", "-1"], "-1 is not in the range 0<=x<=256"),
        (["--device", "tpu"], "'tpu' is not one of 'auto'"),
    ],
)
@pytest.mark.parametrize("command", ["merge", "explain"])
def test_an_option_that_means_nothing_is_a_usage_error(
    command: str, words: list[str], said: str, folder: Path, run: Run
) -> None:
    if command == "explain" and words[0] != "-p":
        words, said = ["--output", "x"], "No such option '--output'"
    output = ["-o", folder / "out"] if command == "merge" else []

    ran = run(command, folder / "scaled.yaml", *words, *output)

    assert (ran.status, ran.stdout) == (2, "")
    assert said in ran.stderr


def test_merge_without_an_output_says_how_to_name_one(folder: Path, run: Run) -> None:
    ran = run("merge", folder / "scaled.yaml")

    assert ran.status == 2
    assert "the recipe names no output: add -o PATH, or output: {path: …} to the recipe" in ran.stderr


def test_merge_warns_of_an_input_that_is_never_used(folder: Path, run: Run) -> None:
    text = SCALED.replace("params:", "  unused: ./other\nparams:")
    (folder / "unused.yaml").write_text(text, encoding="utf-8")

    assert "input unused is never used" in run("merge", folder / "unused.yaml", "-o", folder / "out").stderr


def test_a_dry_run_prints_the_plan_and_writes_nothing(folder: Path, run: Run) -> None:
    before = sorted(folder.iterdir())

    ran = run("merge", folder / "flagship.yaml", "--dry-run")

    assert ran.status == 0
    assert ran.stdout.startswith(f"would write {folder / 'steered'}: task_ft + 1.5·refusal+ − 1.5·refusal-\n")
    assert "model.safetensors" in ran.stdout
    assert (
        "copies chat_template.jinja, config.json, generation_config.json, tokenizer_config.json" in ran.stdout
    )
    assert ran.stderr == ""
    assert sorted(folder.iterdir()) == before


def test_a_plan_tells_which_files_are_written_anew(folder: Path, run: Run) -> None:
    text = 'weightarith: 1\ninputs: {a: ./base, b: ./finetuned}\nexpression: stack(a, take(b, "0"))\n'
    text += 'output: {chat_template: "{{ messages }}"}\n'
    (folder / "stacked.yaml").write_text(text, encoding="utf-8")

    ran = run("merge", folder / "stacked.yaml", "-o", folder / "out", "--dry-run")

    told = (
        "  copies generation_config.json, tokenizer_config.json\n  writes chat_template.jinja, config.json\n"
    )
    assert ran.stdout.endswith(told)
    assert run("explain", folder / "stacked.yaml").stdout.endswith(told)
    found = run("explain", folder / "stacked.yaml", "--json").json
    assert found["writes"] == ["chat_template.jinja", "config.json"]


def test_explain_tells_the_flagship_recipe_in_a_few_lines(folder: Path, run: Run) -> None:
    ran = run("explain", folder / "flagship.yaml")

    lines = ran.stdout.splitlines()
    assert (ran.status, ran.stderr) == (0, "")
    assert lines[0] == "checkpoint: base + task_ft + 1.5·(refusal+ − refusal−)"
    assert "model.layers.{0-1}.mlp.*" in [line.split()[0] for line in lines]
    assert "changed: task_ft + 1.5·refusal+ − 1.5·refusal-" in ran.stdout
    assert lines[-1].startswith("  copies chat_template.jinja, config.json, ")
    assert len(lines) == 9


def test_explain_json_names_every_tensor(folder: Path, run: Run) -> None:
    found = run("explain", folder / "flagship.yaml", "--json").json

    assert set(found["tensors"]) == set(models.load(folder / "base"))
    assert found["tensors"]["model.layers.0.mlp.up_proj.weight"]["fate"] == "changed"
    assert found["expression"] == "base + task_ft + 1.5·(refusal+ − refusal−)"
    assert found["kind"] == "checkpoint"
    assert "config.json" in found["copies"]
    assert found["writes"] == []


def test_explain_follows_params_selections_and_schedules(folder: Path, run: Run) -> None:
    rules = "select:\n  - {on: task, role: embed, scale: 0}\nschedule:\n  - {on: task, values: [0.5, 1]}\n"
    (folder / "varied.yaml").write_text(SCALED + rules, encoding="utf-8")

    ran = run("explain", folder / "varied.yaml", "-p", "k=3")

    by_name = {line.split()[0]: line.split(": ", 1)[-1] for line in ran.stdout.splitlines()[1:]}
    assert by_name["model.embed_tokens.weight"] == "base (nothing is added here)"
    assert by_name["model.layers.0.*"] == "1.5·task − 0.5·base"
    assert by_name["model.layers.1.*"] == "3·task − 2·base"
    assert by_name["lm_head.weight"] == "3·task − 2·base"
