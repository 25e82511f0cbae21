"""A sum written as a recipe, so that what was made without one can be made again.

Inputs stand under names that an expression can hold; what each is called in the output is told beside them,
for labels go into headers and into random masks. What has no expression of its own is not written at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from weightarith.algebra import Leaf, Sum, Vector
from weightarith.engine.frame import leaves_read
from weightarith.engine.settings import SHARD_BYTES, Output, Policy
from weightarith.numbers import MOST_DIGITS, in_range
from weightarith.operators.anchor import Stacked
from weightarith.operators.direction import Direction
from weightarith.operators.made import Made
from weightarith.operators.table import OPERATORS
from weightarith.provenance import plain_label
from weightarith.recipe.calls import FUNCTIONS
from weightarith.recipe.tokens import NAME
from weightarith.weighting import Varying
from weightarith.wording import shown

_KINDS = {"checkpoint": "model", "vector": "vector", "adapter": "adapter"}


@dataclass(frozen=True)
class Written:
    """A recipe, its inputs, and the name in it of each by the label that the output has of it."""

    text: str
    names: Mapping[str, str]
    inputs: tuple[Leaf, ...]
    directions: tuple[Direction, ...]


def recipe_of(total: Sum, output: Output, policy: Policy) -> Written | None:
    """Return the recipe that makes `total`; None where it has no expression.

    That is so of weightings and layers set in Python, of operators that are not the package's own, and of two
    inputs that go by one label. Inputs on the Hub are named by commit, those on the disk by the last part of
    their path.
    """
    leaves = _inputs(total, output)
    directions = list(_directions(total))
    labels = [leaf.label for leaf in leaves] + [each.label for each in directions]
    if len(set(labels)) < len(labels) or not _has_expression(total):
        return None
    names = _names(labels)
    said = total.written(names.__getitem__)
    cancelled = [f"0·{term.leaf.written(names.__getitem__)}" for term in total.terms if not term.coefficient]
    expression = " + ".join([*([] if said == "0" else [said]), *cancelled])
    lines = ["weightarith: 1", "inputs:"]
    lines += [f"  {names[leaf.label]}: {{{_entry(leaf, names)}}}" for leaf in leaves]
    for each in directions:
        path = each.file.path.name if each.file is not None else ""
        lines.append(f"  {names[each.label]}: {{direction: {_text(f'./{path}')}}}")
    lines += [f"expression: {expression}", *_policy(policy), *_output(output, names)]
    return Written("\n".join(lines) + "\n", names, tuple(leaves), tuple(directions))


def _inputs(total: Sum, output: Output) -> list[Leaf]:
    """Return every input that must be opened: those of the sum, bases of adapters, and models beside it."""
    read = leaves_read(total)
    bases = [leaf.base for leaf in read if isinstance(leaf, Vector) and leaf.base is not None]
    unique: dict[str, Leaf] = {}
    for leaf in (*read, *bases, *output.others):
        unique.setdefault(leaf.key, leaf)
    return sorted(unique.values(), key=lambda leaf: leaf.label)


def _directions(total: Sum) -> Iterator[Direction]:
    found: dict[str, Direction] = {}
    for made in _made(total):
        found |= {value.label: value for value in made.options.values() if isinstance(value, Direction)}
    yield from found.values()


def _made(total: Sum) -> Iterator[Made]:
    for term in total.terms:
        if isinstance(term.leaf, Made):
            yield term.leaf
            for each in (*term.leaf.operands, *term.leaf.beside):
                yield from _made(each)


def _has_expression(total: Sum) -> bool:
    """Return whether the words for a sum, read again, are the same sum."""
    calls = list(_made(total))
    terms = [term for made in calls for each in (*made.operands, *made.beside) for term in each.terms]
    if not all(term.coefficient for term in terms):  # it would be missing where nothing can be put behind
        return False
    terms += total.terms
    return (
        all(OPERATORS.get(made.operator.name) is made.operator for made in calls)
        and all(_is_said(value) for made in calls for value in made.options.values())
        and not any(term.weightings or isinstance(term.leaf, Stacked) for term in terms)
        and all(_can_be_input(leaf) for term in terms for leaf in term.leaf.leaves)
        and all(_is_short(term.coefficient) for term in terms)
    )


def _can_be_input(leaf: Leaf) -> bool:
    if not isinstance(leaf, Vector):
        return not leaf.source.edit
    placed = leaf.source.kind == "adapter" if leaf.base is not None else not leaf.source.replaced
    return placed and not leaf.source.edit


def _is_said(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_said, value))
    if isinstance(value, Direction):
        return value.file is not None
    return _is_short(value) if isinstance(value, Fraction) else not isinstance(value, Varying)


def _is_short(number: Fraction) -> bool:
    return in_range(number) and all(len(part) <= MOST_DIGITS for part in shown(abs(number)).split("/"))


def _names(labels: Iterable[str]) -> dict[str, str]:
    """Return a name for each label: the label itself where it can be one."""
    names: dict[str, str] = {}
    for label in labels:
        plain = re.sub(r"\W", "_", label)
        name = label if NAME.fullmatch(label) else plain if NAME.fullmatch(plain) else f"_{plain}"
        while name in FUNCTIONS or name in names.values():
            name = f"{name.rstrip('+-')}_"
        names[label] = name
    return names


def _entry(leaf: Leaf, names: Mapping[str, str]) -> str:
    """Return what stands in the brackets of an input."""
    origin = leaf.source.origin
    where = f"./{plain_label(str(leaf.source.path.absolute()))}" if origin is None else str(origin)
    entry = f"{_KINDS[leaf.source.kind]}: {_text(where)}"
    if isinstance(leaf, Vector) and leaf.base is not None and leaf.source.kind == "adapter":
        entry += f", base: {names[leaf.base.label]}"
    return entry


def _policy(policy: Policy) -> list[str]:
    said = {key: value for key, value in vars(policy).items() if value != "refuse"}
    return [_table("policy", said)] if said else []


def _output(output: Output, names: Mapping[str, str]) -> list[str]:
    said = {
        "dtype": output.dtype.name if output.dtype is not None else "",
        "encoding": output.encoding or "",
        "shard_size": str(output.shard_bytes) if output.shard_bytes != SHARD_BYTES else "",
        "like": names.get(output.like, output.like),
        "tokenizer": names.get(output.tokenizer, output.tokenizer),
        "chat_template": _text(output.chat_template) if output.chat_template else "",
    }
    said = {key: value for key, value in said.items() if value}
    return [_table("output", said)] if said else []


def _table(key: str, said: Mapping[str, str]) -> str:
    return f"{key}: {{{', '.join(f'{name}: {value}' for name, value in said.items())}}}"


def _text(text: str) -> str:
    """Return a text in double quotes, as YAML reads it."""
    return '"' + "".join(_character(each) for each in text) + '"'


def _character(each: str) -> str:
    if each in '"\\':
        return f"\\{each}"
    return each if each.isprintable() else f"\\U{ord(each):08x}"
