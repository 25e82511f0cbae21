"""What documents become means what mergekit 0.1.5 makes of them: levels, filters, gradients, slices.

Every tensor holds one number, so that methods whose mathematics is tested elsewhere come to weighted sums.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests import tiny
from tests.mergekit.documents import converted
from tests.mergekit.naive import Model, layer_of, result
from weightarith.mergekit.chat import CHATML
from weightarith.mergekit.methods import INERT, METHODS

pytestmark = pytest.mark.oracle

DOCUMENTS = {
    "weights at every level": """
        merge_method: linear
        parameters:
          weight: [{filter: lm_head, value: 9}, {filter: mlp, value: 2}, {value: 3}]
          normalize: false
        modules:
          default:
            parameters: {weight: [{filter: embed, value: 5}]}
            models:
            - model: A
              parameters: {weight: [{filter: mlp.down_proj, value: 0.5}, {filter: mlp, value: [0, 1]}]}
            - {model: B}""",
    "a gradient in every slice, one of a single layer": """
        merge_method: slerp
        base_model: A
        parameters: {t: [0.1, 0.9, 0.4]}
        slices:
        - sources: [{model: A, layer_range: [0, 3]}, {model: B, layer_range: [0, 3]}]
        - sources: [{model: A, layer_range: [3, 4]}, {model: B, layer_range: [3, 4]}]""",
    "filters of one number count the layers of the result": """
        merge_method: slerp
        base_model: A
        parameters:
          t: [{filter: layers.0., value: 0.1}, {filter: layers.1., value: 0.2}, {filter: head, value: 0.5},
              {value: 1}]
        slices:
        - sources: [{model: A, layer_range: [0, 1]}, {model: B, layer_range: [0, 1]}]
          parameters: {t: [{filter: embed, value: [0.7, 0.8]}]}
        - sources: [{model: B, layer_range: [2, 3]}, {model: A, layer_range: [3, 4]}]""",
    "filters of a number each count the layers of the source": """
        merge_method: linear
        parameters: {normalize: false}
        slices:
        - sources:
          - {model: A, layer_range: [0, 2], parameters: {weight: [{filter: layers.1, value: 2}, {value: 1}]}}
          - {model: B, layer_range: [2, 4], parameters: {weight: [{filter: layers.3., value: 7}, {value: 1}]}}
        - sources:
          - {model: C, layer_range: [1, 4], parameters: {weight: [{filter: layers.2., value: 0}, {value: 3}]}}
          - model: A
            layer_range: [0, 3]
            parameters: {weight: [{filter: layers.2, value: 0}, {value: 3}]}""",
    "weights for every slice": """
        merge_method: task_arithmetic
        base_model: A
        parameters: {lambda: 0.5}
        slices:
        - sources:
          - {model: A, layer_range: [0, 2]}
          - {model: B, layer_range: [0, 2], parameters: {weight: 0.4}}
          - {model: C, layer_range: [0, 2], parameters: {weight: -0.5}}
        - sources:
          - {model: B, layer_range: [2, 4], parameters: {weight: 1.5}}
          - {model: A, layer_range: [2, 4]}
          - {model: C, layer_range: [2, 4], parameters: {weight: [1, 0]}}
          parameters: {lambda: 0.25}""",
    "the same merge in every slice": """
        merge_method: task_arithmetic
        base_model: A
        parameters: {weight: [{filter: proj, value: 0.25}, {filter: norm, value: 0.5}, {value: 2}]}
        slices:
        - sources: [{model: A, layer_range: [0, 2]}, {model: B, layer_range: [0, 2]}]
        - sources: [{model: A, layer_range: [2, 4]}, {model: C, layer_range: [1, 3]}]""",
    "a base for every slice": """
        merge_method: slerp
        base_model: A
        parameters: {t: 0.25}
        slices:
        - sources: [{model: A, layer_range: [0, 2]}, {model: B, layer_range: [0, 2]}]
        - base_model: C
          sources: [{model: B, layer_range: [2, 4]}, {model: C, layer_range: [2, 4]}]""",
    "blocks that do nothing": """
        merge_method: passthrough
        slices:
        - sources: [{model: A, layer_range: [0, 2]}]
        - sources:
          - model: B
            layer_range: [1, 2]
            parameters: {scale: [{filter: o_proj, value: 0.0}, {filter: down_proj, value: 0}, {value: 1}]}
        - sources: [{model: A, layer_range: [1, 4]}]""",
    "a gradient of lambda, and a base with a weight": """
        merge_method: task_arithmetic
        base_model: A
        parameters: {lambda: [0, 1], normalize: true}
        models: [{model: A, parameters: {weight: 100}}, {model: B, parameters: {weight: 3}}]""",
}
NUMBERS = {"A": 1.0, "B": 2.0, "C": 4.0}


def numbers(number: float) -> Model:
    return {name: number + 0.01 * (layer_of(name) or 0) for name in tiny.weights(depth=4)}


def merged(document: str, folder: Path) -> Model:
    """Return what mergekit makes of a document, one number a tensor."""
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    shapes = tiny.weights(depth=4)
    for name, number in NUMBERS.items():
        tensors = {key: np.full(shapes[key].shape, value) for key, value in numbers(number).items()}
        tiny.checkpoint(folder / name, tensors, dtype="F32")
    placed: Any = yaml.safe_load(document)
    _place(placed, folder)
    options = MergeOptions(copy_tokenizer=False, quiet=True, write_model_card=False)
    run_merge(MergeConfiguration.model_validate(placed), str(folder / "out"), options)
    return {name: float(values.flat[0]) for name, values in tiny.load(folder / "out").items()}


def _place(node: Any, folder: Path) -> None:
    for item in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _place(item, folder)
    if isinstance(node, dict):
        for key in {"model", "base_model"} & set(node):
            node[key] = str(folder / node[key])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_recipe_means_what_mergekit_makes_of_its_document(tmp_path: Path, name: str) -> None:
    theirs = merged(DOCUMENTS[name], tmp_path)

    ours = result(converted(DOCUMENTS[name]), {key: numbers(number) for key, number in NUMBERS.items()})

    assert set(ours) == set(theirs)
    assert ours == pytest.approx(theirs, rel=2e-6)


def test_a_last_slice_of_more_sources_has_its_own_head_and_not_that_of_the_first(tmp_path: Path) -> None:
    document = """
        merge_method: linear
        parameters: {weight: 1}
        slices:
        - sources: [{model: A, layer_range: [0, 2]}]
        - sources: [{model: B, layer_range: [2, 4]}, {model: C, layer_range: [2, 4]}]"""
    theirs = merged(document, tmp_path)

    ours = result(converted(document), {key: numbers(number) for key, number in NUMBERS.items()})

    wrong = {"lm_head.weight", "model.norm.weight"}
    assert {name for name in ours if ours[name] != pytest.approx(theirs[name])} == wrong
    assert {(ours[name], theirs[name]) for name in wrong} == {(3.0, 2.0)}


def test_methods_and_parameters_are_those_of_mergekit() -> None:
    import mergekit.merge_methods
    from mergekit.merge_methods import ParameterScope, registered_methods

    assert len(METHODS) == len(registered_methods())
    for method in METHODS.values():
        spec = mergekit.merge_methods.get(method.name).spec
        theirs = {each.name: each for each in spec.parameters if each.name != INERT}
        if method.name == "task_arithmetic":  # it takes them and has no use for them
            del theirs["density"], theirs["rescale"]
        assert {each.name for each in method.parameters} == set(theirs)
        for each in method.parameters:
            other = theirs[each.name]
            assert each.each == (other.scope != ParameterScope.SHARED), (method.name, each.name)
            if each.name != "scale":
                assert (each.default is None) == (not isinstance(other.default, bool | int | float))
            if isinstance(other.default, bool):
                assert each.default == str(other.default).lower()
            elif isinstance(other.default, int | float):
                assert float(each.default or "nan") == other.default


def test_chatml_renders_as_mergekits() -> None:
    jinja2 = pytest.importorskip("jinja2")
    from importlib.resources import files

    theirs = files("mergekit._data.chat_templates").joinpath("chatml.jinja").read_text(encoding="utf-8")
    roles = [("system", "S."), ("user", " hi\n"), ("assistant", "yes"), ("user", "a\n\nb ")]
    messages = [{"role": role, "content": content} for role, content in roles]
    as_transformers_does = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, autoescape=False)
    for prompt in (False, True):
        ours, expected = (
            as_transformers_does.from_string(text).render(messages=messages, add_generation_prompt=prompt)
            for text in (CHATML, theirs)
        )
        assert ours == expected
        assert ours.count("<|im_start|>") == len(messages) + prompt
