"""What is wrong with a mergekit document is told with its place, and what would have been right."""

from __future__ import annotations

import pytest

from tests.mergekit.documents import converted, expression, refused
from weightarith.errors import RecipeError, UnsupportedError
from weightarith.mergekit import is_mergekit
from weightarith.mergekit.methods import METHODS
from weightarith.recipe.strictyaml import read_yaml

TOP = "merge_method: ties\nbase_model: b\nmodels:\n- {model: a, parameters: {weight: 1}}\n"
SLERP = "merge_method: slerp\nbase_model: b\nmodels: [{model: a}]\n"
LINEAR = "merge_method: linear\nmodels:\n- {model: a, parameters: {weight: 1}}\n"
NUSLERP = "merge_method: nuslerp\nmodels: [{model: a}, {model: c}]\n"
SLICES = "merge_method: slerp\nbase_model: b\nparameters: {t: 0.5}\nslices:\n"

TYPOS = [
    (
        TOP.replace("merge_method", "merge_metod"),
        "1:1: unknown key 'merge_metod'",
        "'merge_method' instead of",
    ),
    (TOP.replace("ties", "tie"), "1:15: unknown merge_method 'tie'", "'ties' instead of 'tie'"),
    (TOP.replace("ties", "DARE-TIES"), "1:15: unknown merge_method 'DARE-TIES'", "'dare_ties' instead of"),
    (TOP + "paramters: {lambda: 1}", "5:1: unknown key 'paramters'", "'parameters' instead of 'paramters'"),
    (TOP + "input_model_parameters: {}", "5:1: unknown key", "'parameters' instead of"),
    (TOP + "parameters: {lamda: 0.5}", "5:14: unknown parameter 'lamda'", "'lambda' instead of 'lamda'"),
    (TOP + "parameters: {densty: 0.5}", "5:14: unknown parameter 'densty'", "'density' instead of 'densty'"),
    (TOP + "parameters: {nomalize: yes}", "5:14: unknown parameter", "'normalize' instead of 'nomalize'"),
    (TOP + "dtype: bf16", "5:8: expected dtype to be", "'bfloat16' instead of 'bf16'"),
    (TOP + "dtype: int64", "5:8: expected dtype to be", "found 'int64'"),
    (TOP + "chat_template: chatmll", "5:16: unknown chat_template 'chatmll'", "'chatml' instead of"),
    (SLERP + "parameters: {T: 0.5}", "4:14: unknown parameter 'T'; slerp has t", ""),
    (TOP.replace("model: a", "modle: a"), "4:4: unknown key 'modle'", "'model' instead of 'modle'"),
    (TOP.replace("weight: 1", "weight: 1, weigth: 2"), "unknown parameter 'weigth'", "'weight' instead of"),
    (
        SLERP + "parameters: {t: [{filtr: mlp, value: 1}, {value: 0}]}",
        "4:19: unknown key 'filtr'",
        "'filter'",
    ),
]


@pytest.mark.parametrize(("document", "message", "hint"), TYPOS)
def test_a_slip_of_the_pen_is_an_error_with_the_nearest_name(document: str, message: str, hint: str) -> None:
    text = refused(document, RecipeError)

    assert message in text
    assert hint in text


IGNORED = [
    (TOP.replace("parameters: {weight: 1}", "weight: 1"), "4:14: weight stands outside parameters:",
     "parameters: {weight: …}"),
    (TOP + "lambda: 0.5", "5:1: lambda stands outside parameters:", "parameters: {lambda: …}"),
    (TOP.replace("weight: 1", "weight: 1, normalize: false"), "4:38: normalize belongs to the whole merge",
     "parameters: {normalize: …} at the top of the document"),
    (SLERP.replace("{model: a}", "{model: a, parameters: {t: 0.5}}"), "3:34: t belongs to the", ""),
    (SLERP + "parameters: {t: 0.5, normalize: true}", "4:22: slerp makes nothing of normalize",
     "leave it out; linear, task_arithmetic"),
    (TOP.replace("ties", "task_arithmetic").replace("weight: 1", "weight: 1, density: 0.5"),
     "task_arithmetic makes nothing of density", "leave it out; ties, dare_linear"),
    (LINEAR + "- layer_range: [0, 8]\n  model: c",
     "4:3: unknown key 'layer_range'; keys of a model are model, parameters", ""),
    (SLERP + "parameters: {t: [{filter: '*mlp*', value: 1}, {value: 0}]}", "filter '*mlp*' matches nothing",
     "a part of a name, such as self_attn"),
    (SLERP + "parameters: {t: [{filter: self_attn|mlp, value: 1}, {value: 0}]}", "matches nothing", "a rule"),
    (SLERP + "parameters: {t: [{filter: mlp, value: 1}, {filter: mlp.down_proj, value: 0}, {value: 0}]}",
     "4:43: this rule is never reached: line 4 takes 'mlp' first", "put the narrower filter first"),
    (SLERP + "parameters: {t: [{value: 1}, {filter: mlp, value: 0}]}", "line 4 takes every name", ""),
    (SLICES + "- residual_weight: 1\n  sources: [{model: b, layer_range: [0, 2]}]",
     "5:3: residual_weight: mergekit reads it and never uses it", "leave it out"),
    (NUSLERP + "parameters: {weight: 1, nuslerp_row_wise: true}",
     "3:43: nuslerp_row_wise is ignored while tensors are flattened", "nuslerp_flatten: false"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "message", "hint"), IGNORED)
def test_what_mergekit_ignores_is_an_error(document: str, message: str, hint: str) -> None:
    text = refused(document, RecipeError)

    assert message in text
    assert hint in text


UNSUPPORTED = [
    (TOP + "tokenizer_source: union", "5:1: tokenizer_source: union, a tokenizer made of all of them,"),
    (TOP + "tokenizer: {source: union}", "5:13: tokenizer: source: union"),
    (TOP + "tokenizer: {source: base, tokens: {}}", "5:27: tokenizer: tokens is not supported"),
    (TOP + "tokenizer: {pad_to_multiple_of: 64}", "5:13: tokenizer: pad_to_multiple_of is not supported"),
    (TOP + "tokenizer: {source: }", "5:1: a tokenizer without source, which is a union of all tokenizers,"),
    (TOP + "chat_template: llama3", "5:16: chat_template: llama3, a text of mergekit's own"),
    (TOP + "trust_remote_code: true", "5:1: trust_remote_code, an option of the command mergekit-yaml"),
    (TOP + "allow-crimes: true", "5:1: allow-crimes, an option of the command mergekit-yaml"),
    (TOP + "name: first", "5:1: name: a stage of several documents (mergekit-multi)"),
    ("base_model: b\ngate_mode: hidden\nexperts: [{source_model: a}]", "2:1: gate_mode: a mixture"),
    ("genome: {models: [a]}", "1:1: genome: a search for weights (mergekit-evolve) is not supported"),
    (TOP.replace("a,", "{model: {path: a}, override_architecture: LlamaForCausalLM},"),
     "4:30: override_architecture is not supported"),
    ("merge_method: linear\nmodules:\n  text_decoder: {models: [{model: a}]}",
     "3:3: module 'text_decoder' of a model of several is not supported"),
    ("merge_method: linear\nmodules:\n  default: {models: [{model: a}]}\n  vision: {models: [{model: a}]}",
     "4:3: module 'vision' of a model of several is not supported"),
    (TOP + "parameters: {normalize: [{filter: mlp, value: true}, {value: false}]}",
     "5:25: normalize that varies from tensor to tensor is not supported"),
    ("merge_method: multislerp\nmodels: [{model: a}, {model: c}]\nparameters: {weight: 1, eps: 1e-6}",
     "3:30: eps other than 1e-8 is not supported"),
    (TOP.replace("ties", "della").replace("weight: 1", "weight: 1, density: 0.5, epsilon: 0.1")
     + "- {model: c, parameters: {weight: 1, density: 0.5, epsilon: 0.2}}",
     "5:61: epsilon that differs from model to model is not supported"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "message"), UNSUPPORTED)
def test_what_is_not_done_is_named_at_once(document: str, message: str) -> None:
    assert message in refused(document, UnsupportedError)


def test_a_document_is_mergekits_if_it_is_not_ours() -> None:
    assert is_mergekit(read_yaml(TOP, "a"))
    assert is_mergekit(read_yaml("experts: []", "a"))
    assert not is_mergekit(read_yaml("weightarith: 1\nmodels: []", "a"))
    assert not is_mergekit(read_yaml("- models", "a"))
    assert not is_mergekit(read_yaml("inputs: {}", "a"))


def test_null_is_as_good_as_nothing() -> None:
    bare = (
        LINEAR + "base_model: null\nparameters:\ndtype: ~\nout_dtype:\ntokenizer_source: null\nchat_template:"
    )

    assert converted(bare) == converted(LINEAR)


def test_int8_mask_changes_no_result_and_is_left_out() -> None:
    for method in METHODS.values():
        few = max(method.fewest, 1)
        models = "".join(f"- {{model: m{number}}}\n" for number in range(few))
        base = "base_model: base\n" if method.base != "none" else ""
        given = "".join(f"  {each.name}: 0.5\n" for each in method.parameters if each.default is None)
        document = f"merge_method: {method.name}\n{base}models:\n{models}parameters:\n{given}"

        assert converted(document + "  int8_mask: true") == converted(document + "  # no mask\n")


def test_switches_may_be_any_word_that_yaml_knows() -> None:
    for words, result in (
        (("true", "Yes", "ON", "1", "1.0"), "true"),
        (("false", "no", "Off", "0"), "false"),
    ):
        for word in words:
            assert f"normalize={result}" in expression(LINEAR + f"parameters: {{normalize: {word}}}")


def test_numbers_are_taken_over_as_they_are_written() -> None:
    plain = LINEAR.replace("linear", "passthrough").replace("weight", "scale")
    for written, taken in (
        ("1e-3", "1e-3"),
        ("+.5", ".5"),
        ("-0.25", "-0.25"),
        ("-0.0", "0.0"),
        ("-0.0", "0.0"),
        ("'2'", "2"),
    ):
        assert f"scale={taken})" in expression(plain.replace("scale: 1", f"scale: {written}"))
