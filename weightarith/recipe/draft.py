"""A recipe as far as its text alone tells: every key, name and expression checked, and nothing opened yet.

What is wrong with the text is told before an input is looked for, which may take minutes on the Hub.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from weightarith.engine.settings import Output, Policy
from weightarith.errors import UnsupportedError
from weightarith.recipe.bindings import Bindings, bind_params
from weightarith.recipe.calls import FUNCTIONS, Function
from weightarith.recipe.caret import Passage
from weightarith.recipe.destination import Destination, read_destination
from weightarith.recipe.fields import mapping, passage, table, text, wrong
from weightarith.recipe.inputs import Declared, read_inputs
from weightarith.recipe.lookup import names_in
from weightarith.recipe.naming import declared_names
from weightarith.recipe.settings import read_output, read_policy
from weightarith.recipe.strictyaml import Entry, Node, Table
from weightarith.recipe.tree import Node as Tree
from weightarith.recipe.weightings import Weightings, read_weightings

VERSION = 1
KEYS = ("weightarith", "inputs", "params", "let", "expression", "select", "schedule", "policy", "output")
REQUIRED = ("weightarith", "inputs", "expression")
LATER = ("sweep", "include")
MERGEKIT = ("merge_method", "models", "slices", "modules")


@dataclass(frozen=True)
class Phrase:
    """An expression: its text and its syntax tree."""

    text: Passage
    tree: Tree


@dataclass(frozen=True)
class Draft:
    """A recipe whose inputs are not opened; `names` holds values for the params only."""

    inputs: Mapping[str, Declared]
    lets: Mapping[str, Phrase]
    expression: Phrase
    names: Bindings
    weightings: Weightings
    policy: Policy
    output: Output | None
    destination: Destination | None = None


def read_draft(
    document: Node, folder: Path, params: Mapping[str, str], functions: Mapping[str, Function] = FUNCTIONS
) -> Draft:
    """Return what a document says; its expressions may call `functions`.

    Raises:
        RecipeError: a key, a value, a name or an expression means nothing.
        UnsupportedError: a key is understood, and not supported yet.
    """
    _refuse_other_documents(document)
    parts = {key: entry.value for key, entry in table(document, "a recipe", KEYS, REQUIRED).items()}
    _check_version(parts["weightarith"])
    names = Bindings(functions=functions)
    bind_params(names, parts.get("params"), params)
    inputs = read_inputs(parts["inputs"])
    lets = declared_names(mapping(parts["let"], "let")) if "let" in parts else {}
    scalable = [*inputs, *lets]
    weightings = read_weightings(parts.get("select"), parts.get("schedule"), names, scalable)
    for name, each in inputs.items():
        names.declare(name, each.place)
    phrases = {name: _let(name, entry, names) for name, entry in lets.items()}
    expression = passage(parts["expression"], "an expression such as base + 0.5*v")
    phrase = Phrase(expression, names.read(expression))
    policy, output = read_policy(parts.get("policy")), read_output(parts.get("output"), folder, list(inputs))
    destination = read_destination(parts.get("output"))
    return Draft(inputs, phrases, phrase, names, weightings, policy, output, destination)


def _let(name: str, entry: Entry, names: Bindings) -> Phrase:
    text = passage(entry.value, f"an expression for {name}")
    tree = names.read(text)
    names.declare(name, entry.place, names_in(tree))
    return Phrase(text, tree)


def _refuse_other_documents(document: Node) -> None:
    if not isinstance(document, Table):
        return
    for key, entry in document.entries.items():
        if key in LATER:
            raise UnsupportedError(f"{entry.place}: {key}: is not supported yet")
        if key in MERGEKIT and "weightarith" not in document.entries:
            raise UnsupportedError(
                f"{entry.place}: a mergekit document ({key}: at its top) is not supported yet",
                hint="write it as a recipe, with weightarith: 1, inputs: and expression:",
            )


def _check_version(node: Node) -> None:
    version = text(node, "the version of the recipe format, 1")
    if not re.fullmatch("0*[1-9][0-9]{0,8}", version):
        raise wrong(node, "the version of the recipe format, 1")
    if int(version) > VERSION:
        raise UnsupportedError(
            f"{node.place}: recipe format {version} is not supported yet, only {VERSION} is",
            hint="upgrade weightarith",
        )
