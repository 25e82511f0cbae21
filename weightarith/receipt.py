"""The receipt beside every output: what was asked, what it was made of, and what came out, tensor by tensor.

A receipt holds no time and no machine, so that the same recipe on the same inputs leaves the same receipt.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from weightarith.algebra import Leaf
from weightarith.engine.blocks import Outcome
from weightarith.engine.frame import leaves_read
from weightarith.engine.plan import BLOCK_BYTES, Job, Plan
from weightarith.engine.settings import Output
from weightarith.kernels.accounts import CHANGED, CROSS, INTENDED, NONFINITE, REALISED
from weightarith.operators.direction import Direction
from weightarith.provenance import NUMERICS, sha256_in_cache
from weightarith.tensorfile.model import TensorFile

FORMAT = 1
CHECKSUM = f"xxh3-128, of block digests above {BLOCK_BYTES} bytes"
DIGITS = 6  # of a reported sum; beyond them the order of a vector loop shows

Receipt = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """What a run was asked for, in words that are enough to ask for it again.

    Attributes:
        recipe: its text; empty where there is none that makes the same.
        params: numbers in place of the recipe's own, as text.
        operators: the SHA-256 of every Python file whose operators the recipe calls, by the file's name.
        names: what inputs are called in the recipe, by their labels, where that is something else.
        inputs: all that the recipe names, those that have no part in the result included.
        directions: those of them that are directions.
        sha256: of files of inputs, by path, where a lock has it.
        more: further entries.
    """

    recipe: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    operators: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[Leaf, ...] = ()
    directions: tuple[Direction, ...] = ()
    sha256: Mapping[Path, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)


def write_receipt(
    plan: Plan, outcome: Outcome, *, asked: Asked | None = None, beside: Mapping[str, bytes] | None = None
) -> Receipt:
    """Return the receipt of a finished run; `beside` are the small files that lie beside the weights.

    `change` compares what was asked with what is left after rounding to the output's dtype: `gain` is
    ⟨intended, realised⟩ / ⟨intended, intended⟩ (1 is all of it), `cosine` their angle's.
    """
    asked = asked or Asked()
    return {
        "weightarith": version("weightarith"),
        "receipt": FORMAT,
        "kind": plan.kind,
        "expression": str(plan.total),
        **about_asking(asked),
        "anchor": plan.anchor,
        "inputs": about_inputs([*leaves_read(plan.total), *plan.output.others], asked),
        "output": _form(plan.output),
        "policy": vars(plan.policy),
        "numerics": {**NUMERICS, "checksum": CHECKSUM},
        "files": {file.name: file.size for file in plan.files},
        "headers": {file.name: hashlib.sha256(file.header).hexdigest() for file in plan.files},
        "beside": about_files(beside or {}),
        "change": _change(sum(outcome.accounts, start=outcome.accounts[:0].sum(axis=0))),
        "counts": counts(plan),
        "ledger": _ledger(plan),
        "tensors": {
            job.name: _tensor(job, checksum, account)
            for job, checksum, account in zip(plan.jobs, outcome.checksums, outcome.accounts, strict=True)
            if job.action != "compare"
        },
        "warnings": list(plan.warnings),
        **asked.more,
    }


def about_asking(asked: Asked) -> dict[str, Any]:
    """Return the recipe, and what goes with it where something does."""
    beside = {"params": dict(asked.params), "operators": dict(asked.operators)}
    return {"recipe": asked.recipe, **{key: value for key, value in beside.items() if value}}


def about_files(files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """Return size and SHA-256 of small files by name."""
    return {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in sorted(files.items())
    }


def _form(output: Output) -> dict[str, Any]:
    """Return what an output was asked to look like, but for its place; what is not said is left out."""
    said = {
        "dtype": output.dtype.name if output.dtype is not None else "",
        "encoding": output.encoding or "",
        "shard_size": output.shard_bytes,
        "like": output.like,
        "tokenizer": output.tokenizer,
        "chat_template": output.chat_template,
    }
    return {key: value for key, value in said.items() if value}


def counts(plan: Plan) -> dict[str, int]:
    """Return how many tensor names are changed, copied and absent."""
    found = {"changed": 0, "copied": 0, "absent": 0}
    for entry in plan.ledger:
        found[entry.fate] += 1
    return found


def _ledger(plan: Plan) -> dict[str, list[str]]:
    """Return fate and reason by name; what several inputs hold and the result does not has several."""
    found: dict[str, list[str]] = {}
    for entry in plan.ledger:
        known = found.get(entry.name)
        found[entry.name] = [entry.fate, f"{known[1]}; {entry.reason}" if known else entry.reason]
    return found


def to_bytes(receipt: Mapping[str, Any]) -> bytes:
    """Return a receipt as the text of its file."""
    return (json.dumps(receipt, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def about_inputs(leaves: Iterable[Leaf], asked: Asked) -> list[dict[str, Any]]:
    """Return what is recorded of inputs: those that were read, then the others that the recipe names."""
    found = {leaf.label: _about_leaf(leaf, asked) for leaf in leaves}
    for leaf in asked.inputs:
        found.setdefault(leaf.label, _about_leaf(leaf, asked))
    for each in asked.directions:
        found.setdefault(each.label, _about_direction(each, asked))
    return list(found.values())


def _about_leaf(leaf: Leaf, asked: Asked) -> dict[str, Any]:
    """Return what is recorded of an input: what it is, where it is from, and what identifies its files."""
    files = dict(_about_tensors(leaf.source.files, asked))
    about = {"label": leaf.label, "kind": leaf.source.kind, "path": str(leaf.source.path), "files": files}
    if leaf.source.edit:
        about["layers"] = leaf.source.edit
    origin = leaf.source.origin
    if origin is None:
        return _named(about, asked)
    inside = {"path": origin.path} if origin.path else {}
    return _named({**about, "hub": {"repo": origin.repo, "commit": origin.revision, **inside}}, asked)


def _about_direction(each: Direction, asked: Asked) -> dict[str, Any]:
    files = [] if each.file is None else [each.file]
    path = "" if each.file is None else str(each.file.path)
    told = dict(_about_tensors(files, asked))
    return _named({"label": each.label, "kind": "direction", "path": path, "files": told}, asked)


def _named(about: dict[str, Any], asked: Asked) -> dict[str, Any]:
    name = asked.names.get(about["label"], about["label"])
    return about if name == about["label"] else {**about, "name": name}


def _about_tensors(files: Iterable[TensorFile], asked: Asked) -> Iterator[tuple[str, dict[str, Any]]]:
    for file in files:
        told = {"bytes": file.stamp.size, "header_sha256": file.header_sha256}
        known = asked.sha256.get(file.path) or file.sha256 or sha256_in_cache(file.path)
        yield file.path.name, {**told, "sha256": known} if known else told


def _tensor(job: Job, checksum: str, account: Any) -> dict[str, Any]:
    record: dict[str, Any] = {"dtype": job.dtype.code, "shape": list(job.shape), "xxh3": checksum}
    if job.encoding is not None:
        record["encoding"] = job.encoding
    measured = job.action == "compute" or (job.encoding is not None and job.is_main) or account[INTENDED] > 0
    return {**record, **_change(account)} if measured else record


def _change(account: Any) -> dict[str, Any]:
    intended, realised, cross = (float(account[entry]) for entry in (INTENDED, REALISED, CROSS))
    both = math.sqrt(intended) * math.sqrt(realised)
    return {
        "intended": rounded_sum(math.sqrt(intended)),
        "realised": rounded_sum(math.sqrt(realised)),
        "gain": rounded_sum(cross / intended) if intended else None,
        "cosine": rounded_sum(cross / both) if both else None,
        "elements_changed": int(account[CHANGED]),
        "elements_nonfinite": int(account[NONFINITE]),
    }


def rounded_sum(number: float) -> float | None:
    """Return a sum to the digits that mean something, None where it is not finite."""
    return float(f"{number:.{DIGITS}g}") if math.isfinite(number) else None
