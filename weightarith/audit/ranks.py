"""Low-rank edits: changes of a few singular values where peers did not change, or changed in full rank."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from weightarith.audit.finding import Finding, percent
from weightarith.audit.look import Look
from weightarith.audit.pairs import layer
from weightarith.audit.reading import Reading
from weightarith.audit.robust import FEWEST, chance, scores
from weightarith.audit.spectra import LOW, Spectrum

_STANDS_OUT = 3.0
"""How much wider than among the peers the gap behind the edit must be, as a factor."""


def low_rank(reading: Reading, skip: frozenset[str]) -> Iterator[Finding]:
    """Yield a finding for each matrix whose change is of low rank, or has a part that is, unlike its peers.

    Args:
        reading: all tensors.
        skip: names of tensors that are explained.
    """
    matrices = [one for one in reading.changed if one.spectrum is not None]
    tests = max(len(matrices) * LOW, 1)
    for one in matrices:
        if one.name in skip or one.spectrum is None:
            continue
        if reading.alone(one):
            if one.spectrum.low and layer(one.name) not in reading.tuned:
                yield _alone(one, one.spectrum, reading)
        elif (found := _amid(one.spectrum, _peers(one, reading), tests)) is not None:
            place, score, gap, likely = found
            if likely <= reading.share:
                yield _finding_amid(one, one.spectrum, place, (score, gap, likely))


def _peers(one: Look, reading: Reading) -> list[Look]:
    return [other for other in reading.peers(one) if other.changed and other.spectrum is not None]


def _amid(spectrum: Spectrum, peers: Sequence[Look], tests: int) -> tuple[int, float, float, float] | None:
    """Return the rank at which a gap stands out most, its score, the peers' gap, and the chance of it."""
    if len(peers) + 1 < FEWEST:
        return None
    ranks = [other.spectrum.rank for other in peers if other.spectrum]
    best: tuple[int, float, float, float] | None = None
    for place in range(1, min(LOW, spectrum.side - 1) + 1):
        gap = spectrum.gap(place)
        others = [other.spectrum.gap(place) for other in peers if other.spectrum]
        usual = float(np.median(others))
        # Where the peers end at this rank too, as those of one adapter do, the gap is that of all.
        if gap < _STANDS_OUT * usual or np.median(ranks) < 2 * place:
            continue
        score = float(scores(np.log([gap, *others]))[0])
        likely = min(chance(score, len(peers) + 1) * tests, 1.0)
        if best is None or likely < best[3]:
            best = place, score, usual, likely
    return best


def _alone(one: Look, spectrum: Spectrum, reading: Reading) -> Finding:
    rank, peers = spectrum.low, reading.peers(one)
    still = sum(not other.changed for other in peers)
    return Finding(
        "low-rank", one.name,
        f"a change of rank {rank}, {percent(one.relative)} of the tensor's norm, in {percent(one.share)} of "
        f"its elements; {_values(spectrum)}",
        f"{still} of {len(peers)} peers did not change at all, and rank {rank} holds "
        f"{percent(spectrum.held(rank))} of the squared change",
        (one.name,), None, _numbers(one, spectrum, rank),
    )  # fmt: skip


def _finding_amid(one: Look, spectrum: Spectrum, place: int, told: tuple[float, float, float]) -> Finding:
    score, usual, likely = told
    far = f"{score:.1f} deviations of them away" if math.isfinite(score) else "and all peers are alike"
    return Finding(
        "low-rank", one.name,
        f"a part of rank {place} holds {percent(spectrum.held(place))} of the squared change, which is "
        f"{percent(one.relative)} of the tensor's norm; {_values(spectrum)}",
        f"singular value {place} is {spectrum.gap(place):.3g} times the next; among its peers {usual:.3g} "
        f"times (median), {far}",
        (one.name,), likely, _numbers(one, spectrum, place) | {"score": score},
    )  # fmt: skip


def _values(spectrum: Spectrum) -> str:
    shown = ", ".join(f"{value:.3g}" for value in spectrum.values[:4])
    return f"singular values {shown}{' …' if spectrum.side > 4 else ''}"


def _numbers(one: Look, spectrum: Spectrum, rank: int) -> dict[str, object]:
    return {
        "rank": rank, "relative": one.relative, "values": list(spectrum.values[:8]),
        "edge": spectrum.edge, "held": spectrum.held(rank),
    }  # fmt: skip
