"""Adapters from single files laid onto a base: their own names exchanged for the base's.

An explicit step, for only beside a base can `lora_unet_mid_block_attn` be told from `mid.block_attn`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TypeVar

from weightarith.adapter import component_of, map_names
from weightarith.errors import UnsupportedError, quoted, some
from weightarith.store.source import Source
from weightarith.tensorfile.sniff import shown

_T = TypeVar("_T")

NAMES, OWN = "weightarith.names", "own"
"""Metadata of a vector whose names are still those of a file for other programs, and no base's."""


def onto(source: Source, names: Collection[str], base: str) -> Source:
    """Return `source` under the names of a base that holds `names`; itself where its names are a base's.

    Args:
        source: a vector or an adapter.
        names: every tensor name of the base.
        base: what to call the base in messages.

    Raises:
        IncompatibleError: the base has no tensor, or more than one, that a name of the source can mean.
    """
    if not source.own_names:
        return source
    whole = (*source.tensors, *source.encoded)
    found = map_names(_held(source), names, shown(source.path), base, dense=whole)
    return replace(
        source,
        tensors={found[name]: stored for name, stored in source.tensors.items()},
        factors={found[name]: factored for name, factored in source.factors.items()},
        encoded={found[name]: encoded for name, encoded in source.encoded.items()},
        own_names=False,
    )


def components(source: Source) -> tuple[str, ...]:
    """Return the models of a pipeline that a single-file adapter says it moves; "" where it does not say."""
    if not source.own_names:
        return ()
    return tuple(sorted({_component(name) for name in _held(source)}))


def part(source: Source, component: str) -> tuple[Source, tuple[str, ...]]:
    """Return what a single-file adapter does to one model of a pipeline, and the names that are left out.

    Args:
        source: an adapter from a single file.
        component: one of `components(source)`.

    Raises:
        UnsupportedError: the file moves nothing of that model.
    """
    held = components(source)
    if component not in held:
        raise UnsupportedError(
            f"{shown(source.path)} moves nothing of {quoted(component)}, expected one of {some(list(held))}"
        )
    left_out = sorted(name for name in _held(source) if _component(name) != component)
    gone = frozenset(left_out)
    kept = replace(
        source,
        tensors=_without(source.tensors, gone),
        factors=_without(source.factors, gone),
        encoded=_without(source.encoded, gone),
    )
    return kept, tuple(left_out)


def _held(source: Source) -> tuple[str, ...]:
    return (*source.tensors, *source.factors, *source.encoded)


def _component(name: str) -> str:
    return component_of(name.rpartition(".")[0])[0]


def _without(held: Mapping[str, _T], gone: frozenset[str]) -> dict[str, _T]:
    return {name: one for name, one in held.items() if name not in gone}
