"""Runs of a contrast: which part of one is published. The training data never are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from weightarith.errors import InvalidFileError, RecipeError, quoted
from weightarith.proof.account import no_receipt, read_receipt
from weightarith.receipt import FORMAT, Receipt
from weightarith.store.stage import receipt_path
from weightarith.tensorfile.jsonfile import INDEX_LIMIT, read_object

RUN = "run.json"
PARTS = ("vector", "positive", "negative")
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Part:
    """A part of a run.

    Attributes:
        path: a vector, an adapter or a model.
        receipt: its own; of a folder that has none, what the run says.
        base: what the run says of its model, but for where it lies.
        report: settings, data and what was chosen.
    """

    path: Path
    receipt: Receipt
    base: Mapping[str, str]
    report: Mapping[str, Any]


def is_run(path: Path) -> bool:
    """Return whether a folder is the run of a contrast."""
    return (path / RUN).is_file()


def part_of(folder: Path, part: str) -> Part:
    """Return a part of a run, the vector unless another is asked for.

    Raises:
        InvalidFileError: the run is damaged, or lacks the part.
        RecipeError: no part is called so.
    """
    name = part or PARTS[0]
    if name not in PARTS:
        raise RecipeError(f"a run has no part {quoted(name)}; it has {', '.join(PARTS)}")
    run = read_object(folder / RUN, INDEX_LIMIT)
    told = run.get("base")
    base = (
        {key: str(told[key]) for key in ("name", "revision") if told.get(key)}
        if isinstance(told, dict)
        else {}
    )
    path = next((one for one in (folder / f"{name}{SUFFIX}", folder / name) if one.exists()), None)
    if path is None:
        raise InvalidFileError(
            f"{quoted(str(folder))} has no {quoted(name)}", hint="it was discarded, or make the run again"
        )
    return Part(path, _receipt(path, base), base, _report(run, name))


def _receipt(path: Path, base: Mapping[str, str]) -> Receipt:
    place = receipt_path(path)
    if place.is_file():
        return read_receipt(place)
    if path.is_file():
        raise no_receipt(str(path), str(place))
    kind = "adapter" if (path / "adapter_config.json").is_file() else "checkpoint"
    return {"weightarith": version("weightarith"), "receipt": FORMAT, "kind": kind, "base": dict(base)}


def _report(run: Mapping[str, Any], name: str) -> dict[str, Any]:
    data = run.get("data")
    if name != PARTS[0] and isinstance(data, dict):
        data = {name: data.get(name)}
    return {"settings": run.get("settings"), "chosen": run.get("chosen"), "data": data}
