"""An audit as JSON and as a picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from weightarith.audit.alike import overall
from weightarith.audit.finding import plain
from weightarith.audit.look import Look
from weightarith.audit.pairs import layer, role

if TYPE_CHECKING:
    from weightarith.audit.auditing import Audit

SHOWN = 16
"""Singular values of a tensor that are written down."""


def audit_json(audit: Audit) -> dict[str, Any]:
    """Return an audit as JSON has it."""
    laid, reading = audit.laid, audit.reading
    return {
        "before": str(laid.base.source.path),
        "after": str(laid.other.source.path),
        "rate": reading.rate,
        "tensors_compared": len(reading.looks),
        "tensors_changed": len(reading.changed),
        "relative": plain(overall(list(reading.looks.values()))),
        "by_role": {name: _group(list(group)) for name, group in reading.groups.items()},
        "findings": [one.to_json() for one in audit.findings],
        "notes": list(audit.notes),
        "known": [one.to_json() for one in audit.matches],
        "missing": sorted(laid.missing),
        "added": sorted(laid.added),
        "tensors": {name: _tensor(one) for name, one in reading.looks.items()},
    }


def _group(group: list[Look]) -> dict[str, Any]:
    changed = [one for one in group if one.changed]
    return {"tensors": len(group), "changed": len(changed), "relative": plain(overall(group))}


def _tensor(one: Look) -> dict[str, Any]:
    found: dict[str, Any] = {
        "shape": list(one.pair.shape), "dtypes": list(one.pair.dtypes), "changed": one.changed,
        "norm_before": plain(one.norms[0]), "norm_change": plain(one.norms[1]),
        "norm_after": plain(one.norms[2]), "relative": plain(one.relative), "largest": plain(one.largest),
    }  # fmt: skip
    if one.spectrum is not None:
        spectrum = one.spectrum
        found["spectrum"] = {
            "values": [plain(value) for value in spectrum.values[:SHOWN]], "exact": spectrum.exact,
            "rank": spectrum.rank, "rank_is_least": spectrum.full, "edge": plain(spectrum.edge),
            "effective_rank": plain(spectrum.effective), "stable_rank": plain(spectrum.stable),
        }  # fmt: skip
    if one.grain is not None:
        found["bits"] = [one.grain.before, one.grain.after]
    return found


def picture(audit: Audit) -> Any:
    """Return a heat map of the relative change, a row a layer and a column a role; None without layers."""
    from weightarith.plots.heat import heat_map

    cells: dict[tuple[str, str], list[Look]] = {}
    for name, one in audit.reading.looks.items():
        cells.setdefault((layer(name) or "outside", role(name)), []).append(one)
    layers = sorted(
        {key[0] for key in cells}, key=lambda key: (key.isdigit(), int(key) if key.isdigit() else 0)
    )
    roles = sorted({key[1] for key in cells})
    values = [[_exponent(cells.get((key, name), [])) for name in roles] for key in layers]
    return heat_map(
        values, layers, roles, title=f"{audit.laid.other.label} against {audit.laid.base.label}",
        legend="log₁₀ of the relative change", form=".1f",
    )  # fmt: skip


def _exponent(looks: list[Look]) -> float:
    size = overall(looks) if looks else 0.0
    return math.log10(size) if 0 < size < math.inf else math.nan
