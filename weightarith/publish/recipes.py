"""A recipe as what is published: its text, its lock, and the parents that it names.

Others have none of the files here, so every input has to be on the Hub.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

from weightarith.card.parent import Parent
from weightarith.card.terms import Term
from weightarith.errors import RecipeError, quoted
from weightarith.hub.address import Address, parse
from weightarith.lock import lock_path, read_lock
from weightarith.mergekit.load import recipe_at
from weightarith.publish import leaks
from weightarith.publish.content import Content
from weightarith.publish.parents import informed, on_the_hub
from weightarith.publish.published import published_recipe
from weightarith.receipt import FORMAT, Receipt
from weightarith.recipe.draft import Draft, read_draft
from weightarith.recipe.inputs import Declared
from weightarith.recipe.strictyaml import read_yaml
from weightarith.recipe.tree import Added, Call, Items, Multiplied, Name, Negated, Node, Number, walk

FILE, LOCK = "recipe.yaml", "recipe.lock"
SUFFIXES = (".yaml", ".yml")


def is_recipe(path: Path) -> bool:
    """Return whether a path is that of a recipe."""
    return path.suffix in SUFFIXES and path.is_file()


def recipe_content(path: Path) -> Content:
    """Return what is published of a recipe; nothing is opened that it names.

    Raises:
        RecipeError: it means nothing, or an input of it is not on the Hub.
        HubError: the Hub did not answer.
    """
    text, folder, source = recipe_at(path)
    draft = read_draft(read_yaml(text, source), folder, {})
    text = published_recipe(text)
    lock = lock_path(path)
    pins = read_lock(lock).inputs if lock.is_file() else {}
    parents = [_parent(each, folder, pins[name].commit if name in pins else "")
               for name, each in draft.inputs.items()]  # fmt: skip
    texts = {FILE: text.encode()} | ({LOCK: lock.read_bytes()} if lock.is_file() else {})
    expression = draft.expression.text.text
    receipt = _receipt(text, expression, texts)
    order = sorted(
        map(informed, parents), key=lambda one: (one.label != "base", one.kind not in ("checkpoint", ""))
    )
    return Content(
        "recipe", {}, texts, tuple(order), lambda _hashes: receipt, folders=leaks.places(path.parent),
        more={"given": tuple(recipe_terms(draft))},
    )  # fmt: skip


def _parent(each: Declared, folder: Path, commit: str) -> Parent:
    address = parse(each.where)
    if address is None or (not each.where.startswith("hf://") and (folder / each.where).exists()):
        raise RecipeError(
            f"{each.place}: input {each.name} is {quoted(each.where)}, which is on this machine alone",
            hint="push it first, and name it as hf://org/name; or merge, and push what the recipe makes",
        )
    at: Address = replace(address, revision=commit or address.revision)
    return on_the_hub(each.name, each.kind or "", at)


def _receipt(text: str, expression: str, texts: Mapping[str, bytes]) -> Receipt:
    return {
        "weightarith": version("weightarith"),
        "receipt": FORMAT,
        "kind": "recipe",
        "expression": expression,
        "recipe": text,
        "files": {},
        "beside": {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in sorted(texts.items())
        },
    }


def recipe_terms(draft: Draft) -> Iterator[Term]:
    """Yield what a recipe adds and what it subtracts, each input once for each place where it stands."""
    yield from _terms(draft.expression.tree, 1, draft)


def _terms(node: Node, sign: int, draft: Draft) -> Iterator[Term]:
    match node:
        case Name(name) if name in draft.lets:
            yield from _terms(draft.lets[name].tree, sign, draft)
        case Name(name) if name in draft.inputs:
            yield Term(sign, "", name)
            if draft.inputs[name].minus:
                yield Term(-sign, "", draft.inputs[name].minus)
        case Negated(operand):
            yield from _terms(operand, -sign, draft)
        case Added(steps):
            for step in steps:
                yield from _terms(step.operand, -sign if step.mark in "-−" else sign, draft)
        case Multiplied(steps):
            turned = sum(_is_negative(step.operand) for step in steps) % 2
            for step in steps:
                yield from _terms(step.operand, -sign if turned else sign, draft)
        case Items(items):
            for item in items:
                yield from _terms(item, sign, draft)
        case Call(function, arguments, _):
            names = {one.name for each in arguments for one in walk(each) if isinstance(one, Name)}
            yield Term(sign, "", f"{function}({', '.join(sorted(names & set(draft.inputs)))})")
        case _:
            return


def _is_negative(node: Node) -> bool:
    match node:
        case Number(value):
            return value < Fraction(0)
        case Negated(operand):
            return not _is_negative(operand)
        case _:
            return False
