"""The page: everything that is known put in its place, and what is missing said there.

Equal inputs give equal bytes: no date, no path of the machine, no order of a dictionary that changes. Text of
others is escaped by the template, always; only drawings of our own are markup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightarith.errors import TargetError, UnsupportedError, quoted
from weightarith.interference.folder import DOCUMENT as TOGETHER
from weightarith.plots import Line, Panel, Series, bars, line_panels
from weightarith.report import commands, matched, sides, sweeps, together, training, watched, words
from weightarith.report.figures import Figure, inline
from weightarith.report.samples import Samples, kept_samples
from weightarith.report.subject import Subject, hashed, hashed_files
from weightarith.report.sweeps import Sweep
from weightarith.report.together import Together
from weightarith.report.watched import Watch
from weightarith.report.weights import Weights, measured
from weightarith.store.stage import check_target
from weightarith.sweep import pictures
from weightarith.sweep.folder import DOCUMENT
from weightarith.sweep.journal import write_whole

if TYPE_CHECKING:
    from jinja2 import Environment

MARK = b'<!DOCTYPE html>\n<html lang="en" data-weightarith="report">'
"""How a report begins; nothing else is ever replaced by one."""
RANKS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def report(
    subject: Subject,
    out: Path,
    found: Sequence[Sweep] = (),
    samples: Sequence[Samples] = (),
    *,
    beside: Sequence[Together] = (),
    watches: Sequence[Watch] = (),
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda _moved: None,
) -> int:
    """Write the page on a subject, and all that is given beside it, to a file; return its bytes.

    Raises:
        TargetError: something stands there; without `overwrite`, or it is no report.
        WeightArithError: an input is damaged.
    """
    check_out(out, overwrite=overwrite)
    page = render(subject, found, samples, beside=beside, watches=watches, progress=progress).encode()
    write_whole(out, page)
    return len(page)


def check_out(out: Path, *, overwrite: bool) -> None:
    """Refuse a place that a report must not be written to.

    Raises:
        TargetError: something stands there; without `overwrite`, or it is no report.
        StorageError: its folder does not exist or cannot be written.
    """
    if out.is_symlink() or not out.is_file():
        check_target(out, (), overwrite=False)
        return
    with out.open("rb") as file:
        ours = file.read(len(MARK)) == MARK
    if not (ours and overwrite):
        raise TargetError(
            f"{quoted(str(out))} exists" + ("" if ours else ", and is no report of weightarith"),
            hint="choose another -o, or add --overwrite" if ours else "choose another -o",
        )


def render(
    subject: Subject,
    found: Sequence[Sweep] = (),
    samples: Sequence[Samples] = (),
    *,
    beside: Sequence[Together] = (),
    watches: Sequence[Watch] = (),
    progress: Callable[[int], None] = lambda _moved: None,
) -> str:
    """Return the page on a subject.

    Args:
        subject: a run, or a vector.
        found: its sweeps; the first gives the page its strengths.
        samples: new answers.
        beside: looks at how it goes together with other vectors.
        watches: records of a monitor.
        progress: called with the bytes read so far.

    Raises:
        UnsupportedError: jinja2 or matplotlib is not installed.
        WeightArithError: an input is damaged.
    """
    page, weights = _environment().get_template("page.html"), measured(subject.vector, progress)
    return page.render(
        subject=subject,
        headline=headline(subject, weights),
        facts=_facts(subject, weights, found),
        **_others(subject, found, beside, watches),
        samples=[*samples, *(kept for one in found for kept in kept_samples(one))],
        weights=weights,
        weight_figures=_weight_figures(weights),
        ranks=[(rank, weights.kept[rank - 1]) for rank in RANKS if rank <= len(weights.kept)],
        **_run(subject),
        again=[*commands.again(subject), *(commands.swept_again(subject, one) for one in found)],
        uses=commands.uses(subject, _strength(found)),
        versions=_versions(subject, found),
        tool=version("weightarith"),
        words=words,
    )


def _run(subject: Subject) -> dict[str, Any]:
    """Return what the page shows of a training, for its template."""
    return {
        "trained": training.trained(subject.training) if subject.training else (),
        "training_figure": _training_figure(subject.training),
        "diagnostics": training.diagnostics(subject.about, subject.training) if subject.run else (),
        "settings": _settings(subject.about),
        "sides": sides.beside(subject.run, subject.vector) if subject.run else None,
    }


def _others(
    subject: Subject, found: Sequence[Sweep], beside: Sequence[Together], watches: Sequence[Watch]
) -> dict[str, Any]:
    """Return what the page shows of what stands beside the vector, for its template."""
    names = [one.name for group in (found, beside, watches) for one in group]
    return {
        "sweeps": [_sweep(one, place) for place, one in enumerate(found)],
        "foreign": [sweeps.foreign(one, subject) for one in found],
        "together": [together.section(one, place, subject) for place, one in enumerate(beside)],
        "watched": [watched.section(one, place) for place, one in enumerate(watches)],
        "report_again": _report_again(subject, names),
        "files": [
            *hashed_files(subject),
            *(hashed(one.folder / DOCUMENT, f"{one.name}/{DOCUMENT}") for one in found),
            *(hashed(one.folder / TOGETHER, f"{one.name}/{TOGETHER}") for one in beside),
            *(hashed(one.path) for one in watches),
        ],
    }


def _environment() -> Environment:
    try:
        import matplotlib as mpl  # noqa: F401  (what draws: better now than half-way)
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise UnsupportedError(
            f"a report needs {error.name}", hint="pip install 'weightarith[steer]'"
        ) from error
    return Environment(
        loader=PackageLoader("weightarith.report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip


def headline(subject: Subject, weights: Weights) -> str:
    """Return what the vector is, in a sentence."""
    on = f" for {subject.base}" if subject.base else ", of a model that its header does not name"
    if subject.run is None:
        what = f", {subject.expression}" if subject.expression else ""
        tensors = words.counted(weights.tensors, "tensor")
        return f"A vector{on}{what}: {tensors} of norm {words.number(weights.norm, 4)}."
    rows = [subject.about["data"][side]["rows"] for side in ("positive", "negative")]
    shown = [words.counted(count, "answer") for count in rows]
    settings = subject.run.settings
    how = {"lora": f"LoRA of rank {settings.rank}", "bias": "biases alone", "full": "all weights"}[
        settings.kind
    ]
    return (
        f"A steering vector{on}: a fine-tune on {shown[0]} of the behaviour, minus one on {shown[1]} of the "
        f"opposite ({how}, learning rate {subject.run.learning_rate:g}). Added, it induces the "
        "behaviour; subtracted, it suppresses it."
    )


def _facts(subject: Subject, weights: Weights, found: Sequence[Sweep]) -> list[tuple[str, str]]:
    facts = [("model", subject.base or "not named")]
    if found:
        safe, taken = found[0].document["safe"], sweeps.recommended(found[0])
        for side, name in (("negative", "to suppress"), ("positive", "to induce")):
            facts.append((name, f"k = {words.strength(taken[side])}" if side in taken else "no strength"))
        facts.append(("safe range", f"{words.strength(safe['low'])} to {words.strength(safe['high'])}"))
    facts.append(("norm", words.number(weights.norm, 4)))
    facts.append(("tensors", f"{weights.tensors:,}"))
    if weights.ranks:
        low, high = weights.ranks[0], weights.ranks[-1]
        facts.append(("rank", f"{low}" if low == high else f"{low} to {high}"))
    return facts


def _sweep(sweep: Sweep, place: int) -> Mapping[str, Any]:
    document = sweep.document
    figures = []
    for name, picture in pictures(document).items():
        along = name == "strength"
        said = (
            f"What {document['chosen']} does and costs along its strength; the safe range is shaded."
            if along
            else f"{document['behaviour']} against a capability: each method is a line from the unsteered "
            "model, a darker mark is a larger strength, thin bars are 95 % intervals."
        )
        figures.append(Figure(inline(picture, f"s{place}-{name}", said), said))
    return {
        "sweep": sweep,
        "figures": figures,
        "equal": matched.figures(sweep, place),
        "points": sweeps.points_tables(sweep),
        "matched": sweeps.matched_tables(sweep),
        "verdict": sweeps.verdict(sweep),
        "left_out": sweeps.left_out(sweep),
    }


def _weight_figures(weights: Weights) -> list[Figure]:
    found = []
    if weights.layers and weights.norm:
        names, norms = zip(*weights.layers, strict=True)
        said = "The norm of the vector in each layer; “outside” is what belongs to none."
        shown = [f"layer {name}" if name.isdigit() else name for name in names]
        drawn = bars(shown, [Series("norm", tuple(norms))], label="Frobenius norm")
        found.append(Figure(inline(drawn, "layers", said), said))
    if len(weights.kept) > 1:
        line = Line("", tuple(map(float, range(1, len(weights.kept) + 1))), weights.kept, number=1)
        panel = Panel("", "rank kept in every matrix", "share of the squared norm", (line,), y_percent=True)
        said = "What is left of the vector if each of its matrices keeps its first singular directions alone."
        found.append(Figure(inline(line_panels([panel]), "spectrum", said), said))
    return found


def _training_figure(told: Mapping[str, Any]) -> Figure | None:
    panels = training.panels(told) if told else []
    if not panels:
        return None
    each = training.stretch(told)
    mean = f" A point of the training loss is the mean of {each} steps." if each > 1 else ""
    said = f"Loss on the answers of each side: training at the chosen rate, validation at every rate.{mean}"
    return Figure(inline(line_panels(panels), "training", said), said)


def _settings(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    shown = {
        name: ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
        for name, value in about.get("settings", {}).items()
    }
    return [(name.replace("_", " "), value) for name, value in shown.items()]


def _strength(found: Sequence[Sweep]) -> float:
    """Return the strength of the examples of use: what is recommended to suppress, or to induce."""
    taken = sweeps.recommended(found[0]) if found else {}
    return next((taken[side] for side in ("negative", "positive") if side in taken), 1.0)


def _report_again(subject: Subject, others: Sequence[str]) -> str:
    import shlex

    return shlex.join(["weightarith", "report", commands.vector_of(subject), *others, "-o", "report.html"])


def _versions(subject: Subject, found: Sequence[Sweep]) -> list[tuple[str, str]]:
    told = [("trained with", subject.about["versions"])] if subject.run else []
    told += [(f"measured with ({one.name})", one.document["measured"].get("versions", {})) for one in found]
    if subject.run is None and "tool" in subject.header:
        told.append(("made with", {"": subject.header["tool"]}))
    return [
        (what, ", ".join(f"{name} {one}".strip() for name, one in versions.items()))
        for what, versions in told
    ]
