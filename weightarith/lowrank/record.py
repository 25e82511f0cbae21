"""What was kept of a vector and what was not, tensor by tensor: for the receipt, and for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from weightarith.engine.frame import leaves_read
from weightarith.errors import quoted
from weightarith.lowrank.asking import asked_of
from weightarith.lowrank.decompose import NO_LOW_RANK, Decomposed, Found
from weightarith.lowrank.goal import Job, dtype_code
from weightarith.lowrank.layout import Laid, files_of
from weightarith.provenance import NUMERICS
from weightarith.receipt import FORMAT, Receipt, about_asking, about_inputs, rounded_sum

ENOUGH = 0.9
"""Below this share of the squared norm a compressed vector is worth a warning."""


def record(job: Job, done: Decomposed, laid: Laid) -> Receipt:
    """Return the receipt of an adapter, or the same of a vector.

    `energy` is the share of the squared norm of the whole change that is kept, `adapter_energy` that which
    the adapter keeps without the residual. Norms are those before the factors are rounded to their dtype.
    """
    asked = asked_of(job)
    models = [job.model.leaf] if job.model is not None else []
    found: Receipt = {
        "weightarith": version("weightarith"),
        "receipt": FORMAT,
        "kind": "vector" if laid.portable is None else "adapter",
        "format": job.goal.format,
        "expression": str(job.made.label),
        **about_asking(asked),
        "inputs": about_inputs([*leaves_read(job.made.operands[0]), *models], asked),
        **asked.more,
        "numerics": NUMERICS,
        "files": files_of(job, laid),
        "norm": rounded_sum(done.norm),
        "energy": rounded_sum(done.energy),
    }
    if laid.portable is not None:
        found |= _adapter(job, done, laid)
    found["tensors"] = {name: _tensor(one) for name, one in done.found.items() if one.rank is not None}
    found["no_low_rank_form"] = [name for name, one in done.found.items() if one.why == NO_LOW_RANK]
    found["warnings"] = [*job.warnings, *_warnings(job, done, found)]
    return found


def _tensor(one: Found) -> dict[str, Any]:
    return {
        "rank": one.rank if one.norm else 0,
        "norm": rounded_sum(one.norm),
        "error": rounded_sum(one.error),
        "energy": rounded_sum(one.energy),
        "excess": rounded_sum(one.excess),
        "exact": one.exact,
    }


def _adapter(job: Job, done: Decomposed, laid: Laid) -> dict[str, Any]:
    if laid.portable is None or job.model is None:
        return {}
    base, left_out = job.model.base, laid.portable.left_out
    carried = [name for name in done.found if done.found[name].norm and name not in left_out]
    kept = math.fsum(done.found[name].norm ** 2 - done.found[name].error ** 2 for name in carried)
    return {
        "adapter_energy": rounded_sum(max(kept, 0.0) / done.norm**2),
        "base": {"name": base.name, "revision": base.revision},
        "rank": laid.portable.rank,
        "dtype": dtype_code(job.goal),
        "residual": _residual(job, done, laid, left_out),
    }


def _residual(job: Job, done: Decomposed, laid: Laid, left_out: Mapping[str, str]) -> dict[str, Any] | None:
    """Return what a LoRA cannot carry: where it is, why, and how much of the squared norm each tensor is."""
    if laid.vector is None:
        return None
    tensors = {
        name: {
            "why": done.found[name].why,
            "norm": rounded_sum(done.found[name].norm),
            "share": rounded_sum(done.share({name: None})),
        }
        for name in left_out
    }
    size = sum(file.size for file in laid.vector.files)
    share = rounded_sum(done.share(left_out))
    return {"file": job.residual.name, "bytes": size, "share": share, "tensors": tensors}


def _warnings(job: Job, done: Decomposed, found: Mapping[str, Any]) -> list[str]:
    said = []
    if found["kind"] == "adapter" and found["residual"] is None and job.residual.exists():
        said.append(f"{quoted(str(job.residual))} is of an earlier run, and no part of this adapter")
    alone = found.get("adapter_energy", done.energy)
    if done.energy < ENOUGH:
        said.append(f"only {done.energy:.3g} of the squared norm of the change is kept: more rank keeps more")
    elif alone < ENOUGH:
        said.append(
            f"the adapter alone holds {alone:.3g} of the squared norm of the change; the rest is in "
            f"{found['residual']['file']}"
        )
    return said
