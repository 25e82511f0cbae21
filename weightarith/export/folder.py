"""A portable adapter folder written: one tensor in memory at a time, published at once or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path

import numpy as np

from weightarith.adapter.portable import CONFIG, TENSORS, Module, Portable
from weightarith.errors import IncompatibleError, quoted
from weightarith.export.factors import Bytes, Doubles, Pair, balanced, padded, rounded
from weightarith.store.stage import check_target, disk_error, staged, write_small


def write_adapter(
    path: Path,
    plan: Portable,
    pairs: Mapping[str, Pair],
    *,
    beside: Mapping[str, bytes] | None = None,
    inputs: Iterable[Path] = (),
    overwrite: bool = False,
) -> None:
    """Write a planned adapter to the folder `path`.

    Args:
        path: the folder, which must not exist unless `overwrite` is said.
        plan: what `plan_portable` returned.
        pairs: the change of each weight that the plan gives a rank; one may compute it when it is asked for.
        beside: small files to go with it, by name, such as a receipt or a card.
        inputs: what the change was made from, which must not be overwritten.
        overwrite: replace an earlier output, which is told by the receipt in it.

    Raises:
        WeightArithError: nothing is left behind, and what stood there is whole.
    """
    check_target(path, inputs, overwrite=overwrite)
    small = dict(beside or {})
    needed = plan.size + sum(map(len, small.values()))
    with staged(path, needed=needed, overwrite=overwrite) as stage:
        fill_adapter(stage, plan, pairs)
        for name, content in small.items():
            write_small(stage / name, content)


def fill_adapter(folder: Path, plan: Portable, pairs: Mapping[str, Pair]) -> None:
    """Write the two files of a planned adapter into an existing folder, and bring them to the disk.

    Raises:
        IncompatibleError: a pair is not of the rank or shape that was planned, or is missing.
        NonFiniteError: a number that the dtype has none for.
        StorageError: a file is there already, or the disk failed.
    """
    write_small(folder / CONFIG, plan.config)
    write_parts(folder / TENSORS, chain([plan.layout.header], _tensors(plan, pairs)))


def write_parts(path: Path, parts: Iterable[bytes | Bytes]) -> None:
    """Write a new file, one part after the other, and bring it to the disk; its mode is 0666 less the umask.

    Raises:
        StorageError: it is there already, or the disk failed.
    """
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise disk_error(error, path) from error
    with os.fdopen(descriptor, "wb") as file:
        for part in parts:
            try:
                file.write(part if isinstance(part, bytes) else part.data)
            except OSError as error:
                raise disk_error(error, path) from error
        try:
            file.flush()
            os.fsync(descriptor)
        except OSError as error:
            raise disk_error(error, path) from error


def _tensors(plan: Portable, pairs: Mapping[str, Pair]) -> Iterator[Bytes]:
    """Yield the bytes of each tensor in the order of the layout, where A and B of a module are neighbours."""
    wanted = {tensor: module for module in plan.modules for tensor in (module.a, module.b)}
    ready: tuple[str, dict[str, Bytes]] = ("", {})
    for tensor in plan.layout.tensors:
        module = wanted[tensor]
        if ready[0] != module.name:
            ready = module.name, factors(plan, module, pairs)
        yield ready[1][tensor]


def factors(plan: Portable, module: Module, pairs: Mapping[str, Pair]) -> dict[str, Bytes]:
    """Return the bytes of both factors of a module, by their names in the file."""
    a, b = oriented(plan, module, pairs)
    return {module.a: rounded(a, plan.dtype, module.a), module.b: rounded(b, plan.dtype, module.b)}


def oriented(plan: Portable, module: Module, pairs: Mapping[str, Pair]) -> tuple[Doubles, Doubles]:
    """Return A (rank, in) and B (out, rank) of a module, as PEFT has them, zeros where nothing changes.

    Raises:
        IncompatibleError: its pair is not of the rank or shape that was planned, or is missing.
    """
    if not module.rank:
        outer, inner = reversed(module.shape) if module.transposed else module.shape
        return np.zeros((plan.rank, inner)), np.zeros((outer, plan.rank))
    if module.name not in pairs:
        raise IncompatibleError(f"the change of {quoted(module.name)} was planned and is not given")
    pair = pairs[module.name]
    if pair.shape != module.shape or pair.rank != module.rank:
        raise IncompatibleError(
            f"the change of {quoted(module.name)} is {list(pair.shape)} of rank {pair.rank}, "
            f"expected {list(module.shape)} of rank {module.rank}"
        )
    full = padded(balanced(pair), plan.rank)
    return (full.left.T, full.right.T) if module.transposed else (full.right, full.left)
