"""A run: the folder that a contrast leaves, read strictly.

run.json                  base, data, settings, what was chosen
training.json             losses of every training, and the geometry of the two sides
weightarith.json          the receipt
data/positive.jsonl       the examples trained on, as chats; data/negative.jsonl
positive/, negative/      adapters; of biases positive.safetensors, of full fine-tuning model folders
vector.safetensors        positive − negative
checkpoints/SIDE/step-N/  adapters along the way, where they were asked for
bias/, joint/             what `add_bias` and `add_joint` put there
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from weightarith.data import Example, read_examples
from weightarith.errors import InvalidFileError, RecipeError, quoted
from weightarith.tensorfile.jsonfile import read_object
from weightarith.train.result import name_of
from weightarith.train.settings import Settings

Side = Literal["positive", "negative"]
SIDES: tuple[Side, Side] = ("positive", "negative")
RUN, FORMAT = "run.json", 1
VECTOR = "vector.safetensors"
BIAS, JOINT, CHECKPOINTS = "bias", "joint", "checkpoints"
_KEYS = ("weightarith_run", "base", "data", "settings", "chosen", "warnings", "versions")
LARGEST = 16 << 20
"""Bytes of a `run.json` that are read."""


@dataclass(frozen=True)
class Run:
    """What two opposite fine-tunes left.

    Attributes:
        folder: where all of it lies.
        base: the model, as `weightarith.lm.load` takes it: a folder, or hf://org/name.
        positive: the adapter that shows the behaviour; of other kinds the vector of biases, or the model
            folder, which is not there where it was discarded.
        negative: the same of the opposite.
        vector: positive − negative: adding it induces the behaviour.
        bias: a folder of `positive`, `negative` and `vector.safetensors` of biases, if there is one.
        joint: the adapter trained on a task and on one side together, if there is one.
        checkpoints: of each side the step and the adapter along the way, in order.
        examples: of each side what it was trained on.
        settings: how.
        learning_rate: the one that was chosen.
        step: the one that was kept.
        warnings: what is to be known of the data.
    """

    folder: Path
    base: str
    positive: Path
    negative: Path
    vector: Path
    bias: Path | None
    joint: Path | None
    checkpoints: dict[Side, tuple[tuple[int, Path], ...]]
    examples: dict[Side, list[Example]]
    settings: Settings
    learning_rate: float
    step: int
    warnings: tuple[str, ...]


def read_run(folder: str | Path) -> Run:
    """Return the run in a folder.

    Raises:
        InvalidFileError: a file is missing, is not what `run.json` says, or says something unknown.
    """
    place = Path(folder)
    path = place / RUN
    if not path.is_file():
        raise InvalidFileError(
            f"{quoted(str(place))} is no run: it has no {RUN}",
            hint="make one: weightarith contrast BASE … -o RUN",
        )
    content = read_object(path, LARGEST)
    _check_keys(path, content)
    settings = _settings(path, content["settings"])
    chosen = _part(path, content, "chosen", {"learning_rate": (int, float), "step": (int,)})
    sides = {side: place / name_of(side, settings.kind) for side in SIDES}
    examples = {side: _examples(path, place, content, side) for side in SIDES}
    if not (place / VECTOR).is_file():
        raise _missing(path, VECTOR)
    if settings.kind != "full":
        for one in sides.values():
            if not one.exists():
                raise _missing(path, one.name)
    return Run(
        place, _base(path, place, content), sides["positive"], sides["negative"], place / VECTOR,
        _there(place / BIAS), _there(place / JOINT), {side: _checkpoints(place, side) for side in SIDES},
        examples, settings, float(chosen["learning_rate"]), int(chosen["step"]), tuple(content["warnings"]),
    )  # fmt: skip


def _check_keys(path: Path, content: Mapping[str, Any]) -> None:
    said = content.get("weightarith_run")
    if said != FORMAT:
        raise InvalidFileError(f"{quoted(str(path))} says weightarith_run {said!r}, expected {FORMAT}")
    odd = sorted(set(_KEYS) ^ content.keys())
    if odd:
        state = "is unknown" if odd[0] in content else "is missing"
        raise InvalidFileError(f"{quoted(str(path))}: the key {quoted(odd[0])} {state}")
    warnings = content["warnings"]
    if not isinstance(warnings, list) or not all(isinstance(one, str) for one in warnings):
        raise InvalidFileError(f"{quoted(str(path))}: 'warnings' is no list of texts")


def _part(
    path: Path, content: Mapping[str, Any], key: str, kinds: Mapping[str, tuple[type, ...]]
) -> Mapping[str, Any]:
    found = content[key]
    for name, kind in kinds.items():
        value = found.get(name) if isinstance(found, dict) else None
        if not isinstance(value, kind) or isinstance(value, bool):
            expected = " or ".join(one.__name__ for one in kind)
            raise InvalidFileError(
                f"{quoted(str(path))}: {quoted(f'{key}.{name}')} is {quoted(json.dumps(value))}, "
                f"expected {expected}"
            )
    return dict(found)


def _settings(path: Path, content: Any) -> Settings:
    if not isinstance(content, dict):
        raise InvalidFileError(f"{quoted(str(path))}: 'settings' is no object")
    try:
        return Settings.from_json(content)
    except RecipeError as error:
        raise InvalidFileError(f"{quoted(str(path))}: {error.message}", hint=error.hint) from None


def _examples(path: Path, place: Path, content: Mapping[str, Any], side: Side) -> list[Example]:
    data = _part(path, content, "data", {side: (dict,)})
    file = place / "data" / f"{side}.jsonl"
    examples = read_examples(file)
    found = sha256(file.read_bytes()).hexdigest()
    if data[side].get("sha256") != found:
        raise InvalidFileError(
            f"{quoted(str(file))} is not what was trained on: its SHA-256 is {found[:12]}…",
            hint="put the file back, or make the run again",
        )
    return examples


def _base(path: Path, place: Path, content: Mapping[str, Any]) -> str:
    found = str(_part(path, content, "base", {"name": (str,), "path": (str,)})["path"])
    return found if found.startswith("hf://") else str((place / found).resolve())


def _checkpoints(place: Path, side: Side) -> tuple[tuple[int, Path], ...]:
    found = {path.stem.removeprefix("step-"): path for path in (place / CHECKPOINTS / side).glob("step-*")}
    steps = {int(number): path for number, path in found.items() if number.isdecimal()}
    return tuple(sorted(steps.items()))


def _there(path: Path) -> Path | None:
    return path if path.is_dir() else None


def _missing(path: Path, name: str) -> InvalidFileError:
    return InvalidFileError(f"{quoted(str(path.parent))} has no {quoted(name)}", hint="make the run again")
