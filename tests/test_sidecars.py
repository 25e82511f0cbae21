"""What lies beside the weights: the config of a stack, and that of a model that is no part of the sum."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny
from tests.speaking import edit_json, model, planned
from weightarith.algebra import Checkpoint
from weightarith.engine.plan import Plan
from weightarith.errors import IncompatibleError, RecipeError, WeightArithError
from weightarith.saving import carry_out, save

STACK = 'stack(take(a, "0-1"), take(b, "1-3"))'
SPARE = ["full_attention", "sliding_attention"] * 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a Llama `a` of three layers and `b` of four."""
    for seed, (name, depth) in enumerate((("a", 3), ("b", 4))):
        model(tmp_path / name, depth=depth, seed=seed)
    return tmp_path


def config_of(plan: Plan) -> dict[str, Any]:
    carry_out(plan)
    found: dict[str, Any] = json.loads((plan.output.path / "config.json").read_text())
    return found


def refused(folder: Path, expression: str, output: str = "") -> str:
    with pytest.raises(IncompatibleError) as caught:
        planned(folder, expression, output)
    return str(caught.value)


def test_a_stack_loads_in_transformers_and_computes_what_a_stack_by_hand_computes(folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    plan = planned(folder, STACK, "dtype: float32")
    carry_out(plan)
    found, report = AutoModelForCausalLM.from_pretrained(folder / "out", output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert found.config.num_hidden_layers == len(found.model.layers) == 5

    low = AutoModelForCausalLM.from_pretrained(folder / "a", dtype=torch.float32)
    high = AutoModelForCausalLM.from_pretrained(folder / "b", dtype=torch.float32)
    by_hand = low
    by_hand.model.layers = torch.nn.ModuleList([*low.model.layers[:2], *high.model.layers[1:]])
    by_hand.model.norm, by_hand.lm_head = high.model.norm, high.lm_head
    by_hand.config.num_hidden_layers = 5
    for number, layer in enumerate(by_hand.model.layers):
        layer.self_attn.layer_idx = number
    tokens = torch.arange(24).reshape(2, 12) % tiny.VOCABULARY
    with torch.no_grad():
        assert torch.equal(found.eval()(tokens).logits, by_hand.eval()(tokens, use_cache=False).logits)


@pytest.mark.parametrize("dtype", ["base", "float32"])
def test_the_config_of_a_stack_is_written_and_other_files_are_copied(folder: Path, dtype: str) -> None:
    plan = planned(folder, STACK, f"dtype: {dtype}")

    assert list(plan.written) == ["config.json"]
    assert {path.parent.name for path in plan.copies} == {"a"}
    found = config_of(plan)
    expected = json.loads((folder / "a" / "config.json").read_text())
    assert found == {
        **expected,
        "num_hidden_layers": 5,
        "dtype": "bfloat16" if dtype == "base" else dtype,
    }
    copied = {path.name for path in plan.copies}
    assert copied == {"generation_config.json", "tokenizer_config.json", "chat_template.jinja"}


def test_layers_of_one_model_have_a_config_of_their_own(folder: Path) -> None:
    edit_json(folder / "b" / "config.json", layer_types=SPARE)

    found = config_of(planned(folder, 'take(b, "1-2")'))

    assert found["num_hidden_layers"] == 2
    assert found["layer_types"] == ["sliding_attention", "full_attention"]


def test_all_layers_of_a_model_keep_its_config_as_it_is(folder: Path) -> None:
    plan = planned(folder, 'take(a, "0-2") + 0.5*(take(b, "0-2") - take(a, "0-2"))')

    assert not plan.written
    assert "config.json" in {path.name for path in plan.copies}


def test_a_list_as_long_as_the_model_is_deep_is_no_list_by_layer_if_it_is_of_tokens(folder: Path) -> None:
    edit_json(folder / "a" / "config.json", eos_token_id=[2, 3, 4])

    assert config_of(planned(folder, 'take(a, "0-1")'))["eos_token_id"] == [2, 3, 4]


def test_a_sum_of_stacks_has_the_config_of_a_stack(folder: Path) -> None:
    found = config_of(planned(folder, "linear([stack(a, b), stack(b, a)], weights=[1, 2])"))

    assert found["num_hidden_layers"] == 7


def test_settings_that_count_layers_are_warned_of_in_a_stack(folder: Path) -> None:
    edit_json(folder / "a" / "config.json", max_window_layers=2, use_sliding_window=True)

    (warning,) = planned(folder, STACK).warnings

    assert warning == (
        "config.json tells layers apart by their numbers, in 'max_window_layers'; in stack(a[0-1], b[1-3]) "
        "these are other layers than they were: check it"
    )
    assert not planned(folder, "a").warnings


@pytest.mark.parametrize(
    "settings",
    [
        {"max_window_layers": 2, "use_sliding_window": False},
        {"max_window_layers": 2, "layer_types": SPARE[:3]},
        {"decoder_sparse_step": 1},
        {"sliding_window": 16},
    ],
)
def test_settings_that_count_no_layers_as_they_stand_are_not_warned_of(
    folder: Path, settings: dict[str, Any]
) -> None:
    edit_json(folder / "a" / "config.json", **settings)
    if "layer_types" in settings:
        edit_json(folder / "b" / "config.json", layer_types=SPARE)

    assert not planned(folder, STACK).warnings


def test_layers_with_windows_by_turns_are_warned_of(folder: Path) -> None:
    edit_json(folder / "a" / "config.json", model_type="gemma2", sliding_window=16)

    assert "in 'sliding_window'" in planned(folder, STACK).warnings[0]


def test_layers_that_the_config_does_not_count_cannot_be_stacked(folder: Path) -> None:
    edit_json(folder / "b" / "config.json", num_hidden_layers=3, num_nextn_predict_layers=1)

    text = refused(folder, "stack(b, b)")

    assert text.startswith(
        "the config.json of stack(b, b) says num_hidden_layers 3, and the result has layers 0-7"
    )
    assert "multi-token prediction" in text


def test_a_setting_by_layer_in_one_model_only_is_refused(folder: Path) -> None:
    edit_json(folder / "b" / "config.json", layer_types=SPARE)

    for expression in ("stack(a, b)", "stack(b, a)"):
        with pytest.raises(
            WeightArithError, match="lists 'layer_types' by layer in one model, and not in an"
        ):
            planned(folder, expression)


def test_a_model_that_is_no_part_of_the_sum_gives_its_config(folder: Path) -> None:
    model(folder / "c", depth=3, seed=5, rope_theta=5e5)
    plan = planned(folder, "a", "like: c")

    assert not plan.warnings
    assert {path.parent.name for path in plan.copies} == {"c"}
    assert config_of(plan)["rope_theta"] == 5e5


def test_like_is_fitted_to_a_stack(folder: Path) -> None:
    for name, types in (("a", SPARE[:3]), ("b", SPARE)):
        edit_json(folder / name / "config.json", layer_types=types)
    model(folder / "c", depth=1, rope_theta=5e5, layer_types=["full_attention"])

    found = config_of(planned(folder, STACK, "like: c"))

    assert found["num_hidden_layers"] == 5
    assert found["layer_types"] == [*SPARE[:2], *SPARE[1:]]
    assert found["rope_theta"] == 5e5


def test_like_gets_lists_by_layer_that_only_the_stack_has(folder: Path) -> None:
    for name, types in (("a", SPARE[:3]), ("b", SPARE)):
        edit_json(folder / name / "config.json", layer_types=types)
    model(folder / "c")

    found = config_of(planned(folder, STACK, "like: c"))

    assert found["layer_types"] == [*SPARE[:2], *SPARE[1:]]


def test_like_with_a_list_by_layer_that_the_stack_has_not_is_refused(folder: Path) -> None:
    model(folder / "c", depth=4, layer_types=SPARE)
    text = refused(folder, STACK, "like: c")
    assert text.startswith("config.json lists 'layer_types' by layer in c, and not in the stack\n")

    for name, heads in (("a", [1] * 3), ("b", [1] * 4)):
        edit_json(folder / name / "config.json", num_key_value_heads=heads)
    edit_json(folder / "c" / "config.json", layer_types=None)
    text = refused(folder, STACK, "like: c")
    assert text.startswith("config.json lists 'num_key_value_heads' by layer in the stack, and not in c\n")


def test_like_without_a_number_of_layers_cannot_be_fitted(folder: Path) -> None:
    model(folder / "c", num_hidden_layers=None)

    text = refused(folder, STACK, "like: c")

    assert text == "config.json of c has none of num_hidden_layers, n_layer, num_layers, n_layers"


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"vocab_size": 48}, "the config.json of c says vocab_size 48, and that of a says 40"),
        ({"hidden_size": 32}, "the config.json of c says hidden_size 32, and that of a says 16"),
        ({"num_key_value_heads": 2}, "the config.json of c says num_key_value_heads 2, and that of a says 1"),
        ({"num_hidden_layers": 4}, "the config.json of c says num_hidden_layers 4, and that of a says 3"),
        (
            {"tie_word_embeddings": True},
            "the config.json of c says tie_word_embeddings true, and the result has an output head of its "
            "own",
        ),
    ],
)
def test_like_that_contradicts_the_result_is_refused(
    folder: Path, setting: dict[str, Any], text: str
) -> None:
    model(folder / "c", depth=3, **setting)

    assert refused(folder, "a", "like: c") == (
        f"{text}\n  try: let like: name a model of the same shapes, or leave it out"
    )


def test_like_is_held_against_the_embedding_where_no_other_config_is_known(folder: Path) -> None:
    (folder / "a" / "config.json").unlink()
    model(folder / "c", depth=3, vocab_size=48)

    text = refused(folder, "a", "like: c")

    assert text.startswith(
        "the config.json of c says vocab_size 48, and 'model.embed_tokens.weight' has 40 in the result"
    )


def test_like_of_a_multimodal_config_is_held_against_its_text_part(folder: Path) -> None:
    model(folder / "c", depth=3, vocab_size=None, text_config={"vocab_size": 48})

    assert "vocab_size 48, and that of a says 40" in refused(folder, "a", "like: c")


def test_a_config_without_a_head_is_refused_for_a_model_that_ties_it(folder: Path) -> None:
    tiny.checkpoint(folder / "a", tiny.weights(depth=3, tied=True))
    model(folder / "c", depth=3, tie_word_embeddings=False)

    text = refused(folder, "a", "like: c")

    assert "says tie_word_embeddings false, and the result stores no output head" in text


def test_python_names_a_model_that_is_no_part_of_the_sum_by_itself(folder: Path) -> None:
    other = Checkpoint.open(model(folder / "c", depth=3, rope_theta=5e5), label="c")
    a = Checkpoint.open(folder / "a", label="a")

    save(a, folder / "out", like=other)

    assert json.loads((folder / "out" / "config.json").read_text())["rope_theta"] == 5e5
    assert np.array_equal(
        tiny.load(folder / "out")["lm_head.weight"], tiny.load(folder / "a")["lm_head.weight"]
    )
    with pytest.raises(RecipeError, match="output: like: 'c' is no model of this sum; it has a"):
        save(a, folder / "out", like="c", overwrite=True)


def test_config_of_a_single_file_is_not_guessed(folder: Path) -> None:
    (folder / "a.safetensors").write_bytes((folder / "a" / "model.safetensors").read_bytes())
    plan = planned(folder, "file", file="a.safetensors")

    assert plan.warnings == (
        "file is a single file, so no config and no tokenizer is copied beside the weights",
    )
    assert (plan.copies, dict(plan.written)) == ((), {})
    plan = planned(folder, "file", "tokenizer: b", file="a.safetensors")
    assert plan.warnings[0] == "file is a single file, so no config is copied beside the weights"
    assert {path.parent.name for path in plan.copies} == {"b"}
