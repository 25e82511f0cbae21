"""What a report is about: a run folder or a vector alone, opened and named.

Names are those that may be published: of a path its last part.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weightarith.algebra import Checkpoint, Vector
from weightarith.contrast import Run, read_run
from weightarith.contrast.run import RUN
from weightarith.contrast.run import VECTOR as RUN_VECTOR
from weightarith.errors import InvalidFileError, RecipeError, quoted
from weightarith.hub import locate
from weightarith.provenance import plain_name, recorded_base
from weightarith.store import open_source
from weightarith.tensorfile.jsonfile import read_object
from weightarith.train.run import REPORT

LARGEST = 1 << 28
"""Bytes of a JSON file of a run, at most."""
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Subject:
    """A vector, and what is known of its making.

    Attributes:
        name: what the run, or the vector, is called.
        vector: opened; no weight has been read.
        base: the model's name, "" where nothing says it.
        run: the run, None where there is a vector alone.
        about: what `run.json` holds; empty without one.
        training: what `training.json` holds; empty without one.
        header: the metadata of the vector's file, read as JSON where it is.
    """

    name: str
    vector: Vector
    base: str
    run: Run | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    header: Mapping[str, Any] = field(default_factory=dict)

    @property
    def expression(self) -> str:
        """What the vector was made of, "" where its header does not say."""
        return str(self.header.get("expression", ""))


def open_subject(text: str, base: str | None = None) -> Subject:
    """Return the run or the vector at a path.

    Args:
        text: a folder written by `contrast`, a vector, or an adapter.
        base: the model an adapter with tensors that are trained whole was trained on.

    Raises:
        RecipeError: it is a model.
        InvalidFileError: a file is damaged, or missing.
    """
    path = locate(text)
    if (path / RUN).is_file():
        return _of_run(path)
    source = open_source(path)
    if source.kind == "checkpoint":
        raise RecipeError(
            f"{quoted(text)} is a model, expected a run folder or a vector",
            hint="subtract its base first: weightarith diff FINETUNED BASE -o v.safetensors",
        )
    name = plain_name(str(path.resolve())).removesuffix(SUFFIX)
    whole = Checkpoint.open(locate(base)) if source.replaced and base is not None else None
    vector = Vector(source, name, whole)
    said = recorded_base(source).get("name", "")
    return Subject(name, vector, said or (plain_name(base) if base else ""), header=_header(vector))


def _of_run(path: Path) -> Subject:
    run = read_run(path)
    about = read_object(path / RUN, LARGEST)
    training = read_object(path / REPORT, LARGEST) if (path / REPORT).is_file() else {}
    if training and not isinstance(training.get("sides"), dict):
        raise InvalidFileError(f"{quoted(str(path / REPORT))}: 'sides' is missing, expected an object")
    vector = Vector.open(run.vector, label=path.resolve().name)
    name, said = path.resolve().name, str(about["base"]["name"])
    return Subject(name, vector, plain_name(said), run, about, training, _header(vector))


def _header(vector: Vector) -> dict[str, Any]:
    prefix = "weightarith."
    return {
        key.removeprefix(prefix): _parsed(text)
        for key, text in sorted(vector.source.metadata.items())
        if key.startswith(prefix)
    }


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


@dataclass(frozen=True)
class Hashed:
    """A file, by what is in it."""

    name: str
    size: int  # bytes
    sha256: str


def hashed_files(subject: Subject) -> tuple[Hashed, ...]:
    """Return the files of the subject that the report rests on, the weights among them."""
    weights = [file.path for file in subject.vector.source.files]
    if subject.run is None:
        return tuple(hashed(path) for path in weights)
    folder = subject.run.folder
    others = [
        folder / RUN,
        folder / REPORT,
        *(folder / "data" / f"{side}.jsonl" for side in subject.run.examples),
    ]
    names = {weights[0]: RUN_VECTOR} if len(weights) == 1 else {}
    return tuple(
        hashed(path, names.get(path) or path.relative_to(folder).as_posix())
        for path in (*weights, *others)
        if path.is_file()
    )


def hashed(path: Path, name: str = "") -> Hashed:
    """Return a file by its hash."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Hashed(name or path.name, path.stat().st_size, digest)
