"""The `policy:` and `output:` of a recipe: what a run may do, and where its result goes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from weightarith.engine.chat import checked_template
from weightarith.engine.settings import SHARD_BYTES, UNNAMED, Output, Policy
from weightarith.errors import RecipeError, quoted
from weightarith.numbers import bytes_in
from weightarith.recipe.caret import listed, nearest
from weightarith.recipe.destination import HUB
from weightarith.recipe.fields import choice, scalar, table, text
from weightarith.recipe.strictyaml import Node
from weightarith.recipe.tokens import canonical
from weightarith.tensorfile.dtypes import ARITHMETIC, BY_NAME
from weightarith.tensorfile.encoded import PARTS

NONFINITE = "nonfinite"
POLICY = ("names", "vocabulary", "integers", NONFINITE)
OUTPUT = ("path", HUB, "dtype", "encoding", "shard_size", "like", "tokenizer", "chat_template")
DTYPES = ("base", *(name for name, dtype in BY_NAME.items() if dtype.code in ARITHMETIC))

_REFUSE_OR_BASE: tuple[Literal["refuse", "base"], ...] = ("refuse", "base")
_REFUSE_OR_ALLOW: tuple[Literal["refuse", "allow"], ...] = ("refuse", "allow")


def read_policy(node: Node | None) -> Policy:
    """Return what a run may do where inputs disagree; whatever is not given refuses.

    Raises:
        RecipeError: a key or a choice is unknown.
    """
    given = table(node, "policy", POLICY) if node else {}
    same: dict[str, Literal["refuse", "base"]] = dict.fromkeys(POLICY, "refuse")
    same |= {
        key: choice(entry.value, key, _REFUSE_OR_BASE) for key, entry in given.items() if key != NONFINITE
    }
    if NONFINITE not in given:
        return Policy(same["names"], same["vocabulary"], same["integers"])
    nonfinite = choice(given[NONFINITE].value, NONFINITE, _REFUSE_OR_ALLOW)
    return Policy(same["names"], same["vocabulary"], same["integers"], nonfinite)


def read_output(node: Node | None, folder: Path, inputs: list[str]) -> Output | None:
    """Return where the result goes, a path relative to the recipe's folder; None where nothing is said.

    Its path is `UNNAMED` where only the form of the result is said.

    Raises:
        RecipeError: a key, a dtype or an encoding is unknown, a size or a template is none, or a model is no
            input.
    """
    if node is None:
        return None
    given = table(node, "output", OUTPUT)
    dtype = choice(given["dtype"].value, "dtype", DTYPES) if "dtype" in given else "base"
    return Output(
        folder / text(given["path"].value, "a path") if "path" in given else UNNAMED,
        None if dtype == "base" else BY_NAME[dtype],
        _bytes(given["shard_size"].value) if "shard_size" in given else SHARD_BYTES,
        _input("like", given["like"].value, inputs) if "like" in given else "",
        encoding=choice(given["encoding"].value, "encoding", tuple(PARTS)) if "encoding" in given else None,
        tokenizer=_input("tokenizer", given["tokenizer"].value, inputs) if "tokenizer" in given else "",
        chat_template=_template(given["chat_template"].value) if "chat_template" in given else "",
    )


def _template(node: Node) -> str:
    try:
        return checked_template(scalar(node, "a chat template").text)
    except RecipeError as error:
        raise node.place.error(error.message, hint=error.hint) from None


def _input(key: str, node: Node, inputs: list[str]) -> str:
    name = canonical(text(node, "the name of an input"))
    if name not in inputs:
        message = f"{key}: {quoted(name)} is no input; inputs are {listed(inputs)}"
        raise node.place.error(message, hint=nearest(name, inputs))
    return name


def _bytes(node: Node) -> int:
    size = text(node, "a size")
    total = bytes_in(size)
    if total is None:
        raise node.place.error(f"expected a size, found {quoted(size)}", hint="5GB, 500MB or 512MiB")
    if total < 1:
        raise node.place.error(f"a shard of {size} holds nothing")
    return total
