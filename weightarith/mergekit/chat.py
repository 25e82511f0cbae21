"""The `chat_template:` of a mergekit document: chosen among the models, by name, or its own text."""

from __future__ import annotations

from weightarith.errors import quoted
from weightarith.mergekit.refusals import unsupported
from weightarith.recipe.caret import nearest
from weightarith.recipe.fields import scalar
from weightarith.recipe.strictyaml import Node

AUTO = "auto"
CHATML = r"""{%- for message in messages -%}
{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|im_start|>assistant\n' }}
{%- endif -%}"""
NAMED = {"chatml": CHATML}
THEIRS = ("alpaca", "exaone", "llama3", "mistral")
"""Templates that mergekit has of its own; not all are what the models of that name were trained on."""


def read_template(node: Node) -> str:
    """Return `auto`, or the text of a Jinja template.

    Raises:
        RecipeError: it is neither, nor the name of a template.
        UnsupportedError: it is the name of a template that only mergekit has.
    """
    value = scalar(node, "a chat template").text
    if value == AUTO or "{{" in value or "{%" in value:
        return value
    if value in THEIRS:
        raise unsupported(
            node.place,
            f"chat_template: {value}, a text of mergekit's own,",
            "chat_template: auto takes that of the models; or write the template itself",
        )
    if value not in NAMED:
        names = (AUTO, *NAMED, *THEIRS)
        raise node.place.error(f"unknown chat_template {quoted(value)}", hint=nearest(value, names))
    return NAMED[value]
