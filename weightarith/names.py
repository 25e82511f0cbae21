"""What a tensor's name says: the layer it belongs to and the role it plays."""

from __future__ import annotations

import re
from functools import lru_cache

ROLES = (
    "embed", "head", "norm", "q", "k", "v", "o", "qkv", "attention", "gate", "up", "down", "mlp",
    "router", "expert", "vision", "other",
)  # fmt: skip
"""Every role, from the narrowest reading of a name to `other`."""

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block|layer)\.(?P<number>[0-9]{1,6})(?=\.|$)")
_EMBED = "embed_tokens|embed_positions|wte|wpe|embed_in|word_embeddings|embeddings|tok_embeddings"
_MIXER = "self_attn|self_attention|attn|attention|SelfAttention|EncDecAttention|cross_attn|linear_attn"
# The first rule that reads a name decides: what is special comes before what its parent is.
_RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (role, re.compile(pattern))
    for role, pattern in (
        ("vision", r"(?:^|\.)(?:vision|visual|vision_tower|vision_model|image)(?:\.|_|$)"),
        ("norm", r"(?:[Nn]orm|(?:^|\.)ln_\w+|norm_f)(?:\.|$|\d)"),
        (
            "router",
            r"(?:^|\.)(?:router|mlp\.gate|block_sparse_moe\.gate|shared_expert_gate|gate\.weight$)(?:\.|$)",
        ),
        ("expert", r"(?:^|\.)experts?(?:\.|$)"),
        ("embed", rf"(?:^|\.)(?:{_EMBED})(?:\.|$)|^shared\."),
        ("head", r"(?:^|\.)(?:lm_head|embed_out|score|classifier)(?:\.|$)|^output\.weight$"),
        ("down", r"(?:^|\.)DenseReluDense\.wo(?:\.|$)"),
        ("q", r"(?:^|\.)(?:q_proj|q_[ab]_proj|query|wq|q)(?:\.|$)"),
        ("k", r"(?:^|\.)(?:k_proj|key|wk|k)(?:\.|$)"),
        ("v", r"(?:^|\.)(?:v_proj|value|wv|v)(?:\.|$)"),
        ("qkv", r"(?:^|\.)(?:qkv_proj|query_key_value|c_attn|qkv|[wW]qkv)(?:\.|$)"),
        ("o", rf"(?:^|\.)(?:o_proj|out_proj|wo|(?:{_MIXER})\.(?:o|dense|output\.dense|c_proj))(?:\.|$)"),
        ("gate", r"(?:^|\.)(?:gate_proj|w1|wi_0)(?:\.|$)"),
        (
            "up",
            r"(?:^|\.)(?:up_proj|w3|c_fc|dense_h_to_4h|fc1|gate_up_proj|wi|wi_1|intermediate\.dense)(?:\.|$)",
        ),
        ("down", r"(?:^|\.)(?:down_proj|w2|mlp\.c_proj|dense_4h_to_h|fc2|output\.dense)(?:\.|$)"),
        ("attention", rf"(?:^|\.)(?:{_MIXER})(?:\.|$)"),
        ("mlp", r"(?:^|\.)(?:mlp|ffn|feed_forward)(?:\.|$)"),
    )
)

GROUPS: dict[str, frozenset[str]] = {
    "attention": frozenset({"attention", "q", "k", "v", "o", "qkv"}),
    "mlp": frozenset({"mlp", "gate", "up", "down"}),
}
"""Roles that also answer to a wider word: `role: mlp` means gate, up and down too."""


@lru_cache(maxsize=1 << 17)
def split_layer(name: str) -> tuple[str, int, str] | None:
    """Return what stands before a layer's number, the number, and what follows; None outside the stack.

    The stack is the language model's: the blocks of a vision tower are counted apart and are outside.
    """
    found = _LAYER.search(name)
    if found is None or role_of(name) == "vision":
        return None
    return name[: found.start("number")], int(found["number"]), name[found.end("number") :]


def layer_of(name: str) -> int | None:
    """Return the number of the layer `name` belongs to, or None outside the stack."""
    split = split_layer(name)
    return split[1] if split else None


@lru_cache(maxsize=1 << 17)
def role_of(name: str) -> str:
    """Return the role of `name`, one of `ROLES`; `other` where no rule reads it."""
    return next((role for role, pattern in _RULES if pattern.search(name)), "other")


def has_role(name: str, role: str) -> bool:
    """Return whether `name` plays `role`, or a narrower one that `role` includes."""
    return role_of(name) in GROUPS.get(role, {role})
