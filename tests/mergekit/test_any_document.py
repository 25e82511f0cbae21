"""Any document that is well formed becomes a recipe: YAML that is read, and names that are declared."""

from __future__ import annotations

import ast
import keyword
import re
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mergekit.documents import converted
from tests.mergekit.naive import tree
from weightarith.mergekit.methods import METHODS, Method, Parameter
from weightarith.recipe.strictyaml import Scalar, Table, read_yaml

FUNCTIONS = {method.operator for method in METHODS.values()} | {"gradient", "where", "take", "stack"}
NUMBERS = st.integers(1, 999).map(lambda thousandths: thousandths / 1000)
DENSITIES = st.integers(200, 800).map(lambda thousandths: thousandths / 1000)
PARTS = ["self_attn", "mlp", "embed_tokens", "lm_head", "norm"]
LAYER = "layers.1."
WRITTEN = st.characters(codec="utf-8", categories=["L", "Nd", "P", "S"], exclude_characters="@+")
PATHS = st.lists(
    st.text(WRITTEN, min_size=1, max_size=12).filter(  # the second reading is Python's, which has keywords
        lambda path: not any(map(keyword.iskeyword, re.findall(r"\w+", path)))
    ),
    min_size=4,
    max_size=4,
    unique=True,
)


@st.composite
def values(draw: st.DrawFn, parameter: Parameter, parts: list[str]) -> Any:
    """Draw a value: a number, a gradient, or rules that end in one for every name."""
    if parameter.kind == "flag":
        return draw(st.sampled_from([False, True])) if parameter.name != "nuslerp_row_wise" else False
    if parameter.kind == "whole":
        return draw(st.integers(1, 99))
    if parameter.only or parameter.alike:
        return float(parameter.only or 0.0005)
    numbers = DENSITIES if parameter.name == "density" else NUMBERS
    curves = numbers | st.lists(numbers, min_size=1, max_size=4)
    if draw(st.booleans()):
        return draw(curves)
    filters = draw(st.lists(st.sampled_from(parts), unique=True, max_size=3))
    return [{"filter": part, "value": draw(curves)} for part in filters] + [{"value": draw(curves)}]


@st.composite
def parameters(draw: st.DrawFn, method: Method, *, each: bool, top: bool = False) -> dict[str, Any]:
    """Draw parameters of a model (`each`), of a slice, or of the document: those that are needed then too."""
    parts = [*PARTS, LAYER] if top else PARTS
    known = [
        parameter
        for parameter in method.parameters
        if (not each or (parameter.each and not parameter.alike))
        and (method.name, parameter.name) != ("linear", "normalize")  # without, weights must add up to 1
    ]
    needed = [parameter for parameter in known if top and parameter.default is None]
    chosen = [parameter for parameter in known if parameter in needed or draw(st.booleans())]
    return {parameter.name: draw(values(parameter, parts)) for parameter in chosen}


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Draw a document: a method, models or slices, parameters at any level, and what else may stand there."""
    method = METHODS[draw(st.sampled_from(sorted(METHODS)))]
    paths = draw(PATHS)
    based = method.base == "needed" or (method.base == "optional" and draw(st.booleans()))
    few = draw(st.integers(method.fewest, method.most or 3))
    document: dict[str, Any] = {"merge_method": method.name}
    document |= {"base_model": paths[0]} if based else {}
    models = paths[1 : 1 + few]
    if draw(st.booleans()):
        listed = [paths[0], *models] if based and draw(st.booleans()) else models
        document["models"] = [
            {"model": path}
            | ({"parameters": draw(parameters(method, each=True))} if path != paths[0] else {})
            for path in listed
        ]
    else:
        document["slices"] = [
            {
                "sources": [
                    {"model": path, "layer_range": [start, start + 4]}
                    | ({"parameters": draw(parameters(method, each=True))} if path != paths[0] else {})
                    for path in ([paths[0], *models] if based else models)
                ],
                "parameters": draw(parameters(method, each=False)),
            }
            for start in (0, *draw(st.lists(st.integers(1, 9), max_size=3)))
        ]
    document["parameters"] = draw(parameters(method, each=False, top=True))
    document |= draw(st.fixed_dictionaries({}, optional={
        "dtype": st.sampled_from(["float32", "bfloat16"]), "out_dtype": st.sampled_from(["float16"]),
        "tokenizer_source": st.sampled_from(models), "chat_template": st.sampled_from(["auto", "chatml"]),
    }))  # fmt: skip
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=draw(st.booleans()))


def declared(table: Table, key: str) -> dict[str, str]:
    if key not in table.entries:
        return {}
    inner = table.entries[key].value
    assert isinstance(inner, Table)
    return {
        name: each.value.text if isinstance(each.value, Scalar) else ""
        for name, each in inner.entries.items()
    }


@given(documents())
@settings(max_examples=100)
def test_any_document_becomes_a_recipe_that_is_read(document: str) -> None:
    text = converted(document)

    recipe = read_yaml(text, "recipe.yaml")

    assert isinstance(recipe, Table)
    assert converted(document) == text
    inputs, lets = declared(recipe, "inputs"), declared(recipe, "let")
    expression = recipe.entries["expression"].value
    assert isinstance(expression, Scalar)
    for written in (*lets.values(), expression.text):
        nodes = list(ast.walk(tree(written)))
        called = {
            node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        names = {node.id for node in nodes if isinstance(node, ast.Name)} - called - {"true", "false"}
        assert called <= FUNCTIONS
        assert names <= set(inputs) | set(lets)
    output = declared(recipe, "output")
    assert {output["like"], output.get("tokenizer", output["like"])} <= set(inputs)
    assert set(output) <= {"dtype", "like", "tokenizer", "chat_template"}
