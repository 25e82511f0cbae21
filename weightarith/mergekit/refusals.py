"""What mergekit documents may hold and is not done here, by name, and keys that stand in a wrong place."""

from __future__ import annotations

from collections.abc import Collection

from weightarith.errors import UnsupportedError
from weightarith.mergekit.methods import ALL_PARAMETERS
from weightarith.recipe.fields import is_nothing, table
from weightarith.recipe.strictyaml import Entry, Node, Place, Table

MOE = "a mixture of experts made of whole models (mergekit-moe)"
SEARCH = "a search for weights (mergekit-evolve)"
FLAG = "an option of the command mergekit-yaml and no part of a document,"
DOCUMENTS = {
    "experts": MOE,
    "shared_experts": MOE,
    "gate_mode": MOE,
    "experts_per_token": MOE,
    "genome": SEARCH,
    "tasks": SEARCH,
    "name": "a stage of several documents (mergekit-multi); a let: of a recipe names a part instead",
}
FLAGS = (
    "trust_remote_code", "allow_crimes", "lora_merge_cache", "lora_merge_dtype", "transformers_cache",
    "random_seed", "cuda", "low_cpu_memory", "lazy_unpickle", "copy_tokenizer", "out_shard_size",
    "clone_tensors", "write_model_card", "unsafe_truncate_embeddings",
)  # fmt: skip
UNUSED = ("residual_weight",)


def unsupported(place: Place, what: str, hint: str = "") -> UnsupportedError:
    """Return the error for what is understood and not done."""
    return UnsupportedError(f"{place}: {what} is not supported", hint=hint)


def read_table(
    node: Node, what: str, known: Collection[str], required: Collection[str] = (), parameters: bool = True
) -> dict[str, Entry]:
    """Return the entries of a mapping, those that are null left out.

    Args:
        node: the mapping.
        what: what it is called.
        known: its keys.
        required: the keys it must have.
        parameters: whether one of its keys is `parameters`, where one that stands beside it belongs.

    Raises:
        RecipeError: it is no mapping, or a key is unknown, missing or in a wrong place.
        UnsupportedError: a key is understood, and not supported.
    """
    for key, entry in node.entries.items() if isinstance(node, Table) else ():
        if key in known:
            continue
        if key.replace("-", "_") in FLAGS:
            raise unsupported(entry.place, f"{key}, {FLAG}")
        if key == "override_architecture":
            raise unsupported(entry.place, key, "leave it out: tensors are matched by name")
        if key in UNUSED:
            raise entry.place.error(f"{key}: mergekit reads it and never uses it", hint="leave it out")
        if key in ALL_PARAMETERS and parameters:
            raise entry.place.error(
                f"{key} stands outside parameters:, where it would be ignored",
                hint=f"parameters: {{{key}: …}}",
            )
    entries = table(node, what, known, required)
    for key in required:
        if is_nothing(entries[key].value):
            raise entries[key].place.error(f"{what} needs {key}, and nothing is given")
    return {key: entry for key, entry in entries.items() if not is_nothing(entry.value)}


def refuse_other_documents(node: Node) -> None:
    """Raise UnsupportedError if a document is one that another of mergekit's commands reads."""
    for key, entry in node.entries.items() if isinstance(node, Table) else ():
        if key in DOCUMENTS:
            raise unsupported(entry.place, f"{key}: {DOCUMENTS[key]}")
