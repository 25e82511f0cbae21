"""What a receipt says was asked for, asked for again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from weightarith.algebra import Checkpoint, Leaf
from weightarith.engine.settings import SHARD_BYTES, Output
from weightarith.errors import InvalidFileError, RecipeError, quoted
from weightarith.lowrank import Goal, Scratch, decompose, lay_out, prepare, record, write
from weightarith.lowrank.goal import FORMATS, Format
from weightarith.operators.operator import Operator
from weightarith.operators.outside import load_operators
from weightarith.proof.ready import Bar, silent
from weightarith.receipt import Asked, Receipt
from weightarith.recipe import Recipe, parse_recipe
from weightarith.recipe.inputs import Given, open_given
from weightarith.saving import Run, carry_out, draw, dtype_named, encoding_named
from weightarith.tensorfile.digest import sha256_of

SOURCE = "the recipe in the receipt"


def carry_out_again(
    receipt: Receipt, places: Mapping[str, Given], target: Path, operators: Iterable[Path], run: Run,
    bar: Bar = silent,
) -> Receipt:  # fmt: skip
    """Make at `target` what a receipt tells of, from inputs that lie at `places`, and return the new receipt.

    Raises:
        WeightArithError: the recipe means nothing here, or what it asks for cannot be made.
    """
    params = _texts(receipt, "params")
    recipe = parse_recipe(
        receipt["recipe"], folder=Path(), params=params, source=SOURCE,
        operators=_operators(receipt, operators), given=places,
    )  # fmt: skip
    if "goal" in receipt:
        return _compressed(receipt, recipe, places, target, run, bar)
    output = _output(_table(receipt, "output"), recipe, target)
    names = {place.label: name for name, place in places.items() if place.label != name}
    asked = Asked(
        receipt["recipe"], params, _texts(receipt, "operators"), names, tuple(recipe.inputs.values()),
        tuple(recipe.directions.values()),
    )  # fmt: skip
    plan = draw(recipe.total, output, policy=recipe.policy)
    with bar(plan.counting_bytes + plan.read_bytes + plan.write_bytes) as moved:
        return carry_out(plan, replace(run, progress=moved), asked=asked)


def _output(form: Mapping[str, Any], recipe: Recipe, target: Path) -> Output:
    """Return the output that a receipt tells of; models that it names may be no part of the sum."""
    like, tokenizer = _text(form, "like"), _text(form, "tokenizer")
    summed = {leaf.label for term in recipe.total.terms for leaf in term.leaf.leaves}
    named = {leaf.label: leaf for leaf in recipe.inputs.values() if leaf.label in {like, tokenizer} - summed}
    return Output(
        target, dtype_named(_text(form, "dtype") or None), _whole(form, "shard_size", SHARD_BYTES), like,
        encoding=encoding_named(_text(form, "encoding") or None), tokenizer=tokenizer,
        chat_template=_text(form, "chat_template"),
        others=tuple(leaf for leaf in named.values() if isinstance(leaf, Checkpoint)),
    )  # fmt: skip


def _compressed(
    receipt: Receipt, recipe: Recipe, places: Mapping[str, Given], target: Path, run: Run, bar: Bar
) -> Receipt:
    told = _table(receipt, "goal")
    goal = Goal(
        target, _format(told), _whole(told, "rank", 0), _share(told),
        _text(told, "dtype") or None, _whole(told, "shard_size", SHARD_BYTES),
    )  # fmt: skip
    job = prepare(recipe.total, goal, _base(_text(told, "base"), recipe.inputs, places))
    with Scratch.beside(target) as scratch:
        with bar(job.read_bytes) as moved:
            done = decompose(job, scratch, threads=run.threads, progress=moved)
        laid = lay_out(job, done)
        with bar(laid.write_bytes) as moved:
            return write(job, done, laid, record(job, done, laid), threads=run.threads, progress=moved)


def _base(label: str, inputs: Mapping[str, Leaf], places: Mapping[str, Given]) -> Checkpoint | None:
    """Return the model that an adapter is for: an input of the recipe, or one that only the receipt names."""
    known = next((leaf for leaf in inputs.values() if leaf.label == label), None)
    if isinstance(known, Checkpoint) or not label:
        return known if isinstance(known, Checkpoint) else None
    place = next((each for each in places.values() if each.label == label), None)
    if place is None:
        raise InvalidFileError(f"{SOURCE}: the base {quoted(label)} is no input of it")
    return Checkpoint(open_given(place, "checkpoint"), label)


def _operators(receipt: Receipt, files: Iterable[Path]) -> list[Operator]:
    """Return the operators in files that are those the receipt names.

    Raises:
        RecipeError: a file is missing, or another one than was used.
    """
    given = {file.name: file for file in files}
    found = []
    for name, expected in _texts(receipt, "operators").items():
        if name not in given:
            raise RecipeError(f"the recipe calls operators of {quoted(name)}", hint="add --operators FILE")
        sha256 = sha256_of(given[name])
        if sha256 != expected:
            raise RecipeError(
                f"{quoted(str(given[name]))} is not the file of operators that was used: its SHA-256 is "
                f"{sha256}, expected {expected}"
            )
        found += load_operators(given[name])
    return found


def _texts(receipt: Receipt, key: str) -> dict[str, str]:
    return {name: str(value) for name, value in _table(receipt, key).items()}


def _format(told: Mapping[str, Any]) -> Format:
    name = _text(told, "format")
    found: Format | None = next((each for each in FORMATS if each == name), None)
    if found is None:
        raise InvalidFileError(f"the receipt's format {quoted(name)} is none")
    return found


def _share(told: Mapping[str, Any]) -> Fraction:
    try:
        return Fraction(_text(told, "energy") or "0")
    except (ValueError, ZeroDivisionError):
        raise InvalidFileError("the receipt's energy is no number") from None


def _text(told: Mapping[str, Any], key: str) -> str:
    if not isinstance(value := told.get(key, ""), str):
        raise InvalidFileError(f"the receipt's {key} is no text")
    return value


def _whole(told: Mapping[str, Any], key: str, default: int) -> int:
    value = told.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidFileError(f"the receipt's {key} is no whole number")
    return value


def _table(receipt: Receipt, key: str) -> dict[str, Any]:
    told = receipt.get(key, {})
    if not isinstance(told, dict):
        raise InvalidFileError(f"the receipt's {key} is no table")
    return told
