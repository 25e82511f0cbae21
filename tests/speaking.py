"""Tiny models that have tokenizers and chat templates, saved by the libraries whose formats these are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests import tiny
from weightarith.engine.plan import Plan
from weightarith.engine.settings import UNNAMED, Output
from weightarith.recipe import parse_recipe
from weightarith.saving import draw

LETTERS = "▁abcdefghijklmno"
SPECIAL = ("<unk>", "<s>", "</s>")
MERGES = (("a", "b"), ("c", "d"), ("ab", "cd"))
GREETING = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"


def give_tokenizer(
    folder: Path,
    *,
    letters: str = LETTERS,
    merges: Sequence[tuple[str, str]] = MERGES,
    added: Sequence[str] = (),
    template: str | None = None,
) -> Path:
    """Put a tokenizer of byte pairs beside the weights in `folder`; return the folder."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = [*SPECIAL, *letters, *("".join(pair) for pair in merges)]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges), unk_token=SPECIAL[0]))
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    made = PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token=SPECIAL[0], bos_token=SPECIAL[1], eos_token=SPECIAL[2]
    )
    made.add_tokens(list(added))
    for old in ("chat_template.jinja", "tokenizer_config.json"):
        (folder / old).unlink(missing_ok=True)
    if template is not None:
        made.chat_template = template
    made.save_pretrained(folder)
    return folder


def edit_json(path: Path, **changes: Any) -> dict[str, Any]:
    """Change keys of a JSON file, None taking one away; return what it holds then."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    content |= changes
    content = {key: value for key, value in content.items() if value is not None}
    path.write_text(json.dumps(content), encoding="utf-8")
    return content


def model(folder: Path, *, depth: int = 2, seed: int = 0, **config: Any) -> Path:
    """Write a tiny Llama, keys of its config changed; return the folder."""
    tiny.checkpoint(folder, tiny.weights(depth=depth, seed=seed))
    edit_json(folder / "config.json", **config)
    return folder


def three(folder: Path) -> Path:
    """Write Llamas `a`, `b` and `c` that have the same tokenizer into `folder`; return it."""
    for seed, name in enumerate("abc"):
        give_tokenizer(model(folder / name, seed=seed))
    return folder


def planned(folder: Path, expression: str, output: str = "", policy: str = "", **others: str) -> Plan:
    """Return the plan of a sum of the models in `folder`, called as their folders are.

    `output` and `policy` are what stands in the braces of a recipe, `others` further inputs by name.
    """
    models = {path.parent.name: path.parent.name for path in sorted(folder.glob("*/model.safetensors"))}
    inputs = ", ".join(f"{name}: ./{path}" for name, path in (models | others).items())
    text = f"weightarith: 1\ninputs: {{{inputs}}}\nexpression: {expression}\n"
    read = parse_recipe(f"{text}policy: {{{policy}}}\noutput: {{{output}}}\n", folder=folder)
    path = folder / "out" if read.output is None or read.output.path == UNNAMED else read.output.path
    return draw(read.total, replace(read.output or Output(path), path=path), policy=read.policy)
