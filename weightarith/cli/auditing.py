"""audit: what was done to a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from weightarith.algebra import Checkpoint, Leaf
    from weightarith.audit import Audit

FOUND = 11
"""The exit code of --fail where there are findings: that of an alarm."""


@click.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option(
    "--known", multiple=True, metavar="PATH",
    help="A vector, an adapter, a folder of them, or a collection of the Hub "
         "(hf://collections/owner/title-id), that the change may be like; may be given again.",
)  # fmt: skip
@click.option(
    "--rate", type=float, default=0.01, show_default=True, metavar="P",
    help="How often, at most, chance alone makes a finding in two models without a planted edit.",
)  # fmt: skip
@click.option(
    "--plot", type=click.Path(path_type=Path), metavar="FILE",
    help="Draw the relative change by layer and role: FILE.png or FILE.svg.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace an earlier picture.")
@click.option("--fail", is_flag=True, help="Leave with exit code 11 where there are findings.")
@click.option(
    "--threads", type=click.IntRange(0, 256), default=0, metavar="N",
    help="Worker threads; by default one a core, at most 16.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print everything, each tensor included, as JSON.")
def audit(
    before: str, after: str, known: tuple[str, ...], rate: float, plot: Path | None, overwrite: bool,
    fail: bool, threads: int, as_json: bool,
) -> None:  # fmt: skip
    """Say what was done to model A to make B.

    Which tensors changed and how much, and what does not fit the rest: scaled rows, low-rank edits, swapped
    layers, rounded tensors, tokens that moved, files that differ. B may be an adapter or a vector too: it is
    looked at alone, against its base A.

    The exit code is 0 with findings and without; with --fail it is 11 where there are any.
    """
    from weightarith.audit import audit as look_at
    from weightarith.cli.audited import print_audit
    from weightarith.cli.opening import labels_for, opened, opened_model
    from weightarith.cli.terminal import print_json, progress

    _check(plot, overwrite=overwrite)
    labels = labels_for([before, after])
    base, other = opened_model(before, labels[0]), opened(after, labels[1])
    vectors = _known(known, base)
    files = {file.path: file.stamp.size for leaf in (base, other) for file in leaf.source.files}
    with progress(sum(files.values())) as moved:
        found = look_at(base, other, known=vectors, rate=rate, threads=threads, progress=moved)
    if as_json:
        print_json(found.to_json())
    else:
        print_audit(found)
    _draw(found, plot)
    if fail and found.findings:
        raise SystemExit(FOUND)


def _check(plot: Path | None, *, overwrite: bool) -> None:
    from weightarith.plots.save import check_picture

    if plot is not None:
        check_picture(plot, overwrite=overwrite)


def _draw(found: Audit, plot: Path | None) -> None:
    from weightarith.audit import picture
    from weightarith.cli.terminal import tell
    from weightarith.plots.save import write_picture

    if plot is not None:
        write_picture(picture(found), plot)
        tell(f"{plot}: the relative change by layer and role")


def _known(paths: tuple[str, ...], base: Checkpoint) -> list[Leaf]:
    from weightarith.audit import find_known
    from weightarith.cli.terminal import escaped, warn
    from weightarith.hub import locate
    from weightarith.hub.collection import slug_of

    found: list[Leaf] = []
    for path in paths:
        if slug := slug_of(path):
            vectors, skipped = _collected(slug, base)
        else:
            vectors, skipped = find_known(locate(path), base, label=path)
        found += vectors
        warn(*(f"left out of {escaped(path)}: {why}" for why in skipped))
    return found


def _collected(slug: str, base: Checkpoint) -> tuple[list[Leaf], list[str]]:
    """Return the vectors and adapters of a collection; whole models in it are not downloaded."""
    from weightarith.audit import find_known
    from weightarith.errors import HubError, InvalidFileError, UnsupportedError, quoted
    from weightarith.hub import locate
    from weightarith.hub.collection import collection, holds_model

    listed = collection(slug)
    found: list[Leaf] = []
    skipped = list(listed.others)
    for address in listed.models:
        if holds_model(address):
            skipped.append(f"{address.repo}: a model")
            continue
        try:
            vectors, others = find_known(locate(str(address)), base, label=address.repo)
        except (InvalidFileError, UnsupportedError) as error:
            skipped.append(f"{address.repo}: {error.message}")
            continue
        found += vectors
        skipped += [f"{address.repo}: {why}" for why in others]
    if not found:
        raise HubError(f"the collection {quoted(slug)} holds no vector and no adapter: {'; '.join(skipped)}")
    return found, skipped
