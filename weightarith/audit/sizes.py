"""Changes that are far larger than those of their peers, changes of one tensor alone, and none among many."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from weightarith.audit.finding import Finding, listed, percent
from weightarith.audit.look import Look
from weightarith.audit.pairs import layer, role
from weightarith.audit.reading import Reading
from weightarith.audit.robust import FEWEST, chance, scores

_LARGER = 4.0
"""How much larger than the median a change must be, as a factor: sizes differ by layer in any fine-tune."""

_MOVED = 0.01  # share of the elements that peers must change for a tensor that did not to stand out


def outsized(reading: Reading, skip: frozenset[str]) -> Iterator[Finding]:
    """Yield a finding for each tensor whose relative change is far above that of its changed peers."""
    tests = max(len(reading.changed), 1)
    for one in reading.changed:
        if one.name in skip or reading.alone(one) or not math.isfinite(one.relative):
            continue
        peers = [other.relative for other in reading.peers(one) if other.changed and other.norms[0]]
        if len(peers) + 1 < FEWEST or one.relative < _LARGER * float(np.median(peers)):
            continue
        score = float(scores(np.log([one.relative, *peers]))[0])
        likely = min(chance(score, len(peers) + 1) * tests, 1.0)
        if likely <= reading.share:
            usual = float(np.median(peers))
            far = f"{score:.1f} deviations of their logarithms away" if math.isfinite(score) else "all alike"
            low = one.spectrum.low if one.spectrum is not None else 0
            yield Finding(
                "low-rank" if low else "size", one.name,
                f"changed by {percent(one.relative)} of its norm, {_shape(one)}",
                f"{len(peers)} peers changed by {percent(usual)} (median): {one.relative / usual:.3g} times "
                f"as much, {far}",
                (one.name,), likely, {"relative": one.relative, "median": usual, "score": score, "rank": low},
            )  # fmt: skip


def alone(reading: Reading, skip: frozenset[str]) -> tuple[list[Finding], list[str]]:
    """Return findings for tensors that changed where their peers did not, and notes on whole layers that did.

    Args:
        reading: all tensors.
        skip: names of tensors that are explained.
    """
    chosen = [one for one in reading.changed if one.name not in skip and reading.alone(one)]
    findings = [_finding(one, reading) for one in chosen if layer(one.name) not in reading.tuned]
    layers = [number for number in reading.tuned if any(layer(one.name) == number for one in chosen)]
    if len(layers) == 1:
        own = [one for one in chosen if layer(one.name) in layers]
        findings.append(_only(layers[0], own))
        return findings, []
    notes = [f"of most roles only layers {listed(layers, 12)} changed"] if layers else []
    return findings, notes


def still(reading: Reading, skip: frozenset[str]) -> Iterator[Finding]:
    """Yield a finding for each matrix that did not change where nearly all of its many peers did.

    Args:
        reading: all tensors.
        skip: names of tensors whose change is explained, and says nothing of that of their peers.
    """
    for group in reading.groups.values():
        moved = [one for one in group if one.changed and one.name not in skip]
        if len(group) < FEWEST or len(moved) == len(group) or len(moved) < 0.9 * len(group):
            continue
        if float(np.median([one.share for one in moved])) < _MOVED:
            continue
        for one in group:
            if not one.changed and min(one.pair.shape) > 1 and one.norms[0]:
                yield Finding(
                    "unchanged", one.name, "did not change at all",
                    f"{len(moved)} of {len(group) - 1} peers did, by "
                    f"{percent(float(np.median([other.relative for other in moved])))} (median)",
                    (one.name,),
                )  # fmt: skip


def _finding(one: Look, reading: Reading) -> Finding:
    peers = reading.peers(one)
    same = sum(not other.changed for other in peers)
    return Finding(
        "alone", one.name,
        f"changed by {percent(one.relative)} of its norm in {percent(one.share)} of its elements, "
        f"{_shape(one)}",
        f"{same} of {len(peers)} peers did not change at all",
        (one.name,), numbers={"relative": one.relative, "changed": one.changed},
    )  # fmt: skip


def _only(number: str, own: list[Look]) -> Finding:
    largest = max(own, key=lambda one: one.relative)
    roles = sorted({role(one.name) for one in own})
    return Finding(
        "alone", f"layer {number}",
        f"{len(own)} tensors changed, most of all {largest.name}, by {percent(largest.relative)} of its "
        f"norm, {_shape(largest)}",
        "their peers in nearly all other layers did not change",
        tuple(one.name for one in own),
        numbers={"layer": int(number), "relative": largest.relative, "roles": roles},
    )  # fmt: skip


def _shape(one: Look) -> str:
    """Return what kind of change it is, in words."""
    if one.spectrum is None:
        return f"the largest element by {one.largest:.3g}"
    spectrum = one.spectrum
    if spectrum.low:
        return f"{percent(spectrum.held(spectrum.low))} of its square of rank {spectrum.low}"
    more = "more than " if spectrum.full else ""
    return f"of rank {more}{spectrum.rank}" if spectrum.rank else "no more than rounding makes"
