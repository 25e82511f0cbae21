"""Two models of which little is known, audited: everything looked at once, then told in order of weight.

A tensor is explained by the first kind of finding that fits, so one cause is told once; what most peers have
alike is a note on the whole change and no finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import log
from typing import Any

from weightarith.algebra import Checkpoint, Leaf, Vector
from weightarith.audit.alike import alike, character
from weightarith.audit.finding import Finding
from weightarith.audit.folders import files
from weightarith.audit.known import Match, known_findings, match
from weightarith.audit.look import Look, look
from weightarith.audit.pairs import Laid, Pair, lay
from weightarith.audit.ranks import low_rank
from weightarith.audit.reading import Reading
from weightarith.audit.rounding import rounded
from weightarith.audit.scales import line_count, scaled
from weightarith.audit.sizes import alone, outsized, still
from weightarith.audit.structure import nonfinite, structure
from weightarith.audit.swapped import swapped
from weightarith.audit.vocabulary import moved_tokens, namer
from weightarith.engine.cpu import keep_freed_memory, one_thread_each
from weightarith.engine.crew import share_out
from weightarith.engine.devices import cores
from weightarith.engine.files import Inputs
from weightarith.errors import RecipeError
from weightarith.tensorfile.model import Stored

RATE = 0.01
"""How often, at most, two models without any planted edit have a finding by chance."""

Progress = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class Audit:
    """What an audit found.

    Attributes:
        laid: the two models.
        reading: every tensor as it was found.
        findings: what stands out, what matters most first.
        notes: what is true of the change as a whole.
        matches: how it lies to known vectors, the likest first.
    """

    laid: Laid
    reading: Reading
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    matches: tuple[Match, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the audit as JSON has it, every tensor included."""
        from weightarith.audit.written import audit_json

        return audit_json(self)


def audit(
    base: Checkpoint,
    other: Leaf,
    *,
    known: Sequence[Leaf] = (),
    rate: float = RATE,
    threads: int = 0,
    progress: Progress = lambda _read: None,
) -> Audit:
    """Return what was done to a model, as far as its weights and files tell.

    Args:
        base: the model as it was.
        other: the model as it is now; or a vector or an adapter, to be looked at alone against its base.
        known: vectors and adapters that the change may be like.
        rate: how often, at most, anything is found by chance in two models without any planted edit.
        threads: how many; 0 takes one a core.
        progress: called now and then with the bytes read so far.

    Raises:
        RecipeError: the rate is no chance.
        IncompatibleError: the two have nothing in common, or a vector is not of this base.
        InvalidFileError: a file is damaged or changed while it was read.
        StorageError: the disk failed.
    """
    if not 0 < rate < 1:
        raise RecipeError(f"a rate of false findings of {rate:g} is no chance", hint="such as 0.01")
    if isinstance(other, Vector) and other.base is None:
        other = replace(other, base=base)
    laid = lay(base, other)
    reading = read(laid, rate, threads, progress)
    matches: tuple[Match, ...] = ()
    if known:
        shapes = {name: pair.shape for name, pair in laid.pairs.items()}
        change = laid.other - laid.base if laid.models else laid.other
        matches = tuple(match(change, known, shapes, threads=threads))
    findings, notes = findings_of(reading)
    findings = [*findings, *known_findings(matches, reading)]
    return Audit(laid, reading, tuple(sorted(findings, key=lambda one: one.weight)), tuple(notes), matches)


def read(laid: Laid, rate: float, threads: int, progress: Progress) -> Reading:
    """Return every tensor of two models as it is found; each is looked at by one thread."""
    pairs = [*laid.pairs.values(), *laid.missing.values(), *(laid.added.values() if laid.models else ())]
    pairs = [pair for pair in pairs if _has_weights(pair)]
    surprise = log(rate / 4 / line_count([pair.shape for pair in pairs]))
    looks: dict[str, Look] = {}
    done = [0]
    keep_freed_memory()
    with Inputs(laid.files) as inputs, one_thread_each():

        def work(pair: Pair) -> None:
            looks[pair.name] = look(pair, inputs, surprise)
            done[0] += pair.nbytes

        workers = [work] * (threads or cores())
        share_out(iter(sorted(pairs, key=lambda pair: -pair.nbytes)), workers, lambda: progress(done[0]))
        differing = tuple(name for name, both in laid.buffers.items() if not _equal(*both, inputs))
        inputs.check_unchanged()
    both = {name: looks[name] for name in laid.pairs if name in looks}
    lone = {name: looks[name] for name in (*laid.missing, *laid.added) if name in looks}
    return Reading(laid, both, lone, differing, rate)


def findings_of(reading: Reading) -> tuple[list[Finding], list[str]]:
    """Return what stands out of a reading, in no order, and what is true of the change as a whole."""
    token = namer(reading.laid)
    found = list(nonfinite(reading))
    notes: list[str] = []
    explained: set[str] = set()

    def explaining(made: Iterable[Finding]) -> None:
        own, told = alike(list(made), reading)
        explained.update(name for one in (*own, *told) for name in _explained(one))
        found.extend(own)
        notes.extend(one.what for one in told)

    explaining(swapped(reading, frozenset(explained)))
    explaining(rounded(reading, frozenset(explained)))
    explaining(scaled(reading, frozenset(explained), token))
    tokens, told_tokens = moved_tokens(reading, frozenset(explained), token)
    explaining(tokens)
    explaining(low_rank(reading, frozenset(explained)))
    lonely, told_layers = alone(reading, frozenset(explained))
    beside, told_files = files(reading.laid)
    found += [*outsized(reading, frozenset(explained)), *lonely]
    found += still(reading, frozenset(explained))
    found += [*structure(reading, frozenset(explained)), *beside]
    notes = [*character(reading, frozenset(explained)), *notes]
    return found, [*notes, *told_layers, *told_tokens, *told_files]


def _explained(one: Finding) -> tuple[str, ...]:
    """Return the tensors that a finding explains nearly all of."""
    return one.tensors if float(one.numbers.get("energy", 1.0)) > 0.9 else ()


def _has_weights(pair: Pair) -> bool:
    stored = pair.before or (pair.after.dense or pair.after.replaced if pair.after else None)
    return stored is None or stored.info.dtype.arithmetic


def _equal(one: Stored, other: Stored, inputs: Inputs) -> bool:
    """Return whether two tensors of one dtype and shape have the same bytes."""
    size = 1 << 20
    own, its = bytearray(size), bytearray(size)
    for start in range(0, one.info.nbytes, size):
        count = min(size, one.info.nbytes - start)
        inputs.read(one, start, memoryview(own)[:count])
        inputs.read(other, start, memoryview(its)[:count])
        if own[:count] != its[:count]:
            return False
    return True
