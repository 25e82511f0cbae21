"""What mergekit gets wrong without a word is right here, or refused: what a document's text decides of it."""

from __future__ import annotations

import pytest

from tests.mergekit.documents import converted, expression, refused
from weightarith.errors import RecipeError

WEIGHTED = (
    "models:\n- {{model: a, parameters: {{weight: {0}}}}}\n- {{model: b, parameters: {{weight: {1}}}}}\n"
)


def document(method: str, *weights: float, rest: str = "") -> str:
    return f"merge_method: {method}\n" + WEIGHTED.format(*weights) + rest


def test_typing_errors_are_errors() -> None:
    text = refused(document("linear", 1, 1, rest="parameters: {nomalize: false}"), RecipeError)

    assert "'normalize' instead of 'nomalize'" in text


def test_config_and_tokenizer_come_from_the_first_model_where_there_is_no_base() -> None:
    for _ in range(3):
        text = converted(document("linear", 1, 1))

        assert "  like: a\n" in text
        assert "# No base_model: config and tokenizer come from the first model." in text


@pytest.mark.parametrize("method", ["linear", "nuslerp", "multislerp"])
def test_weights_that_add_up_to_nothing_are_not_divided_by(method: str) -> None:
    text = refused(document(method, 1, -1), RecipeError)

    assert f"3:35: the weights add up to 0, and {method} divides by their sum" in text


@pytest.mark.parametrize(("weights", "total", "hint"), [
    ((1, -1), "0", "a difference of models is a vector: weightarith diff A B, or A - B in a recipe"),
    ((1, 0.5), "1.5", "parameters: {normalize: true}; or task_arithmetic and a base_model"),
])  # fmt: skip
def test_weights_that_make_no_model_of_models_are_refused(
    weights: tuple[float, float], total: str, hint: str
) -> None:
    text = refused(document("linear", *weights, rest="parameters: {normalize: false}"), RecipeError)

    assert f"3:35: the weights add up to {total}, and without normalize models make a model only at 1" in text
    assert hint in text


def test_weights_that_add_up_to_one_need_no_normalising() -> None:
    text = expression(document("linear", 1.5, -0.5, rest="parameters: {normalize: false}"))

    assert text == "linear([a, b], weights=[1.5, -0.5], normalize=false)"


@pytest.mark.parametrize("method", ["ties", "della"])
def test_a_negative_weight_is_refused_where_differences_are_divided_by_weights(method: str) -> None:
    rest = "base_model: c\nparameters: {density: 0.5}"

    text = refused(document(method, 1, -0.9, rest=rest), RecipeError)

    assert f"4:35: a negative weight, and {method} divides by the sum of weights" in text
    assert "parameters: {normalize: false}" in text
    assert "weights=[1, -0.9]" in converted(document(method, 1, -0.9, rest=rest[:-1] + ", normalize: false}"))


def test_what_lies_outside_the_layers_has_its_value_written_down() -> None:
    text = converted("merge_method: slerp\nbase_model: a\nmodels: [{model: b}]\nparameters: {t: [0.1, 0.9]}")

    assert "t=gradient(0.1, 0.9, elsewhere=0.1)" in text
    assert "mergekit gives them all the first value, final norm and head too" in text


def test_head_and_norm_are_merged_from_all_sources_of_the_last_slice() -> None:
    slices = """merge_method: linear
parameters: {weight: 1}
slices:
- sources: [{model: a, layer_range: [0, 2]}]
- sources: [{model: b, layer_range: [2, 4]}, {model: c, layer_range: [2, 4]}]
"""
    text = converted(slices)

    assert 'slice_2: linear([take(b, "2-3"), take(c, "2-3")], weights=[1, 1], normalize=true)' in text
    assert "expression: stack(slice_1, slice_2)" in text


def test_a_model_that_is_listed_twice_is_refused() -> None:
    text = refused(document("linear", 1, 2).replace("model: b", "model: a"), RecipeError)

    assert "4:3: 'a' is listed twice, first in line 3" in text
    assert "list it once, with the sum of the weights" in text


def test_the_dtype_asked_for_is_that_of_the_output_whatever_the_method() -> None:
    for dtype, expected in (
        ("dtype: bfloat16", "bfloat16"),
        ("dtype: float32\nout_dtype: float16", "float16"),
        ("out_dtype: float64", "float64"),
    ):
        text = converted(f"merge_method: arcee_fusion\nbase_model: a\nmodels: [{{model: b}}]\n{dtype}")

        assert f"\n  dtype: {expected}\n" in text


def test_arithmetic_has_no_dtype() -> None:
    text = converted(document("linear", 0.3, 0.7, rest="dtype: bfloat16"))

    assert "# dtype: bfloat16 is what mergekit computes in as well; here everything is computed in" in text
    assert "weights=[0.3, 0.7]" in text


def test_vocabularies_that_differ_are_left_to_the_policy_which_refuses() -> None:
    assert "policy:" not in converted(document("linear", 1, 1))


def test_energies_are_weighed_however_small_they_are() -> None:
    text = converted("merge_method: sce\nbase_model: c\nmodels: [{model: a}, {model: b}]")

    assert "sce([a - base, b - base], select_topk=1, normalize=true)" in text
    assert "compat" not in text


def test_models_are_merged_in_the_order_of_the_document() -> None:
    names = ["gamma", "beta", "alpha", "delta"]
    models = "".join(f"- {{model: org/{name}}}\n" for name in names)

    text = expression(f"merge_method: karcher\nmodels:\n{models}")

    assert text.startswith("karcher([gamma, beta, alpha, delta]")


def test_a_lora_is_an_input_and_no_copy_of_the_model_that_could_go_stale() -> None:
    text = converted("merge_method: linear\nmodels: [{model: org/m@v1+me/lora, parameters: {weight: 1}}]")

    assert "  m: org/m@v1\n  lora: {adapter: me/lora, base: m}\n" in text
    assert "linear([m + lora], weights=[1], normalize=true)" in text


@pytest.mark.parametrize(("row_wise", "per"), [("true", "column"), ("false", "row")])
def test_rows_and_columns_are_called_what_they_are(row_wise: str, per: str) -> None:
    flags = f"parameters: {{nuslerp_flatten: false, nuslerp_row_wise: {row_wise}}}"

    text = converted(document("nuslerp", 1, 1, rest=flags))

    assert f'per="{per}"' in text
    assert "# per: mergekit's nuslerp_row_wise means columns where it is true" in text
