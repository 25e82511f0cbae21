"""inspect: what is in a file or folder."""

from __future__ import annotations

import math
from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import click

from weightarith.cli.options import streaming

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightarith.measure import Norm
    from weightarith.store import Source

ADAPTER_KEYS = ("base_model_name_or_path", "revision", "r", "lora_alpha", "use_rslora", "modules_to_save")
PREFIX = "weightarith."
DEEPEST = 20
"""Nesting of our own metadata, at most; JSON nested a thousand deep would exhaust the stack."""


@click.command()
@click.argument("thing", metavar="X")
@streaming
@click.option("--headers", is_flag=True, help="Read headers only, and print no norms.")
@click.option("--tensors", is_flag=True, help="Print a line for each tensor, too.")
@click.option(
    "--threads", type=click.IntRange(0, 256), default=0, metavar="N",
    help="Worker threads; by default one a core, at most 16.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print everything, each tensor included, as JSON.")
def inspect(thing: str, stream: bool, headers: bool, tensors: bool, threads: int, as_json: bool) -> None:
    """Print what a model or a vector holds.

    X is a model, a vector or an adapter. What is shown is its dtypes, shapes and sizes, where it comes from,
    and its norms by role and by layer, for which every weight is read once.
    """
    from weightarith.cli.opening import opened
    from weightarith.cli.summary import print_summary, print_tensors
    from weightarith.cli.terminal import print_json

    source = opened(thing, thing, stream=stream).source
    measured = {} if headers else _norms(source, threads)
    _warn_nonfinite(measured)
    found = _findings(source, measured)
    if as_json:
        print_json(found)
        return
    print_summary(found)
    if tensors:
        print_tensors(found["tensors"])


def _norms(source: Source, threads: int) -> dict[str, Norm]:
    from weightarith.cli.terminal import progress
    from weightarith.engine.devices import cores
    from weightarith.measure import norms

    with progress(sum(file.stamp.size for file in source.files)) as moved:
        return norms(source, threads=threads or cores(), progress=moved)


def _warn_nonfinite(measured: Mapping[str, Norm]) -> None:
    from weightarith.cli.terminal import counted, warn
    from weightarith.errors import some

    broken = [name for name, norm in measured.items() if norm.nonfinite]
    number = sum(measured[name].nonfinite for name in broken)
    warn(
        f"{counted(number, 'element')} NaN or infinite, counted as 0 here, in {some(broken, 3)}"
        if broken
        else ""
    )


def _findings(source: Source, measured: dict[str, Norm]) -> dict[str, Any]:
    from weightarith.provenance import space_of

    tensors = _tensors(source, measured)
    found: dict[str, Any] = {
        "path": str(source.origin) if source.streams and source.origin else str(source.path),
        "kind": source.kind,
        "files": {file.path.name: file.stamp.size for file in source.files},
        "dtypes": _dtypes(source),
        "elements": sum(math.prod(tensor["shape"]) for tensor in tensors.values()),
        "ranks": {str(rank): count for rank, count in _ranks(source)},
        "encodings": _encodings(source),
        "space": space_of(source),
        "provenance": _provenance(source),
        "tensors": tensors,
    }
    if measured:
        from weightarith.measure import by_layer, by_role, total

        found["norms"] = {
            "total": _finite(total(measured.values())),
            "by_role": {role: _finite(norm) for role, norm in by_role(measured).items()},
            "by_layer": {layer: _finite(norm) for layer, norm in by_layer(measured).items()},
        }
    return found


def _dtypes(source: Source) -> dict[str, int]:
    codes = Counter(info.dtype.code for file in source.files for info in file.tensors.values())
    return dict(sorted(codes.items()))


def _ranks(source: Source) -> list[tuple[int, int]]:
    return sorted(Counter(factored.rank for factored in source.factors.values()).items())


def _encodings(source: Source) -> dict[str, int]:
    return dict(sorted(Counter(encoded.kind for encoded in source.encoded.values()).items()))


def _tensors(source: Source, measured: Mapping[str, Norm]) -> dict[str, dict[str, Any]]:
    from weightarith.tensorfile.encoded import MAIN

    found: dict[str, dict[str, Any]] = {}
    for name, stored in {**source.tensors, **source.replaced}.items():
        found[name] = {"dtype": stored.info.dtype.code, "shape": list(stored.info.shape)}
        if name in source.replaced:
            found[name]["trained_whole"] = True
    for name, factored in source.factors.items():
        lowrank = {"dtype": factored.left.stored.info.dtype.code, "shape": list(factored.shape)}
        found[name] = {**found.get(name, {}), **lowrank, "rank": factored.rank}
    for name, encoded in source.encoded.items():
        dtype = encoded.code(MAIN[encoded.kind])
        found[name] = {"dtype": dtype, "shape": list(encoded.shape), "encoding": encoded.kind}
    for name, norm in measured.items():
        largest = None if norm.largest is None else _finite(norm.largest)
        found[name] |= {"norm": _finite(norm.norm), "largest": largest, "zeros": norm.zeros}
        found[name]["nonfinite"] = norm.nonfinite
    return found


def _finite(number: float) -> float | None:
    """Return a number as JSON has it, which knows no infinity."""
    return number if math.isfinite(number) else None


def _provenance(source: Source) -> dict[str, Any]:
    if source.kind == "adapter" and source.config is not None:
        return {key: source.config[key] for key in ADAPTER_KEYS if source.config.get(key)}
    known = source.metadata or (source.files[0].metadata if len(source.files) == 1 else {})
    return {key.removeprefix(PREFIX): _parsed(key, value) for key, value in sorted(known.items())}


def _parsed(key: str, text: str) -> Any:
    """Return what our own metadata say, JSON where it is JSON; a stranger's remain text."""
    import json

    depth = max(accumulate((c in "[{") - (c in "]}") for c in text), default=0)
    if not key.startswith(PREFIX) or not 0 < depth <= DEEPEST:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
