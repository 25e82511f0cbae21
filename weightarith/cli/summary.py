"""What `inspect` found, for people: columns that line up, and nothing of a stranger's that moves a cursor."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import click

from weightarith.cli.terminal import counted, escaped, printable, size

NAMES = {
    "base_model_name_or_path": "base",
    "r": "rank",
    "lora_alpha": "alpha",
    "use_rslora": "rslora",
    "modules_to_save": "trained whole",
}
SAID = ("kind", "format", "spec")
"""Metadata that the other lines say already."""
WHOLE = ("expression", "parents")
"""Metadata that is shown however long it is."""

_HASH = re.compile("[0-9a-f]{40,}")


def print_summary(found: Mapping[str, Any]) -> None:
    """Print kind, sizes, provenance and norms."""
    tensors, files = found["tensors"], found["files"]
    elements = counted(found["elements"], "element")
    held = f"{counted(len(tensors), 'tensor')} of {elements}, {size(sum(files.values()))}"
    click.echo(f"{printable(found['path'])}: {found['kind']}, {held} in {counted(len(files), 'file')}")
    norms = found.get("norms")
    facts = list(_facts(found))
    width = max(len(key) for key, _ in facts)
    for key, value in facts:
        click.echo(f"  {key:<{width}}  {value}")
    if norms:
        _print_norms("norm by role", norms["by_role"])
        _print_norms("norm by layer", norms["by_layer"])


def _facts(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "stored as", ", ".join(f"{code} ×{count}" for code, count in found["dtypes"].items())
    if found["ranks"]:
        yield "factored", ", ".join(f"rank {rank} ×{count}" for rank, count in found["ranks"].items())
    if found["encodings"]:
        yield "encoded", ", ".join(f"{kind} ×{count}" for kind, count in found["encodings"].items())
    for key, value in found["provenance"].items():
        if key in WHOLE:
            yield key, printable(_parents(value) if key == "parents" else _plain(value))
        elif key not in SAID:
            yield escaped(NAMES.get(key, key)), escaped(_plain(value))
    if "norms" in found:
        yield "norm", _number(found["norms"]["total"])


def print_tensors(tensors: Mapping[str, Mapping[str, Any]]) -> None:
    """Print a line for each tensor: name, dtype, shape, rank where factored, norm where measured."""
    rows = [(escaped(name), *_cells(tensor)) for name, tensor in tensors.items()]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True) if width)
        click.echo(f"  {'  '.join(cells)}".rstrip())


def _cells(tensor: Mapping[str, Any]) -> tuple[str, str, str]:
    shape = " × ".join(str(extent) for extent in tensor["shape"]) or "scalar"
    rank = f" of rank {tensor['rank']}" if "rank" in tensor else ""
    rank += f" as {tensor['encoding']}" if "encoding" in tensor else ""
    if tensor.get("trained_whole"):
        rank += " trained whole"
    return tensor["dtype"], shape + rank, f"norm {_number(tensor['norm'])}" if "norm" in tensor else ""


def _print_norms(title: str, norms: Mapping[str, float | None]) -> None:
    click.echo(f"  {title}")
    numbers = {group: _number(norm) for group, norm in norms.items()}
    names = max(len(group) for group in numbers)
    whole = max(len(number.partition(".")[0]) for number in numbers.values())
    for group, number in numbers.items():
        click.echo(f"    {group:>{names}}  {' ' * (whole - len(number.partition('.')[0]))}{number}")


def _number(number: float | None) -> str:
    return "too large for a float64" if number is None else f"{number:.6g}"


def _parents(value: Any) -> str:
    """Return what a vector was made of: `finetuned (checkpoint, 288 MB), base (checkpoint, 288 MB)`."""
    try:
        return ", ".join(f"{one['label']} ({one['kind']}, {size(one['bytes'])})" for one in value)
    except (KeyError, TypeError, ValueError):  # metadata of another tool, or of a later version
        return _plain(value)


def _plain(value: Any) -> str:
    """Return what JSON says, without its brackets: `name base, space a29841082341…`."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    return _HASH.sub(lambda digits: f"{digits[0][:12]}…", str(value))
