"""Repositories of the Hub held against their receipts: what the Hub lists is enough, no weight is downloaded.

The Hub's SHA-256 of a large file is of its content, so equal hashes are equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from weightarith.errors import quoted, some
from weightarith.hub.address import Address, parse
from weightarith.hub.fetch import snapshot
from weightarith.hub.listing import Entry, Listing, listing
from weightarith.proof.account import Account, account_of, called, no_receipt, read_receipt, receipts_in
from weightarith.proof.difference import Difference, Verdict, absent, by_text
from weightarith.proof.verify import extra, together, unread, verify, without_hash
from weightarith.receipt import Receipt
from weightarith.store.stage import RECEIPT, receipt_path
from weightarith.tensorfile.digest import git_oid_of, sha256_of


@dataclass(frozen=True)
class Published:
    """An output on the Hub, as far as it can be known without its weights.

    Attributes:
        listed: all of the repository.
        folder: the small files of the output in the Hub's cache.
        entries: files of the output as the Hub lists them, by name.
        others: names of folders beside them, with a slash behind.
        receipts: what its receipts say, its own first.
        accounts: the same of its files.
    """

    listed: Listing
    folder: Path
    entries: Mapping[str, Entry]
    others: tuple[str, ...]
    receipts: tuple[Receipt, ...]
    accounts: tuple[Account, ...]

    @property
    def what(self) -> str:
        """The output, by its commit."""
        return str(self.listed.pinned)


def on_the_hub(text: str) -> Address | None:
    """Return the address that `text` is, None where a path of that name is there or it is none."""
    return None if Path(text).exists() else parse(text)


def published(address: Address) -> Published:
    """Return an output on the Hub; its receipt and the small files beside it are fetched.

    Raises:
        HubError: the Hub or the network did not deliver.
        InvalidFileError: there is no receipt, or it is none.
    """
    listed = listing(address)
    single = address.path in listed.files
    inside = str(PurePosixPath(address.path).parent) if single else address.path
    inside = "" if inside == "." else inside
    entries, others = _within(listed, inside)
    what = str(listed.pinned)
    if single:
        receipt = receipt_path(Path(address.path)).name
        if receipt not in entries:
            raise no_receipt(what, receipt)
        names = [receipt]
    else:
        names = receipts_in(entries, what)
    folder = snapshot(replace(listed.pinned, path=inside), weights=False) / inside
    receipts = tuple(read_receipt(folder / name) for name in names)
    accounts = [account_of(receipt, f"{what}/{name}") for receipt, name in zip(receipts, names, strict=True)]
    if single:
        accounts = [called(account, PurePosixPath(address.path).name) for account in accounts]
        entries, others = (
            {name: entries[name] for name in (*names, *accounts[0].sizes) if name in entries},
            (),
        )
    return Published(listed, folder, entries, others, receipts, tuple(accounts))


def _within(listed: Listing, folder: str) -> tuple[dict[str, Entry], tuple[str, ...]]:
    """Return the files of a folder of a repository by name, and the folders in it."""
    start = f"{folder}/" if folder else ""
    names = {
        path.removeprefix(start): entry for path, entry in listed.files.items() if path.startswith(start)
    }
    files = {name: entry for name, entry in names.items() if "/" not in name}
    return files, tuple(sorted({f"{name.split('/')[0]}/" for name in names if "/" in name}))


def verify_published(
    address: Address, *, deep: bool = False, sha256: bool = False, threads: int = 1,
    progress: Callable[[int], None] = lambda _read: None,
) -> Verdict:  # fmt: skip
    """Return what an output on the Hub and its receipt have against each other.

    Args:
        address: the repository, or a folder or file in it.
        deep: download the weights and compare every tensor, too.
        sha256: with `deep`, hash whole files as well.
        threads: at work at once.
        progress: called now and then with the bytes read so far.

    Raises:
        HubError: the Hub or the network did not deliver.
        InvalidFileError: there is no receipt, or it is none.
    """
    there = published(address)
    differences = [
        each for account in there.accounts for name in account.sizes for each in _listed(name, account, there)
    ]
    names = [*there.entries, *there.others]
    unknown = without_hash(there.accounts)
    notes = list(unread(there.accounts, names))
    if unknown and not deep:
        notes.insert(0, f"only the size of {some(unknown, 3)} was compared: no receipt has a SHA-256 of it; "
                        "--deep downloads the weights and compares every tensor")  # fmt: skip
    files = sum(len(account.sizes) for account in there.accounts)
    differences += extra(there.accounts, names)
    verdict = Verdict(there.what, files, 0, 0, tuple(differences), tuple(notes))
    if not deep or differences:
        return verdict
    folder = snapshot(there.listed.pinned) / there.listed.address.path
    looked = verify(folder, sha256=sha256, threads=threads, progress=progress)
    return together([replace(looked, what=there.what, notes=())], notes=verdict.notes)


def _listed(name: str, account: Account, there: Published) -> Iterator[Difference]:
    entry = there.entries.get(name)
    if entry is None:
        yield absent(name)
        return
    size = by_text(name, "bytes", account.sizes[name], entry.size)
    yield from size
    local = there.folder / name
    if size or name not in account.sha256:
        return
    if entry.sha256 is not None:
        yield from by_text(name, "SHA-256", account.sha256[name], entry.sha256)
    elif local.is_file():  # small: the Hub lists no such hash of it, and it was fetched
        yield from by_text(name, "SHA-256", account.sha256[name], sha256_of(local))


def unlike(there: Published, made: Path, receipt: Receipt) -> Iterator[Difference]:
    """Yield what differs between an output on the Hub and one made from its receipt.

    The first tensor that differs is told by the checksums of both receipts.

    Args:
        there: the output on the Hub.
        made: the folder, or the single file.
        receipt: of what was made.
    """
    account = there.accounts[0]
    for name in account.sizes:
        entry, file = there.entries.get(name), made / name if made.is_dir() else made
        if entry is None or not file.is_file():
            yield absent(name) if entry is not None else Difference(name, "", "the file", "none", "one")
            continue
        hashes = (
            (entry.git_oid, git_oid_of(file)) if entry.sha256 is None else (entry.sha256, sha256_of(file))
        )
        if hashes[0] != hashes[1]:
            yield from _first(name, account, receipt) or by_text(name, "content", *hashes)


def _first(name: str, account: Account, receipt: Receipt) -> list[Difference]:
    """Return the first tensor of which two receipts have other checksums, none where all are equal."""
    if name not in account.tensor_files:
        return []
    made = account_of(receipt, quoted(RECEIPT)).tensors
    for tensor, recorded in account.tensors.items():
        found = made[tensor].checksum if tensor in made else "none"
        if found != recorded.checksum:
            return by_text(name, "checksum", recorded.checksum, found, tensor=tensor)
    return []


def check_against_listing(listed: Listing, folder: Path, names: Iterable[str]) -> list[Difference]:
    """Return what differs between downloaded files and what the Hub lists of them, every byte hashed."""
    found: list[Difference] = []
    for name in names:
        entry, path = listed.files[name], folder / name
        if entry.sha256 is None:
            found += by_text(name, "git object", entry.git_oid, git_oid_of(path))
        else:
            found += by_text(name, "SHA-256", entry.sha256, sha256_of(path))
    return found
