"""Documents that are well formed and mean nothing: models, layers, bases and numbers that do not fit."""

from __future__ import annotations

import pytest

from tests.mergekit.documents import NAME, converted, refused
from weightarith.errors import RecipeError, UnsupportedError
from weightarith.mergekit import recipe_text

LINEAR = "merge_method: linear\nmodels:\n- {model: a, parameters: {weight: 1}}\n"
SLICES = "merge_method: slerp\nbase_model: b\nparameters: {t: 0.5}\nslices:\n"
TIES = "merge_method: ties\nbase_model: b\nmodels:\n- {model: a, parameters: {weight: 1}}\n"

WRONG = [
    ("merge_method: linear", "1:1: a merge needs exactly one of models, slices and modules; this has none"),
    (LINEAR + "slices: []", "4:1: a merge needs exactly one of models, slices and modules; this has models"),
    ("models: [{model: a}]", "1:1: a mergekit document needs the key merge_method"),
    ("merge_method: ~\nmodels: [{model: a}]", "1:1: a mergekit document needs merge_method, and nothing is"),
    ("merge_method: linear\nmodels: []", "2:9: expected models, found an empty list"),
    ("merge_method: linear\nmodels: {model: a}", "2:9: expected models, a list, found a mapping"),
    (LINEAR.replace("model: a", "model: a+b+c"), "3:11: 'a+b+c' names no model: more than one +"),
    (LINEAR.replace("model: a", "model: a@b@c"), "3:11: 'a@b@c' names no model: more than one @"),
    (LINEAR.replace("model: a", "model: a@"), "3:11: 'a@' names no model: an empty path or revision"),
    (LINEAR.replace("weight: 1", "weight: true"), "3:35: expected a number for weight, found 'true'"),
    (LINEAR.replace("weight: 1", "weight: []"), "3:35: expected a number for weight, found an empty list"),
    (LINEAR.replace("weight: 1", "weight: [[1]]"), "3:36: expected a number for weight, found a list of 1"),
    (LINEAR.replace("weight: 1", "weight: .inf"), "3:35: expected a number for weight, found '.inf'"),
    (LINEAR.replace("weight: 1", "weight: 1e999"), "3:35: expected a number for weight, found '1e999'"),
    (LINEAR.replace("weight: 1", "weight: [{value: {a: 1}}]"), "3:44: expected a number for weight, found a"),
    (LINEAR.replace("weight: 1", "weight: {filter: mlp}"), "3:35: a rule of weight needs the key value"),
    (LINEAR + "parameters: {normalize: 2}", "4:25: expected true or false for normalize, found '2'"),
    (LINEAR.replace("weight: 1", ""), "3:3: 'a' has no weight\n  try: parameters: {weight: …}"),
    (LINEAR.replace("weight: 1", "weight: [{filter: mlp, value: 1}]"), "3:36: weight of 'a' is given for"),
    (LINEAR + "tokenizer_source: base", "4:1: tokenizer_source: base, and there is no base_model"),
    (LINEAR + "tokenizer_source: a\ntokenizer: {source: a}", "4:1: tokenizer and tokenizer_source: there"),
    (LINEAR + "base_model: b", "4:13: linear has no base, and 'b' is not listed: it would be merged in"),
    (TIES.replace("base_model: b\n", ""), "1:1: ties needs a base_model"),
    (TIES.replace("model: a", "model: b"), "4:1: ties takes 1 or more models beside the base"),
    (TIES + "- {model: a}", "5:3: 'a' is listed twice, first in line 4"),
    (TIES.replace("weight: 1", "weight: 1, density: 53"), "4:47: a density is between 0 and 1"),
    (TIES.replace("ties", "della").replace("weight: 1", "weight: 1, density: 0.9"),
     "4:47: density ± epsilon must lie between 0 and 1, and epsilon is 0.15"),
    (TIES.replace("ties", "model_stock").replace(", parameters: {weight: 1}", ""),
     "4:1: model_stock takes 2 or more models beside the base 'b', not 1"),
    ("merge_method: karcher\nmodels: [{model: a}, {model: c}]\nparameters: {max_iter: 1.5}",
     "3:24: expected a whole number for max_iter, found '1.5'"),
    ("merge_method: passthrough\nmodels: [{model: a}, {model: c}]", "2:9: passthrough takes 1 model, not 2"),
    (SLICES + "- sources: [{model: a, layer_range: [0, 4]}]", "5:3: no source of this slice is the base"),
    (SLICES + "- sources: [{model: a, layer_range: [4, 4]}]", "5:37: layers 4 up to, not including, 4"),
    (SLICES + "- sources: [{model: a, layer_range: 0-4}]", "5:37: expected two layers, the first"),
    (SLICES + "- sources: [{model: a, layer_range: [-4, 0]}]", "5:37: expected two layers, the first"),
    (SLICES + "- sources: [{model: b, layer_range: [0, 4]}, {model: a, layer_range: [0, 5]}]",
     "5:46: 5 layers, and the first source of the slice has 4"),
    (SLICES + "- sources: [{model: b, layer_range: [0, 4]}]", "5:3: slerp takes 1 model beside"),
    ("merge_method: passthrough\nslices: [{sources: [{model: a, layer_range: [0, 2]}], base_model: b}]",
     "2:67: passthrough has no base: this one would be ignored"),
    (SLICES + "- sources: [{model: b, layer_range: [0, 2]}, {model: b, layer_range: [2, 4]}]",
     "5:46: the base 'b' is listed twice, first in line 5"),
    ("merge_method: passthrough\nslices:\n- sources: [{model: a, layer_range: [0, 2], parameters: "
     "{scale: [{filter: layers.5., value: 1}]}}]", "3:66: no layer of this source has 'layers.5.'"),
    ("merge_method: linear\nmodules: {default: {}}", "2:20: a merge needs exactly one of"),
    ("merge_method: linear\nmodules: {}", "2:10: no modules"),
    ("a: &x 1\nmerge_method: *x", "1:4: an anchor or alias"),
    (LINEAR + "---\n" + LINEAR, "4:1: a second document"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "message"), WRONG)
def test_a_document_that_means_nothing_is_an_error_with_its_place(document: str, message: str) -> None:
    assert message in refused(document, RecipeError)


def test_layers_are_asked_for_only_where_a_slice_does_not_say_them() -> None:
    asked: list[str] = []

    def layers(model: str) -> int:
        asked.append(model)
        return 4

    said = "- sources: [{model: b, layer_range: [0, 4]}, {model: a@v2, layer_range: [2, 6]}]"
    recipe_text(SLICES + said, NAME, layers)
    recipe_text(SLICES + "- sources: [{model: b}, {model: a@v2}]", NAME, layers)
    assert asked == []

    text = recipe_text(SLICES + "- sources: [{model: b, layer_range: [0, 4]}, {model: a@v2}]", NAME, layers)

    assert asked == ["a@v2"]
    assert 'slerp(take(base, "0-3"), take(a, "0-3"), t=0.5, compat="mergekit")' in text


def test_a_filter_that_may_name_a_layer_is_not_guessed_at() -> None:
    sources = "- sources: [{model: b, layer_range: [0, 4]}, {model: a, layer_range: [0, 4]}]\n"
    rules = "parameters: {t: [{filter: .1.mlp, value: 0}, {value: [0, 1]}]}"

    text = refused(SLICES.replace("parameters: {t: 0.5}", rules) + sources * 2, UnsupportedError)

    assert "3:18: filter '.1.mlp' may name a layer, and slices count layers anew" in text
    assert "layers.3." in text


def test_a_filter_for_a_layer_that_no_slice_has_is_an_error() -> None:
    sources = "- sources: [{model: b, layer_range: [0, 4]}, {model: a, layer_range: [0, 4]}]\n"
    rules = "parameters: {t: [{filter: layers.8., value: 0}, {value: 1}]}"

    text = refused(SLICES.replace("parameters: {t: 0.5}", rules) + sources * 2, RecipeError)

    assert "3:18: no slice has a layer with 'layers.8.' in its names" in text


def test_numbers_of_other_things_than_layers_are_left_alone() -> None:
    rules = "[{filter: experts.3.w2, value: 0}, {filter: layernorm1, value: 2}, {value: 1}]"

    text = converted(
        f"merge_method: passthrough\nslices:\n- sources: [{{model: a, layer_range: [4, 8]}}]\n"
        f"parameters: {{scale: {rules}}}"
    )

    assert 'where("*experts.3.w2*", 0, where("*layernorm1*", 2, 1))' in text
