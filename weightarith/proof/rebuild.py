"""An output made anew from what its receipt says, and compared with it byte by byte."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from weightarith.errors import quoted
from weightarith.proof.account import Account, account_of, is_plain, read_receipt, receipts_of
from weightarith.proof.again import carry_out_again
from weightarith.proof.compare import differences
from weightarith.proof.difference import Difference, Verdict
from weightarith.proof.ready import Bar, Moved, prepared, silent
from weightarith.proof.remote import Published, unlike
from weightarith.receipt import Receipt
from weightarith.saving import Run
from weightarith.store.stage import RECEIPT, check_target

IN_FOLDERS = ("model.safetensors", "vector.safetensors", "adapter_model.safetensors")
"""What weightarith calls the one file of weights in a folder; any other is an output by itself."""


def reproduce(
    path: Path, out: Path | None = None, *,
    given: Mapping[str, str] | None = None, operators: Iterable[Path] = (),
    run: Run | None = None, bar: Bar = silent,
) -> Verdict:  # fmt: skip
    """Make an output again from its receipt, and return what the two have against each other.

    Args:
        path: the output, a folder or a single file.
        out: where to keep what is made; by default beside the output for as long as it takes.
        given: paths of inputs or their ids on the Hub, by label, in place of those of the receipt.
        operators: Python files with the operators that a recipe calls; they are run.
        run: where and on how many threads.
        bar: shows how far each piece of work is: hashing of inputs, making, comparing.

    Raises:
        VerificationError: an input is another one; nothing was made.
        WeightArithError: see `ready.prepared` and `saving.carry_out`.
    """
    place = receipts_of(path)[0]
    receipt = read_receipt(place)
    account = account_of(receipt, quoted(str(place)))
    if path.is_dir() and place.name != RECEIPT:  # a folder that a single file was put into
        path = path / next(iter(account.sizes), "")
    if out is not None:
        check_target(out, [path], overwrite=False)
    ready = prepared(receipt, quoted(str(place)), place.parent, given=given, operators=operators, bar=bar)
    with room_for(path, out) as target:
        made = carry_out_again(ready.receipt, ready.places, target, ready.operators, run or Run(), bar)
        pairs = [*_pairs(path, target, account), *_residual(receipt, path, made, target)]
        with bar(sum(account.sizes.values())) as moved:
            found = tuple(_compared(pairs, moved))
    return Verdict(str(path), len(pairs), len(account.tensors), 0, found)


def reproduce_published(
    there: Published, out: Path | None = None, *,
    given: Mapping[str, str] | None = None, operators: Iterable[Path] = (),
    run: Run | None = None, bar: Bar = silent,
) -> Verdict:  # fmt: skip
    """Make an output on the Hub again from its receipt, and compare it with the hashes that the Hub lists.

    No weight of it is downloaded; arguments are those of `reproduce`.

    Raises:
        VerificationError: an input is another one; nothing was made.
        WeightArithError: see `ready.prepared` and `saving.carry_out`.
    """
    (account, *_), receipt = there.accounts, there.receipts[0]
    if out is not None:
        check_target(out, [there.folder], overwrite=False)
    ready = prepared(receipt, there.what, there.folder, given=given, operators=operators, bar=bar)
    with room_for(there.folder / _name(account, there), out) as target:
        made = carry_out_again(ready.receipt, ready.places, target, ready.operators, run or Run(), bar)
        found = tuple(unlike(there, target, made))
    return Verdict(there.what, len(account.sizes), len(account.tensors), 0, found)


def _name(account: Account, there: Published) -> str:
    """Return what to call an output: that of a single file its own name."""
    names = list(account.sizes)
    return (
        names[0]
        if len(names) == 1 and names[0] not in IN_FOLDERS
        else there.listed.address.repo.split("/")[1]
    )


@contextmanager
def room_for(path: Path, out: Path | None) -> Iterator[Path]:
    """Yield where to make an output: `out`, or a place of the same name that is removed afterwards."""
    if out is not None:
        yield out
        return
    real = path.absolute()
    with TemporaryDirectory(prefix=f".{real.name}.again-", dir=_scratch(real.parent)) as folder:
        yield Path(folder) / real.name


def _scratch(folder: Path) -> Path | None:
    """Return a folder for what is made, None for that of the system where this one is a cache's."""
    cached = any(part.name.startswith("models--") for part in (folder, *folder.parents))
    return None if cached or not os.access(folder, os.W_OK) else folder


def _pairs(path: Path, target: Path, account: Account) -> Iterator[tuple[Path, Path]]:
    """Yield every file of an output and the one that was made for it."""
    if path.is_dir():
        yield from ((path / name, target / name) for name in account.sizes)
    else:
        yield path, target


def _residual(receipt: Receipt, path: Path, made: Receipt, target: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the file beside an adapter of what it cannot carry, and the one made."""
    told, again = receipt.get("residual"), made.get("residual")
    if isinstance(told, dict) and is_plain(str(told.get("file"))):
        name = again["file"] if again else str(told["file"])
        yield path.with_name(str(told["file"])), target.with_name(name)


def _compared(pairs: Iterable[tuple[Path, Path]], progress: Moved) -> Iterator[Difference]:
    read = 0

    def moved(count: int) -> None:
        nonlocal read
        read += count
        progress(read)

    for expected, found in pairs:
        yield from differences(expected, found, moved)
