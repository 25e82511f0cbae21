"""The chat template of a result: a text, the one most models have, or the tokenizer's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.speaking import GREETING, edit_json, give_tokenizer, model, planned
from weightarith.algebra import Checkpoint
from weightarith.engine.plan import Plan
from weightarith.errors import InvalidFileError, RecipeError
from weightarith.mergekit import load_recipe
from weightarith.recipe import parse_recipe
from weightarith.saving import carry_out, draw, save

LOUD, QUIET = "{{ messages[0].content | upper }}", "{{ messages[0].content | lower }}"
MEAN = "mean(a, b, c)"
EVIL = "{{ cycler.__init__.__globals__.os.system('touch never') }}{% for x in range(10**9) %}{% endfor %}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three Llamas: `a` without a template, `b` and `c` with the same."""
    for seed, (name, template) in enumerate((("a", None), ("b", LOUD), ("c", LOUD))):
        give_tokenizer(model(tmp_path / name, seed=seed), template=template)
    return tmp_path


def said(folder: Path, plan: Plan) -> Any:
    """Return what the tokenizer of the result makes of a conversation."""
    from transformers import AutoTokenizer

    carry_out(plan)
    tokenizer = AutoTokenizer.from_pretrained(folder / "out")
    return tokenizer.apply_chat_template([{"role": "user", "content": "Abc"}], tokenize=False)


def inside(folder: Path, template: Any) -> None:
    """Store a template as older versions of transformers did, in tokenizer_config.json."""
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    edit_json(folder / "tokenizer_config.json", chat_template=template)


def test_a_text_is_what_apply_chat_template_uses(folder: Path) -> None:
    plan = planned(folder, MEAN, f'like: b, chat_template: "{QUIET}"')

    assert dict(plan.written) == {"chat_template.jinja": QUIET.encode()}
    assert "chat_template.jinja" not in {path.name for path in plan.copies}
    assert said(folder, plan) == "abc"


def test_a_text_of_many_lines_is_written_as_it_stands(folder: Path) -> None:
    lines = "".join(f"    {line}\n" for line in GREETING.splitlines())
    text = f"weightarith: 1\ninputs: {{a: ./a}}\nexpression: a\noutput:\n  chat_template: |\n{lines}"

    read = parse_recipe(text, folder=folder)

    assert read.output is not None
    assert read.output.chat_template == GREETING + "\n"


def test_the_only_template_is_the_one_written(folder: Path) -> None:
    inside(folder / "b", LOUD)
    edit_json(folder / "b" / "chat_template.json", chat_template=LOUD)
    before = json.loads((folder / "b" / "tokenizer_config.json").read_text())
    plan = planned(folder, MEAN, f'like: b, chat_template: "{QUIET}"')

    assert sorted(plan.written) == ["chat_template.jinja", "tokenizer_config.json"]
    assert said(folder, plan) == "abc"
    after = json.loads((folder / "out" / "tokenizer_config.json").read_text())
    assert after == {key: value for key, value in before.items() if key != "chat_template"}
    assert not (folder / "out" / "chat_template.json").exists()


def test_auto_takes_the_template_that_most_models_have(folder: Path) -> None:
    give_tokenizer(folder / "a", template=QUIET)
    inside(folder / "b", LOUD)
    plan = planned(folder, MEAN, "like: a, chat_template: auto")

    assert list(plan.written) == ["chat_template.jinja"]
    assert said(folder, plan) == "ABC"


def test_auto_leaves_the_files_alone_that_have_the_template(folder: Path) -> None:
    inside(folder / "b", [{"name": "default", "template": LOUD}, {"name": "tool_use", "template": QUIET}])
    plan = planned(folder, MEAN, "like: b, chat_template: auto")

    assert not plan.written
    assert said(folder, plan) == "ABC"


@pytest.mark.parametrize(("tokenizer", "template"), [("a", QUIET), ("b", LOUD), ("d", QUIET)])
def test_of_templates_that_as_many_models_have_the_tokenizers_own_is_taken_or_else_the_first(
    folder: Path, tokenizer: str, template: str
) -> None:
    give_tokenizer(folder / "a", template=QUIET)
    give_tokenizer(model(folder / "d"))
    for expression in ("0.5*a + 0.5*b", "0.5*b + 0.5*a"):
        plan = planned(folder, expression, f"like: {tokenizer}, chat_template: auto")
        found = plan.written.get("chat_template.jinja", template.encode())
        assert found == template.encode()
        assert (tokenizer == "d") == ("chat_template.jinja" in plan.written)


def test_auto_counts_the_models_of_a_stack(folder: Path) -> None:
    for expression in ("stack(a, b, c)", 'linear([stack(a, take(b, "0-1"), c)], weights=[1])'):
        plan = planned(folder, expression, "chat_template: auto")
        assert plan.written["chat_template.jinja"] == LOUD.encode()


def test_a_mergekit_document_says_whose_tokenizer_and_which_template(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    document = (
        "merge_method: linear\nmodels:\n  - {model: ./a, parameters: {weight: 1}}\n"
        "  - {model: ./b, parameters: {weight: 1}}\n  - {model: ./c, parameters: {weight: 2}}\n"
        "tokenizer_source: ./c\nchat_template: chatml\ndtype: float32\n"
    )
    (folder / "mergekit.yaml").write_text(document)

    read = load_recipe(folder / "mergekit.yaml")
    assert read.output is not None
    plan = draw(read.total, replace(read.output, path=folder / "out"))

    origins = {path.name: path.parent.name for path in plan.copies}
    assert (origins["config.json"], origins["tokenizer.json"]) == ("a", "c")
    assert said(folder, plan) == "<|im_start|>user\nAbc<|im_end|>\n"


def test_auto_without_any_template_is_refused(folder: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        planned(folder, "a", "chat_template: auto")

    assert str(caught.value) == (
        "chat_template: auto, and none of the models has a chat template\n"
        "  try: leave chat_template out, or write the template itself"
    )


def test_templates_are_never_run(folder: Path) -> None:
    (folder / "b" / "chat_template.jinja").write_text(EVIL)
    (folder / "c" / "chat_template.jinja").write_text(EVIL)

    carry_out(planned(folder, MEAN, "chat_template: auto"))

    assert (folder / "out" / "chat_template.jinja").read_text() == EVIL


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"{{ x }}" + b" " * 1_000_000, "has 1,000,007 bytes, and at most 1,000,000 are read"),
        (b"\xff{{ x }}", "is not UTF-8: invalid start byte"),
    ],
)
def test_a_template_that_is_too_long_or_no_text_is_refused(folder: Path, content: bytes, text: str) -> None:
    (folder / "b" / "chat_template.jinja").write_bytes(content)

    with pytest.raises(InvalidFileError, match=text):
        planned(folder, MEAN, "chat_template: auto")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ x }}" + "é" * 500_000, "a chat template of 1,000,007 bytes; 1,000,000 are read"),
        ("{{ \ud800 }}", "is no text: surrogates"),
    ],
)
def test_a_template_inside_a_config_is_checked_as_well(folder: Path, template: str, text: str) -> None:
    inside(folder / "b", template)

    with pytest.raises(InvalidFileError, match=text):
        planned(folder, MEAN, "chat_template: auto")


@pytest.mark.parametrize("nothing", [[], [{"name": ["default"]}], {"tool_use": LOUD}, 3, ["x"]])
def test_what_is_no_template_inside_a_config_is_none(folder: Path, nothing: Any) -> None:
    inside(folder / "b", nothing)

    with pytest.raises(RecipeError, match="none of the models has a chat template"):
        planned(folder, "b", "chat_template: auto")


def test_a_config_with_half_a_character_is_written_escaped(folder: Path) -> None:
    inside(folder / "b", LOUD)
    edit_json(folder / "b" / "tokenizer_config.json", odd="\ud800é")

    carry_out(planned(folder, "b", f'chat_template: "{QUIET}"'))

    assert json.loads((folder / "out" / "tokenizer_config.json").read_text())["odd"] == "\ud800é"


def test_python_takes_a_text_or_auto(folder: Path) -> None:
    a, b = (Checkpoint.open(folder / name, label=name) for name in "ab")

    save(a, folder / "text", chat_template=QUIET)
    save(0.75 * a + 0.25 * b, folder / "auto", chat_template="auto")

    assert (folder / "text" / "chat_template.jinja").read_text() == QUIET
    assert (folder / "auto" / "chat_template.jinja").read_text() == LOUD
    for wrong, text in (
        ("chatml", "expected chat_template to be auto or the text of a Jinja template, found 'chatml'"),
        ("{{ x }}" + " " * 1_000_000, "a chat template of 1,000,007 bytes; at most 1,000,000 are taken"),
        ("{{ \ud800 }}", "the chat template holds what is no character: surrogates not allowed"),
    ):
        with pytest.raises(RecipeError) as caught:
            save(a, folder / "wrong", chat_template=wrong)
        assert caught.value.message == text
    assert not (folder / "wrong").exists()
