"""check: a table or JSON, and an exit code that says whether every loader reads the adapter as meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.loaders.folders import adapter, base
from weightarith.cli.checking import check
from weightarith.errors import InvalidFileError, RecipeError, UnsupportedError, WeightArithError


def run(*words: object) -> Result:
    return CliRunner().invoke(check, [str(word) for word in words])


def code(result: Result) -> int:
    """Return the exit code: an error of ours has its own, which main() leaves with."""
    error = result.exception
    return error.exit_code if isinstance(error, WeightArithError) else result.exit_code


def test_a_plain_adapter_loads_and_the_exit_code_is_0(tmp_path: Path) -> None:
    ran = run(adapter(tmp_path / "a"), "--for", "peft,sglang, llama.cpp", "--base", base(tmp_path / "base"))

    assert code(ran) == 0
    assert ran.stdout == "peft       loads\nsglang     loads\nllama.cpp  loads\n"


def test_what_is_not_read_as_meant_is_told_with_the_remedy_and_leaves_10(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a", use_dora=True)
    ran = run(folder, "--for", "peft,vllm,ollama")

    assert code(ran) == 10
    assert isinstance(ran.exception, UnsupportedError)
    assert "vllm    REFUSES\n          use_dora: it is DoRA, whose change depends on" in ran.stdout
    assert "            try: merge it into the base with PEFT" in ran.stdout
    assert f"'{folder}' is not read as meant: vllm refuses, ollama misreads it" in str(ran.exception)


def test_all_loaders_are_asked_by_default(tmp_path: Path) -> None:
    ran = run(adapter(tmp_path / "a"))
    assert [line.split()[0] for line in ran.stdout.splitlines() if not line.startswith(" ")] == [
        "peft", "vllm", "sglang", "llama.cpp", "ollama",
    ]  # fmt: skip


def test_json_holds_every_finding(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a", modules_to_save=["lm_head"])
    ran = run(folder, "--for", "vllm", "--json")

    assert code(ran) == 10
    found = json.loads(ran.stdout)
    assert found["path"] == str(folder)
    assert found["loaders"]["vllm"]["verdict"] == "refuses"
    assert found["loaders"]["vllm"]["findings"][0]["about"] == "modules_to_save"


@pytest.mark.parametrize(
    ("words", "error", "told"),
    [
        (["--for", "vlm"], RecipeError, "unknown loader 'vlm'"),
        (["--for", ""], RecipeError, "unknown loader ''"),
        (["--base", "nowhere at all"], InvalidFileError, "nowhere at all"),
    ],
)
def test_what_cannot_be_asked_is_an_error(
    tmp_path: Path, words: list[str], error: type[WeightArithError], told: str
) -> None:
    ran = run(adapter(tmp_path / "a"), *words)
    assert isinstance(ran.exception, error)
    assert told in str(ran.exception)
    assert ran.stdout == ""


def test_a_hostile_name_moves_no_cursor(tmp_path: Path) -> None:
    folder = adapter(
        tmp_path / "a", base_model_name_or_path="x\x1b[2J", modules_to_save=["\x1b[2J"], peft_type="\x1b[2J"
    )
    ran = run(folder)

    assert "\x1b" not in ran.stdout
    assert ran.stdout.replace("\n", "").isprintable()


def test_no_weight_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("weightarith.tensorfile.reader.OpenFile.read_into", read)
    assert code(run(adapter(tmp_path / "a"), "--for", "peft", "--base", base(tmp_path / "base"))) == 0
