"""diff, scale, add and apply as commands: what they write, what they say, and on which stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import tiny as models
from tests.cli.conftest import Run
from tests.conftest import Tiny

Q = "model.layers.0.self_attn.q_proj.weight"


@pytest.fixture
def vector(tiny: Tiny, tmp_path: Path, run: Run) -> Path:
    path = tmp_path / "task.safetensors"
    assert run("diff", tiny.finetuned, tiny.base, "-o", path).status == 0
    return path


def test_diff_writes_a_minus_b_and_says_so_on_stderr_only(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    ran = run("diff", tiny.finetuned, tiny.base, "-o", tmp_path / "v.safetensors")

    assert ran.status == 0
    assert ran.stdout == ""
    assert "v = finetuned − base: adding v to base gives finetuned" in ran.stderr
    written, after, before = map(models.load, (tmp_path / "v.safetensors", tiny.finetuned, tiny.base))
    assert np.array_equal(written[Q], after[Q] - before[Q])


def test_apply_undoes_diff_bit_by_bit(tiny: Tiny, vector: Path, tmp_path: Path, run: Run) -> None:
    ran = run("apply", tiny.base, vector, "-o", tmp_path / "merged")

    assert ran.status == 0
    written, expected = models.load(tmp_path / "merged"), models.load(tiny.finetuned)
    assert all(np.array_equal(written[name], expected[name]) for name in expected)
    assert (tmp_path / "merged" / "tokenizer_config.json").is_file()
    assert "merged: base + task\n" in ran.stderr


@pytest.mark.parametrize(
    ("written", "factor"),
    [
        ("2", 2), ("-0.5", -0.5), ("−0.5", -0.5), ("-.5", -0.5), ("+1.5", 1.5), ("-1/4", -0.25),
        ("1/8", 0.125), ("5e-1", 0.5), ("5e−1", 0.5), ("-2.", -2),
    ],
)  # fmt: skip
def test_scale_reads_numbers_as_people_write_them(
    written: str, factor: float, vector: Path, tmp_path: Path, run: Run
) -> None:
    ran = run("scale", vector, written, "-o", tmp_path / "scaled.safetensors")

    assert ran.status == 0
    scaled, before = models.load(tmp_path / "scaled.safetensors"), models.load(vector)
    assert np.array_equal(scaled[Q], np.float32(factor) * before[Q])


def test_a_negative_number_may_stand_anywhere(vector: Path, tmp_path: Path, run: Run) -> None:
    path = tmp_path / "scaled.safetensors"

    for words in (
        ("--dry-run", vector, "-2"),
        (vector, "--dry-run", "-2"),
        ("--dry-run", vector, "--", "-2"),
    ):
        ran = run("scale", "-o", path, *words)
        assert (ran.status, ran.stdout.partition("\n")[0]) == (0, f"would write {path}: −2·task")


def test_an_output_may_look_like_a_negative_number(
    vector: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(vector.parent)

    assert run("scale", vector, "-1", "-o", "-5").status == 0
    assert (vector.parent / "-5").is_dir()


@pytest.mark.parametrize("command", ["scale", "apply"])
@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("x", "'x' is no number; write it like 1.5, -0.5 or 1/3"),
        ("", "'' is no number"),
        ("nan", "'nan' is no number"),
        ("inf", "'inf' is no number"),
        ("1_0", "'1_0' is no number"),
        ("1/2/3", "'1/2/3' is no number"),
        ("1/0", "'1/0' divides by zero"),
        ("1e400", "'1e400' is out of range"),
        ("1e-400", "'1e-400' is out of range"),
        ("1e999999999", "'1e999999999' is out of range"),
    ],
)
def test_what_is_no_number_is_a_usage_error(
    command: str, number: str, said: str, tiny: Tiny, vector: Path, tmp_path: Path, run: Run
) -> None:
    words = [vector, number] if command == "scale" else [tiny.base, vector, f"--strength={number}"]

    ran = run(command, *words, "-o", tmp_path / "out")

    assert ran.status == 2
    assert f"Error: Invalid value for '{'K' if command == 'scale' else '--strength'}': {said}" in ran.stderr
    assert not (tmp_path / "out").exists()


def test_apply_multiplies_by_the_strength(tiny: Tiny, vector: Path, tmp_path: Path, run: Run) -> None:
    ran = run("apply", tiny.base, vector, "--strength", "-1/2", "-o", tmp_path / "out", "--dtype", "float64")

    assert "base − 0.5·task" in ran.stderr
    written, change, base = map(models.load, (tmp_path / "out", vector, tiny.base))
    assert np.array_equal(written[Q], base[Q].astype(np.float64) - 0.5 * change[Q].astype(np.float64))


def test_add_takes_vectors_and_adapters_and_the_same_one_twice(
    tiny: Tiny, vector: Path, tmp_path: Path, run: Run
) -> None:
    ran = run("add", vector, vector, tiny.positive, "-o", tmp_path / "sum.safetensors")

    assert "sum.safetensors: 2·task + positive\n" in ran.stderr
    lowrank = models.load(tiny.positive)
    prefix = "base_model.model.model.layers.0.self_attn.q_proj"
    product = lowrank[f"{prefix}.lora_B.weight"] @ lowrank[f"{prefix}.lora_A.weight"]
    expected = 2 * models.load(vector)[Q] + 2 * product  # alpha / rank is 2
    assert np.allclose(models.load(tmp_path / "sum.safetensors")[Q], expected, rtol=0, atol=1e-6)


def test_the_difference_of_adapters_stays_factored(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    assert run("diff", tiny.positive, tiny.negative, "-o", tmp_path / "v.safetensors").status == 0
    assert f"{Q}::A" in models.load(tmp_path / "v.safetensors")


@pytest.mark.parametrize(
    ("command", "said", "tried"),
    [
        ("diff base task", "base is a model and task is a vector, expected two models", "--strength -1"),
        ("diff task base", "task is a vector and base is a model, expected two models", "--strength -1"),
        ("diff base positive", "base is a model and positive is an adapter", "--strength -1"),
        ("apply task base", "'task' is a vector, expected a model", "apply BASE VECTOR"),
        ("apply positive task", "'positive' is an adapter, expected a model", "apply BASE VECTOR"),
        ("apply base other", "'other' is a model, expected a vector or an adapter", "diff FINETUNED BASE"),
        ("scale base 2", "'base' is a model, expected a vector or an adapter", "diff FINETUNED BASE"),
        ("add task base", "'base' is a model, expected a vector or an adapter", "diff FINETUNED BASE"),
        ("add task", "add takes two or more vectors", ""),
    ],
)
def test_an_input_of_the_wrong_kind_is_named_with_the_remedy(
    command: str, said: str, tried: str, tiny: Tiny, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny.base.parent)
    run("diff", tiny.finetuned, tiny.base, "-o", "task")

    ran = run(*command.split(), "-o", "out")

    assert (ran.status, ran.stdout) == (2, "")
    assert said in ran.stderr
    assert tried in ran.stderr
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("finetuned", "base", "v = finetuned − base:"),
        ("./finetuned/", "base/model.safetensors", "v = finetuned − base:"),
        ("x/model", "y/model", "v = A − B: adding v to B gives A"),
        ("finetuned", "base/.", "v = finetuned − base:"),
        ("finetuned", "base/../base", "v = finetuned − base:"),
    ],
)
def test_inputs_are_called_by_what_tells_them_apart(
    first: str, second: str, said: str, tiny: Tiny, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny.base.parent)
    models.checkpoint(Path("x", "model"), models.weights())
    models.checkpoint(Path("y", "model"), models.weights(seed=1))

    assert said in run("diff", first, second, "-o", "v.safetensors").stderr


def test_the_folder_one_stands_in_is_called_by_its_name(
    tiny: Tiny, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny.finetuned)

    assert "v = finetuned − base" in run("diff", ".", "../base", "-o", tmp_path / "v.safetensors").stderr


def test_a_name_that_would_move_the_cursor_is_escaped(tmp_path: Path, run: Run) -> None:
    hostile = models.checkpoint(tmp_path / "a\x1b[2Jb", models.weights())
    other = models.checkpoint(tmp_path / "other", models.weights(seed=1))

    ran = run("diff", hostile, other, "-o", tmp_path / "v\x1b.safetensors")

    assert "v = a\\x1b[2Jb − other" in ran.stderr
    assert "\x1b" not in ran.stderr + ran.stdout


def test_diff_warns_when_b_is_recorded_as_a_finetune_of_a(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    (tiny.finetuned / "README.md").write_text("---\nbase_model: base\n---\n", encoding="utf-8")

    swapped = run("diff", tiny.base, tiny.finetuned, "-o", tmp_path / "swapped.safetensors")
    right = run("diff", tiny.finetuned, tiny.base, "-o", tmp_path / "right.safetensors")

    assert swapped.status == right.status == 0
    assert (
        "Warning: finetuned is recorded as a fine-tune of base, so the sign looks reversed" in swapped.stderr
    )
    assert "Warning" not in right.stderr


def test_apply_warns_when_the_vector_was_measured_from_other_tensors(
    vector: Path, tmp_path: Path, run: Run
) -> None:
    deeper = models.checkpoint(tmp_path / "deeper", models.weights(depth=3))

    ran = run("apply", deeper, vector, "-o", tmp_path / "out")

    assert ran.status == 0
    assert (
        "Warning: task.safetensors was measured from base, whose tensors differ from those of deeper"
        in ran.stderr
    )


def test_a_change_that_rounding_swallows_is_warned_of(
    tiny: Tiny, vector: Path, tmp_path: Path, run: Run
) -> None:
    ran = run("apply", tiny.base, vector, "--strength", "1e-4", "-o", tmp_path / "out")

    assert (
        "Warning: rounding to the output's dtype swallowed part of the change; --dtype float32" in ran.stderr
    )
    assert "of norm" in ran.stderr
