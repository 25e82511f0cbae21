"""lock, verify and reproduce as commands: what they print, and how they exit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import tiny as models
from tests.cli.conftest import Run
from tests.conftest import Tiny

RECIPE = """\
weightarith: 1
inputs: {base: ./base, ft: {model: ./finetuned, minus: base}, o: {model: ./other, minus: base}}
params: {k: 0.5}
let: {both: ft + o}
expression: base + k*ties([ft, o], density=0.5) + 0.25*both
schedule: [{on: ft, values: [0, 1]}]
output: {path: merged, dtype: float32, shard_size: 5kB, like: o}
"""
OPERATOR = """\
from weightarith import Operator, Mixed

def double(field):
    return Mixed((2.0,))

DOUBLE = Operator("double", double, source="a test", most=1)
"""


@pytest.fixture
def recipe(tmp_path: Path, tiny: Tiny) -> Path:  # noqa: ARG001  (its folders are named in the recipe)
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def spoilt(path: Path) -> Path:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    return path


@pytest.mark.usefixtures("tiny")
def test_every_command_that_adds_up_is_made_again_to_the_same_bytes(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    models.save(tmp_path / "dir.safetensors", {"d": models.weights()["model.norm.weight"]}, dtype="F32")
    lines = {
        "v.safetensors": ["diff", "finetuned", "base"],
        "w": ["diff", "other", "base", "--dtype", "bfloat16", "--shard-size", "5kB"],
        "pn": ["diff", "positive", "negative"],
        "scaled": ["scale", "v.safetensors", "-1/3"],
        "sum": ["add", "v.safetensors", "w", "pn"],
        "applied": ["apply", "base", "v.safetensors", "--strength", "-0.7"],
        "projected": ["project", "v.safetensors", "--onto", "w", "--over", "model"],
        "rejected": ["reject", "v.safetensors", "w"],
        "trimmed": ["trim", "v.safetensors", "--density", "0.3"],
        "dropped": ["dare", "v.safetensors", "--density", "0.5", "--seed", "3"],
        "without": ["abliterate", "base", "--direction", "dir.safetensors", "--norms", "row"],
        "thin": ["compress", "v.safetensors", "--rank", "2"],
        "adapter": ["compress", "v.safetensors", "--rank", "2", "--format", "peft", "--base", "base"],
    }
    for name, words in lines.items():
        assert run(*words, "-o", name).status == 0, name
        for check in ("verify", "reproduce"):
            ran = run(check, name)
            assert (ran.status, ran.stderr) == (0, ""), name
            assert ran.stdout.startswith(f"{name}: ")


def test_a_merge_is_made_again_with_its_params_and_its_operators(
    recipe: Path, tmp_path: Path, run: Run
) -> None:
    assert run("merge", recipe, "-p", "k=0.75", "-o", tmp_path / "merged").status == 0
    told = run("reproduce", tmp_path / "merged")
    assert (told.status, told.stdout.split(": ")[1]) == (0, "reproduced")

    own, file = tmp_path / "own.yaml", tmp_path / "own.py"
    own.write_text("weightarith: 1\ninputs: {v: ./positive}\nexpression: double(v)\n", encoding="utf-8")
    file.write_text(OPERATOR, encoding="utf-8")
    assert run("merge", own, "--operators", file, "-o", tmp_path / "own").status == 0
    assert run("reproduce", tmp_path / "own", "--operators", file).status == 0
    missing = run("reproduce", tmp_path / "own")
    assert (missing.status, "calls operators of 'own.py'" in missing.stderr) == (2, True)
    file.write_text(OPERATOR.replace("2.0", "3.0"), encoding="utf-8")
    other = run("reproduce", tmp_path / "own", "--operators", file)
    assert (other.status, "is not the file of operators that was used" in other.stderr) == (2, True)


def test_layers_of_models_are_taken_and_stacked_again(recipe: Path, tmp_path: Path, run: Run) -> None:
    for number, expression in enumerate((
        'stack(take(base, "0-1"), take(o, "1"))',
        'stack(take(base, "0-1"), take(base + ft, "1"))',
        'take(o, "0")',
    )):  # fmt: skip
        text = RECIPE.replace("o: {model: ./other, minus: base}", "o: ./other").split("params:")[0]
        recipe.write_text(f"{text}expression: {expression}\n", encoding="utf-8")
        out = tmp_path / f"out{number}"
        assert run("merge", recipe, "-o", out).status == 0
        ran = run("reproduce", out)
        assert ran.status == 0, ran.stderr


def test_what_differs_is_named_and_the_exit_code_is_9(recipe: Path, tmp_path: Path, run: Run) -> None:
    run("merge", recipe, "-o", tmp_path / "merged")
    shard = spoilt(sorted((tmp_path / "merged").glob("*.safetensors"))[0])
    tensor = list(models.load(shard))[-1]

    verified, again = run("verify", tmp_path / "merged", "--json"), run("reproduce", tmp_path / "merged")

    assert (verified.status, again.status) == (9, 9)
    assert f"'{shard.name}', tensor '{tensor}': checksum: expected " in verified.stderr
    assert f"'{shard.name}', tensor '{tensor}': bytes: expected equal ones" in again.stderr
    assert verified.json["equal"] is False
    assert verified.json["differences"][0]["tensor"] == tensor


def test_another_tool_is_warned_of(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    run("diff", tiny.finetuned, tiny.base, "-o", tmp_path / "v")
    receipt = tmp_path / "v" / "weightarith.json"
    told = json.loads(receipt.read_text(encoding="utf-8")) | {"weightarith": "0.0.1"}
    receipt.write_text(json.dumps(told), encoding="utf-8")

    ran = run("reproduce", tmp_path / "v")

    assert ran.status == 0
    assert "Warning: it was made by another tool: weightarith: 0.0.1 then, " in ran.stderr


def test_a_lock_is_written_once_and_the_same(recipe: Path, tmp_path: Path, run: Run) -> None:
    first = run("lock", recipe)
    content = (tmp_path / "recipe.lock").read_bytes()
    again = run("lock", recipe)

    assert (first.status, again.status) == (0, 0)
    assert first.stderr == f"{tmp_path / 'recipe.lock'}: 3 inputs, 15 files\n"
    assert again.stderr == f"{tmp_path / 'recipe.lock'}: 3 inputs, 15 files, as before\n"
    assert (tmp_path / "recipe.lock").read_bytes() == content
    assert run("lock", recipe, "--check").status == 0


def test_a_lock_is_replaced_only_where_that_is_said(recipe: Path, tiny: Tiny, run: Run) -> None:
    run("lock", recipe)
    spoilt(tiny.base / "model.safetensors")

    checked, refused = run("lock", recipe, "--check"), run("lock", recipe)

    assert (checked.status, refused.status) == (9, 5)
    assert "\n  base/model.safetensors: expected " in checked.stderr
    assert "exists, and says something else" in refused.stderr
    assert run("lock", recipe, "--overwrite").status == 0
    assert run("lock", recipe, "--check").status == 0


def test_a_locked_merge_takes_what_is_locked_and_says_so_in_its_receipt(
    recipe: Path, tmp_path: Path, run: Run
) -> None:
    run("lock", recipe)

    assert run("merge", recipe, "--locked").status == 0

    receipt = json.loads((tmp_path / "merged" / "weightarith.json").read_text(encoding="utf-8"))
    lock = json.loads((tmp_path / "recipe.lock").read_text(encoding="utf-8"))
    for each in receipt["inputs"]:
        for name, told in each["files"].items():
            assert told["sha256"] == lock["inputs"][each["label"]]["files"][name]["sha256"]
    assert run("reproduce", tmp_path / "merged").status == 0


def test_a_locked_merge_refuses_what_drifted(recipe: Path, tiny: Tiny, tmp_path: Path, run: Run) -> None:
    run("lock", recipe)
    spoilt(tiny.finetuned / "model.safetensors")
    (tiny.base / "config.json").write_text("{}", encoding="utf-8")
    (tiny.other / "generation_config.json").unlink()
    (tiny.other / "vocab.json").write_text("{}", encoding="utf-8")

    ran = run("merge", recipe, "--locked", "-o", tmp_path / "out")

    assert ran.status == 9
    assert "\n  base/config.json: expected " in ran.stderr
    assert "found 2 bytes" in ran.stderr
    assert "\n  ft/model.safetensors: expected " in ran.stderr
    assert "\n  o/generation_config.json: expected " in ran.stderr
    assert "\n  o/vocab.json: expected no file, found one" in ran.stderr
    assert not (tmp_path / "out").exists()


def test_a_recipe_of_other_inputs_than_its_lock_is_refused(recipe: Path, run: Run) -> None:
    run("lock", recipe)
    recipe.write_text(
        RECIPE.replace("./other", "./finetuned").replace("base: ./base", "base: ./base, p: ./positive")
    )

    ran = run("merge", recipe, "--locked")

    assert ran.status == 9
    assert "\n  input 'p' is not in the lock" in ran.stderr
    assert "\n  input o: expected './other', found './finetuned'" in ran.stderr


def test_locks_that_are_none_are_refused(recipe: Path, tmp_path: Path, run: Run) -> None:
    missing = run("merge", recipe, "--locked")
    assert (missing.status, "no lock at" in missing.stderr) == (3, True)
    assert run("merge", recipe, "--lock", tmp_path / "x").status == 2
    assert run("lock", recipe, "-o", tmp_path / "base").status == 3
    entry = '{"weightarith_lock": 1, "inputs": {"a": {"where": "a", %s}}}'
    for text, told in {
        "{}": "is no lock",
        '{"weightarith_lock": 2, "inputs": {}}': "format 2",
        '{"weightarith_lock": 1, "inputs": {}, "x": 1}': "unknown key 'x'",
        entry % '"repo": "o/n"': "is not what a lock has",
        entry % '"repo": "o/n", "files": {}': "40 digits",
        entry % '"files": {"f": {"bytes": 1}}': "sha256 or git",
        entry % '"files": {"f": {"bytes": 1, "git": "x"}}': "40 hex",
    }.items():
        (tmp_path / "recipe.lock").write_text(text, encoding="utf-8")
        ran = run("merge", recipe, "--locked")
        assert (ran.status in (3, 10), told in ran.stderr) == (True, True), ran.stderr


def test_options_that_make_no_sense_are_refused(tmp_path: Path, run: Run) -> None:
    assert "not of the form LABEL=PATH" in run("reproduce", tmp_path, "--input", "x").stderr
    assert "given twice" in run("reproduce", tmp_path, "--input", "x=a", "--input", "x=b").stderr
    assert "--deep is for an output on the Hub" in run("verify", tmp_path, "--deep").stderr
    assert "names no repository" in run("pull", "not a name").stderr
