"""The config of a model whose layers were taken and stacked: their number, and what is listed layer by layer.

A list as long as the model is deep is by layer, unless its name says otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from weightarith.errors import IncompatibleError, quoted

Config = Mapping[str, Any]
Part = tuple[Config | None, range, int]
"""A config, the layers taken of its model, and how many that has."""

DEPTHS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
"""What configs call the number of layers."""

BY_NUMBER: Mapping[str, str] = {
    "max_window_layers": "layer_types",
    "full_attention_interval": "layer_types",
    "sliding_window_pattern": "layer_types",
    "no_rope_layer_interval": "no_rope_layers",
    "first_k_dense_replace": "",
    "moe_layer_freq": "",
    "decoder_sparse_step": "",
    "mlp_only_layers": "",
    "cross_attention_layers": "",
    "attn_layer_period": "",
    "num_kv_shared_layers": "",
    "sliding_window": "layer_types",
}
"""Settings that tell layers apart by number, and so mean other layers in a stack; and the list by layer that
is read in their place where there is one."""

EVERY_LAYER = ("moe_layer_freq", "decoder_sparse_step", "full_attention_interval")
"""Those of them that mean every layer where they are 1."""

ALTERNATING = ("gemma2", "gemma3", "gemma3_text", "cohere2", "gpt_oss", "olmo3")
"""Types of models whose layers have a sliding window by turns, whatever else their config says."""


def layers_in(config: Config) -> tuple[str, int] | None:
    """Return what a config calls the number of layers, and the number; None where it says none."""
    for table in reversed(_tables(config)):
        for key in DEPTHS:
            if isinstance(table.get(key), int):
                return key, table[key]
    return None


def joined(config: Config | None, depth: int, parts: Sequence[Part]) -> dict[str, Any] | None:
    """Return the config of a model of `depth` layers as that of other layers.

    Raises:
        IncompatibleError: a setting is listed by layer in one model and not in another.
    """
    if config is None:
        return None
    found = _copy(config)
    for other, _, height in parts:
        for key in (key for table in _tables(other or {}) for key in _by_layer(table, height)):
            if not isinstance(_value(found, key, None), list):
                raise _in_one_only(key)
    for table in _tables(found):
        for key in DEPTHS:
            if table.get(key) == depth:
                table[key] = sum(len(layers) for _, layers, _ in parts)
        for key in _by_layer(table, depth):
            table[key] = [one for part in parts for one in _listed(part, key, table[key])]
    return found


def _listed(part: Part, key: str, instead: list[Any]) -> list[Any]:
    config, layers, depth = part
    found = _value(config or {}, key, instead)
    if not isinstance(found, list) or len(found) != depth:
        raise _in_one_only(key)
    return [found[layer] for layer in layers]


def _in_one_only(key: str) -> IncompatibleError:
    return IncompatibleError(f"config.json lists {quoted(key)} by layer in one model, and not in another")


def fitted(config: Config, stack: Config, label: str) -> dict[str, Any]:
    """Return a config with the layers of another one: their number, and all that is listed by layer.

    Args:
        config: of a model of any depth.
        stack: the config the layers are taken from.
        label: what errors call the model of `config`.

    Raises:
        IncompatibleError: one names no number of layers, or a setting is by layer in one of them only.
    """
    found, old, new = _copy(config), layers_in(config), layers_in(stack)
    if old is None or new is None:
        whose = label if old is None else "the stack"
        raise IncompatibleError(f"config.json of {whose} has none of {', '.join(DEPTHS)}")
    for table in _tables(found):
        for key in DEPTHS:
            if table.get(key) == old[1]:
                table[key] = new[1]
        for key in _by_layer(table, old[1]):
            table[key] = _as_listed(stack, key, new[1], label)
    depths = next(table for table in reversed(_tables(found)) if old[0] in table)
    for table in _tables(stack):
        for key in _by_layer(table, new[1]):
            known = _value(found, key, None)
            if known is not None and (not isinstance(known, list) or len(known) != new[1]):
                raise _contradiction(key, label, of_stack=True)
            if known is None:
                depths[key] = table[key]
    return found


def _as_listed(stack: Config, key: str, depth: int, label: str) -> list[Any]:
    found = _value(stack, key, None)
    if not isinstance(found, list) or len(found) != depth:
        raise _contradiction(key, label, of_stack=False)
    return found


def _contradiction(key: str, label: str, *, of_stack: bool) -> IncompatibleError:
    where = f"the stack, and not in {label}" if of_stack else f"{label}, and not in the stack"
    return IncompatibleError(
        f"config.json lists {quoted(key)} by layer in {where}",
        hint="let like: name one of the models whose layers are stacked",
    )


def uncertain(config: Config | None) -> tuple[str, ...]:
    """Return the settings of a config that tell layers apart by number, and may be wrong for a stack."""
    found = {key for table in _tables(config or {}) for key in BY_NUMBER if _counts(table, key)}
    return tuple(sorted(found))


def _counts(table: Config, key: str) -> bool:
    value = table.get(key)
    if value in (None, [], 0) or isinstance(table.get(BY_NUMBER[key]), list):
        return False
    if key == "max_window_layers" and not table.get("use_sliding_window", True):
        return False
    if key == "sliding_window" and table.get("model_type") not in ALTERNATING:
        return False
    return not (value == 1 and key in EVERY_LAYER)


def _by_layer(table: Config, depth: int) -> Iterator[str]:
    """Yield the keys under which a table holds a list by layer; it may be changed meanwhile."""
    for key, value in list(table.items()):
        other = key == "architectures" or key.endswith("_token_id") or key in BY_NUMBER
        if isinstance(value, list) and len(value) == depth and not other:
            yield key


def _tables(config: Any) -> list[Any]:
    """Return a config and the part of it that is the language model's, where it has one."""
    inner = config.get("text_config")
    return [config, inner] if isinstance(inner, Mapping) else [config]


def _value(config: Config, key: str, otherwise: Any) -> Any:
    return next((table[key] for table in _tables(config) if key in table), otherwise)


def _copy(config: Config) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(config))
    return found
