"""The receipt beside every output: what was asked, what it was made of, and what came out, tensor by tensor.

A receipt holds no time and no machine, so that the same recipe on the same inputs leaves the same receipt.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from weightarith.algebra import Leaf
from weightarith.engine.blocks import Outcome
from weightarith.engine.frame import leaves_read
from weightarith.engine.plan import BLOCK_BYTES, Job, Plan
from weightarith.kernels.accounts import CHANGED, CROSS, INTENDED, NONFINITE, REALISED
from weightarith.provenance import NUMERICS

FORMAT = 1
DIGITS = 6  # of a reported sum; beyond them the order of a vector loop shows

Receipt = dict[str, Any]


def write_receipt(plan: Plan, outcome: Outcome, *, recipe: str = "") -> Receipt:
    """Return the receipt of a finished run.

    `change` compares what was asked with what is left after rounding to the output's dtype: `gain` is
    ⟨intended, realised⟩ / ⟨intended, intended⟩ (1 is all of it), `cosine` their angle's.
    """
    return {
        "weightarith": version("weightarith"),
        "receipt": FORMAT,
        "kind": plan.kind,
        "expression": str(plan.total),
        "recipe": recipe,
        "anchor": plan.anchor,
        "inputs": [about_input(leaf) for leaf in leaves_read(plan.total)],
        "policy": vars(plan.policy),
        "numerics": {**NUMERICS, "checksum": f"xxh3-128, of block digests above {BLOCK_BYTES} bytes"},
        "files": {file.name: file.size for file in plan.files},
        "change": _change(sum(outcome.accounts, start=outcome.accounts[:0].sum(axis=0))),
        "counts": counts(plan),
        "ledger": _ledger(plan),
        "tensors": {
            job.name: _tensor(job, checksum, account)
            for job, checksum, account in zip(plan.jobs, outcome.checksums, outcome.accounts, strict=True)
            if job.action != "compare"
        },
        "warnings": list(plan.warnings),
    }


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


def about_input(leaf: Leaf) -> dict[str, Any]:
    """Return what is recorded of an input: what it is, and its files as their headers identify them."""
    files = {
        file.path.name: {"bytes": file.stamp.size, "header_sha256": file.header_sha256}
        for file in leaf.source.files
    }
    return {"label": leaf.label, "kind": leaf.source.kind, "path": str(leaf.source.path), "files": files}


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
