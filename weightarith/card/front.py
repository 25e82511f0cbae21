"""The front matter of a card: what the Hub reads and filters by.

https://huggingface.co/docs/hub/model-cards#model-card-metadata
"""

from __future__ import annotations

from typing import Any

from weightarith.card.facts import Facts

LIBRARIES = {
    "vector": "weightarith",
    "adapter": "peft",
    "checkpoint": "transformers",
    "recipe": "weightarith",
}
TAGS = {
    "vector": ("weight-vector", "task-arithmetic"),
    "adapter": ("lora",),
    "checkpoint": ("task-arithmetic",),
    "recipe": ("recipe", "task-arithmetic"),
}


def metadata(facts: Facts) -> dict[str, Any]:
    """Return the front matter; what nothing says is left out."""
    models = base_models(facts)
    related = relation(facts)
    found: dict[str, Any] = {
        "base_model": models[0] if len(models) == 1 else models,
        "base_model_relation": related if models else "",
        "library_name": "gguf" if facts.is_gguf else LIBRARIES[facts.kind],
        "pipeline_tag": "text-generation" if facts.kind == "checkpoint" and facts.is_causal else "",
        "license": facts.decision.licence.id,
        "license_name": facts.decision.licence.name,
        "license_link": facts.decision.licence.link,
        "tags": ["weightarith", *(["merge"] if related == "merge" else []), *TAGS[facts.kind]],
    }
    return {key: value for key, value in found.items() if value}


def base_models(facts: Facts) -> list[str]:
    """Return the repositories of all parents, base first.

    Of a vector they are the models that it was measured from, of an adapter the one model that it goes on.
    """
    wanted = facts.parents
    if facts.kind in ("adapter", "vector"):
        wanted = tuple(one for one in facts.parents if one.kind == "checkpoint")
    if facts.kind == "adapter":
        wanted = wanted[:1]
    return list(dict.fromkeys(one.repo for one in wanted if one.repo))


def relation(facts: Facts) -> str:
    """Return `adapter`, `merge` or `finetune`.

    A vector is no model of its own and goes on one, as an adapter does. A model made of one model and of
    vectors that are not on the Hub is a fine-tune; of several parents it is a merge.
    """
    if facts.kind in ("adapter", "vector"):
        return "adapter"
    models = [one for one in facts.parents if one.kind == "checkpoint"]
    return "merge" if len(models) > 1 or len(base_models(facts)) > 1 else "finetune"


def to_yaml(found: dict[str, Any]) -> str:
    """Return front matter between its two lines."""
    import yaml

    text = yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{text}---\n"
