"""The card as text: what huggingface_hub reads in it, and that nothing in it becomes markup."""

from __future__ import annotations

from typing import Any

import pytest
from huggingface_hub import ModelCard

from weightarith.card import Facts, Licence, Parent, render
from weightarith.card.licence import Decision
from weightarith.card.markdown import block, code, plain, table
from weightarith.card.results import measured
from weightarith.errors import InvalidFileError
from weightarith.hub.about import check_card

MIT = Decision(Licence("mit"), "that of org/base", chosen=False)
BASE = Parent("base", "checkpoint", "org/base", "c" * 40, licence=Licence("mit"))
OTHER = Parent("other", "checkpoint", "org/other", licence=Licence("mit"), gated=True)
LOCAL = Parent("v", "vector", name="v.safetensors", asked=False, note="that of its model")
RECEIPT: dict[str, Any] = {
    "weightarith": "0.1.0",
    "expression": "base + 0.5·v",
    "recipe": "weightarith: 1\nexpression: base + 0.5·v\n",
    "params": {"k": "0.5"},
    "numerics": {"accumulate": "float64", "rounding": "once, to nearest even"},
    "change": {"intended": 1.5, "realised": 1.4, "gain": 0.93, "cosine": 0.99, "elements_changed": 1234},
    "counts": {"changed": 3, "copied": 1, "absent": 0},
    "tensors": {"a": {"dtype": "BF16"}},
    "warnings": ["beware of `this`"],
}


def facts(**more: Any) -> Facts:
    given = {"config": {"architectures": ["LlamaForCausalLM"]}, "parents": (BASE, LOCAL), "decision": MIT}
    return Facts(
        "me/thing", **{"kind": "checkpoint", "receipt": RECEIPT, "base": "org/base", **given, **more}
    )


def data(card: str) -> dict[str, Any]:
    found: dict[str, Any] = ModelCard(card).data.to_dict()  # type: ignore[no-untyped-call]
    return found


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (
            {},
            {
                "base_model": "org/base", "base_model_relation": "finetune", "library_name": "transformers",
                "pipeline_tag": "text-generation", "license": "mit",
                "tags": ["weightarith", "task-arithmetic"],
            },
        ),
        (
            {"parents": (BASE, OTHER)},
            {
                "base_model": ["org/base", "org/other"], "base_model_relation": "merge",
                "library_name": "transformers", "pipeline_tag": "text-generation", "license": "mit",
                "tags": ["weightarith", "merge", "task-arithmetic"],
            },
        ),
        (
            {"kind": "adapter", "parents": (BASE, OTHER)},
            {
                "base_model": "org/base", "base_model_relation": "adapter", "library_name": "peft",
                "license": "mit", "tags": ["weightarith", "lora"],
            },
        ),
        (
            {"kind": "vector", "parents": (LOCAL,), "decision": Decision(
                Licence("other", "own", "https://x.example"), "chosen", chosen=True)},
            {
                "library_name": "weightarith", "license": "other", "license_name": "own",
                "license_link": "https://x.example",
                "tags": ["weightarith", "weight-vector", "task-arithmetic"],
            },
        ),
    ],
)  # fmt: skip
def test_the_front_matter_says_what_it_is_made_of(more: dict[str, Any], expected: dict[str, Any]) -> None:
    card = render(facts(**more))
    check_card(card)
    assert data(card) == expected


def test_the_body_holds_recipe_inputs_numbers_and_how_to_check() -> None:
    card = render(facts())
    for line in (
        "# thing",
        "| `base` | checkpoint | [org/base](https://huggingface.co/org/base) at `"
        + "c" * 40
        + "` | 1 | mit |",
        "| `v` | vector | not published (v.safetensors) | 0.5 | that of its model |",
        "weightarith: 1\nexpression: base + 0.5·v",
        "Run with `k = 0.5`.",
        "| accumulated in | float64 |",
        "| stored as | BF16 |",
        "| realised change (1 is all of it) | 0.93 |",
        "| elements changed | 1,234 |",
        "| tensors | 3 changed, 1 copied, 0 absent |",
        r"- beware of \`this\`",
        "weightarith verify me/thing",
        "weightarith reproduce me/thing --input v=PATH",
        "Licence: mit, that of org/base.",
        'AutoModelForCausalLM.from_pretrained("me/thing")',
        "vllm serve me/thing",
        "convert_hf_to_gguf.py",
    ):
        assert line in card, line


def test_an_adapter_is_shown_with_the_programs_that_load_it_only() -> None:
    card = render(facts(kind="adapter", loaders=("peft", "vllm"), config={"r": 8}))
    assert 'PeftModel.from_pretrained(base, "me/thing")' in card
    assert "vllm serve org/base --enable-lora --max-lora-rank 8 --lora-modules thing=me/thing" in card
    assert "llama.cpp" not in card


def test_a_gated_parent_is_called_so() -> None:
    assert "[org/other](https://huggingface.co/org/other) (gated)" in render(facts(parents=(BASE, OTHER)))


def test_a_subtracted_safety_direction_is_warned_of() -> None:
    more = {"receipt": {**RECEIPT, "expression": "base − safety"}, "names": {"safety": ()}}
    assert "> [!WARNING]\n> **This may make a model less safe or less honest.** `safety`" in render(
        facts(**more)
    )
    assert "WARNING" not in render(facts(names={"v": ()}))


@pytest.mark.parametrize("name", ["a | b", "`code`", "<script>", "[x](y)", "two\nlines", "| --- |", "```"])
def test_a_name_cannot_become_markup(name: str) -> None:
    row = table(("a", "b"), [(code(name), plain(name))]).splitlines()[-1]
    assert row.replace(r"\|", "").count("|") == 3
    assert all(plain(name)[at - 1] == "\\" for at, mark in enumerate(plain(name)) if mark in "<>[]`|#")


def test_a_fence_is_longer_than_any_inside() -> None:
    assert block("a\n```\nb", "yaml") == "````yaml\na\n```\nb\n````"


def test_a_name_cannot_leave_the_front_matter() -> None:
    evil = Decision(Licence("other", "x\n---\n# y", ""), "chosen", chosen=True)
    card = render(facts(decision=evil))
    check_card(card)
    assert data(card)["license_name"] == "x\n---\n# y"


@pytest.mark.parametrize("text", ["# no front matter\n", "---\n[\n---\n", "---\n- a\n---\n", "---\n---\n"])
def test_a_card_that_huggingface_hub_cannot_read_is_refused(text: str) -> None:
    with pytest.raises(InvalidFileError, match="the card is not valid"):
        check_card(text)


def estimate(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": 40}


SWEEP: dict[str, Any] = {
    "weightarith_sweep": 1, "suite": "s 1.0", "chosen": "contrast", "behaviour": "b.trait", "cost": "kl",
    "capability": ["c"], "panel": [], "missing": {"judge": "no endpoint"},
    "outcomes": {name: {"kind": kind} for name, kind in
                 {"b.trait": "share", "kl": "mean", "c": "share"}.items()},
    "points": [
        {"method": method, "strength": k, "estimates": {
            "b.trait": estimate(0.5 + k / 10, 0.4, 0.9), "kl": estimate(k * 0.1), "c": estimate(None)}}
        for method, k in (("contrast", 1.0), ("base", 0.0), ("prompt", 1.0))
    ],
    "safe": {"low": -0.5, "high": 1.0}, "proved": {"low": 0.0, "high": 0.0},
    "recommended": {"negative": None, "positive": 1.0},
}  # fmt: skip


def test_a_sweep_is_a_table_of_the_chosen_method() -> None:
    (found,) = measured(SWEEP, "sweep.json")
    assert found.head == ("strength", "b.trait (behaviour)", "kl (cost)", "c (capability)")
    assert found.rows == (
        ("0", "50 % (40 to 90)", "0", "–"),
        ("**1**", "60 % (40 to 90)", "0.1", "–"),
    )
    assert found.notes == (
        "Values with 95 % intervals; n = 40 items an outcome.",
        "Safe range of the strength: −0.5 to 1.",
        "By the 95 % bounds no strength is proved safe: the intervals are too wide.",
        "Recommended: 1 to induce.",
        "Not measured: judge, no endpoint.",
    )


def test_an_evaluation_is_a_table_of_its_outcomes() -> None:
    row = {"outcome": "a.b", **estimate(0.25, 0.2, 0.3), "change": {"difference": 0.1, "low": 0, "high": 0.2}}
    document = {
        "weightarith_evaluations": 1, "suite": "s", "model": "m", "against": "base", "outcomes": [row],
        "evaluations": [{"outcomes": {"a.b": {"kind": "share"}}}],
    }  # fmt: skip
    (found,) = measured(document, "x.json")
    assert found.rows == (("a.b", "25 % (20 to 30)", "40", "10 % (0 to 20)"),)


@pytest.mark.parametrize("document", [{}, {"weightarith_sweep": 2}, {**SWEEP, "points": None}])
def test_results_of_another_format_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidFileError):
        measured(document, "'x.json'")
