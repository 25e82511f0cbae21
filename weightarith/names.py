"""What a tensor's name says: the layer it belongs to and the role it plays."""

from __future__ import annotations

import re
from functools import lru_cache

ROLES = (
    "embed", "head", "norm", "q", "k", "v", "o", "qkv", "attention", "gate", "up", "down", "mlp",
    "router", "expert", "vision", "other",
)  # fmt: skip
"""Every role, from the narrowest reading of a name to `other`."""

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block|layer)\.(\d+)(?:\.|$)")
_RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (role, re.compile(pattern))
    for role, pattern in (
        ("vision", r"(?:^|\.)(?:vision|visual|vision_tower|vision_model|image)(?:\.|_|$)"),
        ("router", r"(?:^|\.)(?:router|mlp\.gate|block_sparse_moe\.gate|gate\.weight$)(?:\.|$)"),
        ("expert", r"(?:^|\.)experts?(?:\.|$)"),
        (
            "embed",
            r"(?:^|\.)(?:embed_tokens|wte|wpe|embed_in|word_embeddings|embeddings|tok_embeddings)(?:\.|$)",
        ),
        ("head", r"(?:^|\.)(?:lm_head|embed_out|output\.weight$|score)(?:\.|$|weight)"),
        ("norm", r"(?:norm|(?:^|\.)ln_\w+|layernorm)(?:\.|$|\d)"),
        ("q", r"(?:^|\.)(?:q_proj|query|wq|q)(?:\.|$)"),
        ("k", r"(?:^|\.)(?:k_proj|key|wk|k)(?:\.|$)"),
        ("v", r"(?:^|\.)(?:v_proj|value|wv|v)(?:\.|$)"),
        ("qkv", r"(?:^|\.)(?:qkv_proj|query_key_value|c_attn|qkv|Wqkv)(?:\.|$)"),
        ("o", r"(?:^|\.)(?:o_proj|out_proj|wo|attention\.dense|attn\.c_proj)(?:\.|$)"),
        ("gate", r"(?:^|\.)(?:gate_proj|w1)(?:\.|$)"),
        ("up", r"(?:^|\.)(?:up_proj|w3|c_fc|dense_h_to_4h|fc1|gate_up_proj)(?:\.|$)"),
        ("down", r"(?:^|\.)(?:down_proj|w2|mlp\.c_proj|dense_4h_to_h|fc2)(?:\.|$)"),
        ("attention", r"(?:^|\.)(?:self_attn|attn|attention)(?:\.|$)"),
        ("mlp", r"(?:^|\.)(?:mlp|ffn|feed_forward)(?:\.|$)"),
    )
)

GROUPS: dict[str, frozenset[str]] = {
    "attention": frozenset({"attention", "q", "k", "v", "o", "qkv"}),
    "mlp": frozenset({"mlp", "gate", "up", "down"}),
}
"""Roles that also answer to a wider word: `role: mlp` means gate, up and down too."""


@lru_cache(maxsize=1 << 17)
def layer_of(name: str) -> int | None:
    """Return the number of the layer `name` belongs to, or None outside the stack."""
    found = _LAYER.search(name)
    return int(found[1]) if found else None


@lru_cache(maxsize=1 << 17)
def role_of(name: str) -> str:
    """Return the role of `name`, one of `ROLES`; `other` where no rule reads it."""
    return next((role for role, pattern in _RULES if pattern.search(name)), "other")


def has_role(name: str, role: str) -> bool:
    """Return whether `name` plays `role`, or a narrower one that `role` includes."""
    return role_of(name) in GROUPS.get(role, {role})
