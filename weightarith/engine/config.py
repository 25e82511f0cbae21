"""The config.json of a result: that of one model, as long as it says nothing that the result contradicts.

Only what a stack of layers changes and the dtype of the weights are ever written anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from weightarith.algebra import Leaf
from weightarith.engine.frame import Frame
from weightarith.errors import IncompatibleError, quoted, some
from weightarith.names import role_of
from weightarith.store import fitted, layers_in, uncertain

SIZES = (
    "vocab_size", "hidden_size", "n_embd", "d_model", "intermediate_size", "d_ff", "num_attention_heads",
    "n_head", "num_key_value_heads", "head_dim", "num_local_experts", "num_experts", "n_routed_experts",
)  # fmt: skip
"""Settings that shapes of tensors, or their meaning, depend on."""

TIED = "tie_word_embeddings"

PLACES = ("_name_or_path", "name_or_path")
"""Keys that hold where a model or a tokenizer was loaded from."""


def result_config(leaf: Leaf, frame: Frame, *, asked: bool) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """Return the config of the result where no folder holds it, else None, and warnings.

    Args:
        leaf: the model it is taken from.
        frame: of the result.
        asked: whether that model was asked for, and may be another one than those merged.

    Raises:
        IncompatibleError: it cannot be the config of the result.
    """
    anchor, config = frame.anchor, leaf.source.config
    if anchor is None or config is None:
        return None, ()
    if asked:
        _check_fits(leaf, config, frame)
    if not anchor.source.edit:
        return None, ()
    stack = anchor.source.config or {"num_hidden_layers": frame.depth}
    if leaf.source is not anchor.source:
        config = fitted(config, stack, leaf.label)
    _check_depth(config, leaf.label, frame.depth)
    unsure = uncertain(config)
    what = f"config.json tells layers apart by their numbers, in {some(list(unsure))}; in {anchor.label} "
    return dict(config), (what + "these are other layers than they were: check it",) * bool(unsure)


def _check_fits(leaf: Leaf, config: Mapping[str, Any], frame: Frame) -> None:
    """Refuse a config that says of the result what is not so, unless the result's own model says it too."""
    anchor = frame.anchor if frame.anchor is not None else leaf
    own, sizes = anchor.source.config or {}, dict(_sizes(config))
    known = dict(_sizes(own))
    for key, said in sizes.items():
        if said != known.get(key, said):
            raise _unfit(leaf.label, f"{key} {said}", f"that of {anchor.label} says {known[key]}")
    for name, (rows, columns) in _embeddings(frame):
        for key, count in (("vocab_size", rows), ("hidden_size", columns)):
            if sizes.get(key, count) not in (count, known.get(key)):
                raise _unfit(leaf.label, f"{key} {sizes[key]}", f"{quoted(name)} has {count} in the result")
    said_depth, depth = layers_in(config), layers_in(own)
    if not anchor.source.edit and said_depth and depth and said_depth[1] != depth[1]:
        raise _unfit(leaf.label, "{} {}".format(*said_depth), f"that of {anchor.label} says {depth[1]}")
    _check_tied(leaf.label, _tied(config), _tied(own), frame)


def _check_depth(config: Mapping[str, Any], label: str, depth: int) -> None:
    said = layers_in(config)
    if said is not None and said[1] != depth:
        raise IncompatibleError(
            f"the config.json of {label} says {said[0]} {said[1]}, and the result has layers 0-{depth - 1}",
            hint="layers beyond those that config.json counts, for multi-token prediction, cannot be stacked",
        )


def _check_tied(label: str, said: bool | None, known: bool | None, frame: Frame) -> None:
    """Refuse a config under which a head that is there is not read, or one that is not there is wanted."""
    head = any(role_of(name) == "head" for name in frame.names)
    if (said, known, head) in ((True, False, True), (False, True, False)):
        stored = "has an output head of its own" if head else "stores no output head"
        raise _unfit(label, f"{TIED} {str(said).lower()}", f"the result {stored}")


def _unfit(label: str, said: str, instead: str) -> IncompatibleError:
    return IncompatibleError(
        f"the config.json of {label} says {said}, and {instead}",
        hint="let like: name a model of the same shapes, or leave it out",
    )


def _embeddings(frame: Frame) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the matrices with a row for each token that a prompt is turned into."""
    for name in frame.names:
        if role_of(name) == "embed" and name.endswith(
            ("embed_tokens.weight", "wte.weight", "embed_in.weight")
        ):
            shape, _ = frame.shape(name)
            if len(shape) == 2:
                yield name, (shape[0], shape[1])


def _sizes(config: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield the sizes a config says, those of its language model where it has one."""
    for table in (config, config.get("text_config")):
        if isinstance(table, Mapping):
            yield from ((key, table[key]) for key in SIZES if isinstance(table.get(key), int))


def _tied(config: Mapping[str, Any]) -> bool | None:
    found = [table.get(TIED) for table in (config, config.get("text_config")) if isinstance(table, Mapping)]
    return next((value for value in found if isinstance(value, bool)), None)


def to_json(content: Mapping[str, Any]) -> bytes:
    """Return a JSON file, characters as they are; escaped where one of them is no character."""
    try:
        return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return (json.dumps(content, indent=2) + "\n").encode()


def without_place(content: bytes) -> bytes:
    """Return a JSON file that does not say where on a machine it was loaded from; else unchanged.

    transformers wrote that down in `_name_or_path`, and its tokenizers in `name_or_path`; an id of the Hub
    stays. What is no JSON object is for whoever reads it to refuse.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return content
    tables = [found, *found.values()] if isinstance(found, dict) else []
    told = [
        (table, key)
        for table in tables
        if isinstance(table, dict)
        for key in PLACES
        if _is_place(table.get(key))
    ]
    for table, key in told:
        del table[key]
    return to_json(found) if told else content


def _is_place(value: object) -> bool:
    """Return whether a name of a model is a path: `org/name` and `name` are none."""
    return isinstance(value, str) and (
        value.startswith(("/", ".", "~")) or "\\" in value or value.count("/") > 1
    )


def config_with_dtype(content: bytes, dtype: str) -> bytes:
    """Return config.json saying that the weights are stored as `dtype`; unchanged where it already does.

    transformers loads weights in the dtype the config names, so a stale name would round them again.
    """
    config: dict[str, Any] = json.loads(content)
    keys = [key for key in ("dtype", "torch_dtype") if key in config] or ["dtype"]
    if all(config.get(key) == dtype for key in keys):
        return content
    config.update(dict.fromkeys(keys, dtype))
    return to_json(config)
