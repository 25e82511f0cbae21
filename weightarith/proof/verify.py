"""An output on the disk held against its receipt: every file, every tensor, and nothing else beside them.

Everything is looked at before anything is said, so one call names all that differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path

from weightarith.engine.checksums import checksums
from weightarith.errors import InvalidFileError, UnsupportedError, quoted, some
from weightarith.proof.account import Account, account_of, called, is_receipt, read_receipt, receipts_of
from weightarith.proof.difference import Difference, Verdict, absent, by_text, lacking
from weightarith.tensorfile.digest import sha256_of
from weightarith.tensorfile.header import read_header
from weightarith.tensorfile.model import TensorFile

UNREAD = (
    "*.md", "LICENSE*", "NOTICE*", ".gitattributes", ".gitignore", "*.png", "*.svg", "*.html", "*.lock",
    "*.yaml", "*.yml",
)  # fmt: skip
"""Files that no loader reads: they may lie beside an output, and a receipt says nothing of them."""

Progress = Callable[[int], None]


def verify(
    path: Path, *, sha256: bool = False, threads: int = 1, progress: Progress = lambda _read: None
) -> Verdict:
    """Return what an output and its receipt have against each other.

    Args:
        path: a folder, or a single file.
        sha256: hash whole files too, where the receipt has their SHA-256.
        threads: at work at once.
        progress: called now and then with the bytes read so far.

    Raises:
        InvalidFileError: there is no receipt, or it is none.
        UnsupportedError: it holds no checksums, or with `sha256` no such hash of the weights.
        StorageError: a file cannot be read.
    """
    accounts = accounts_of(path)
    if sha256:
        _expect_hashes(accounts, str(path))
    folder = path if path.is_dir() else path.parent
    before = 0
    verdicts = []
    for account in accounts:
        moved = _after(progress, before)
        verdicts.append(against(account, folder, str(path), hashed=sha256, threads=threads, progress=moved))
        before += verdicts[-1].read
    names = names_beside(path) if path.is_dir() else []
    return together(verdicts, extra(accounts, names), unread(accounts, names))


def accounts_of(path: Path) -> list[Account]:
    """Return what the receipts of an output say, its own first.

    Raises:
        InvalidFileError: there is no receipt, or it is none.
        UnsupportedError: it holds neither sizes nor checksums.
    """
    accounts = [account_of(read_receipt(each), quoted(str(each))) for each in receipts_of(path)]
    return accounts if path.is_dir() else [called(account, path.name) for account in accounts]


def together(
    verdicts: Sequence[Verdict], differences: Iterable[Difference] = (), notes: Iterable[str] = ()
) -> Verdict:
    """Return several verdicts on one output as one, with what else is to be said of it."""
    found = [each for verdict in verdicts for each in verdict.differences]
    said = dict.fromkeys([note for verdict in verdicts for note in verdict.notes])
    files, tensors, read = (
        sum(getattr(verdict, key) for verdict in verdicts) for key in ("files", "tensors", "read")
    )
    return Verdict(verdicts[0].what, files, tensors, read, (*found, *differences), (*said, *notes))


def bytes_to_read(path: Path) -> int:
    """Return the bytes that `verify` reads, near enough to show how far it is."""
    return sum(size for account in accounts_of(path) for size in account.sizes.values())


def _after(progress: Progress, before: int) -> Progress:
    return lambda read: progress(before + read)


def against(
    account: Account, folder: Path, what: str, *,
    hashed: bool = False, threads: int = 1, progress: Progress = lambda _read: None,
) -> Verdict:  # fmt: skip
    """Return what the files in a folder and an account have against each other, further files left aside."""
    differences = [each for name, size in account.sizes.items() for each in _sizes(folder / name, size)]
    broken = {each.file for each in differences}
    headers, flaws = _headers(account, folder, broken)
    differences += flaws
    found = checksums(headers, threads=threads, progress=progress)
    differences += _tensors(account, headers, found)
    read = sum(file.stamp.size for file in headers)
    whole = [
        name for name in account.sha256
        if name not in broken and (hashed or name not in account.tensor_files)
    ]  # fmt: skip
    with ThreadPoolExecutor(threads) as pool:
        hashes = dict(zip(whole, pool.map(lambda name: sha256_of(folder / name), whole), strict=True))
    for name in whole:
        differences += by_text(name, "SHA-256", account.sha256[name], hashes[name])
    places = {name: place for place, name in enumerate(account.sizes)}
    differences.sort(key=lambda each: places.get(each.file, len(places)))
    return Verdict(what, len(account.sizes), sum(map(len, found)), read, tuple(differences), _notes(account))


def extra(accounts: Sequence[Account], names: Iterable[str]) -> list[Difference]:
    """Return a difference for every file that no receipt knows and some loader might read."""
    known = {name for account in accounts for name in (*account.sizes, *account.named)}
    complete = all(account.complete for account in accounts)
    return [
        Difference(name, "", "a file that the receipt does not know", "none", "one")
        for name in names
        if name.removesuffix("/") not in known and not is_receipt(name) and not _is_unread(name)
        and (complete or name.endswith(".safetensors"))
    ]  # fmt: skip


def unread(accounts: Sequence[Account], names: Iterable[str]) -> list[str]:
    """Return a note on files that no receipt knows and no loader reads, if there are some."""
    known = {name for account in accounts for name in account.sizes}
    others = [name for name in names if _is_unread(name) and name not in known]
    return [f"not in the receipt, and read by no loader: {some(others)}"] if others else []


def names_beside(folder: Path) -> list[str]:
    """Return the names in a folder, those of its folders with a slash behind."""
    found = (f"{entry.name}/" if entry.is_dir() else entry.name for entry in folder.iterdir())
    return sorted(name for name in found if name != ".cache/")  # where `hf download` keeps its notes


def _is_unread(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in UNREAD)


def _notes(account: Account) -> tuple[str, ...]:
    if account.named:
        return (f"named in the receipt, and not compared: {some(list(account.named))}",)
    if account.complete:
        return ()
    return ("this receipt, of an earlier version, says nothing of the small files beside the weights",)


def without_hash(accounts: Iterable[Account]) -> list[str]:
    """Return the files of weights whose SHA-256 no receipt has."""
    return [
        name for account in accounts for name in account.sizes
        if name.endswith((".safetensors", ".gguf")) and name not in account.sha256
    ]  # fmt: skip


def _expect_hashes(accounts: Iterable[Account], what: str) -> None:
    missing = without_hash(accounts)
    if missing:
        raise UnsupportedError(
            f"the receipt of {quoted(what)} holds no SHA-256 of {some(missing, 3)}",
            hint="it gets them when it is published; without --sha256 every tensor's checksum is compared",
        )


def _sizes(path: Path, expected: int) -> Iterator[Difference]:
    try:
        size = path.stat().st_size if path.is_file() else -1
    except OSError:
        size = -1
    if size < 0:
        yield absent(path.name)
    else:
        yield from by_text(path.name, "bytes", expected, size)


def _headers(account: Account, folder: Path, broken: set[str]) -> tuple[list[TensorFile], list[Difference]]:
    """Return the headers of the files whose tensors are known, and what is wrong with them."""
    found, flaws = [], []
    for name in account.tensor_files:
        if name in broken:
            continue
        try:
            file = read_header(folder / name)
        except InvalidFileError as error:
            flaws.append(Difference(name, "", "the header", "a valid one", error.message))
            continue
        if name in account.headers:
            flaws += by_text(name, "SHA-256 of the header", account.headers[name], file.header_sha256)
        found.append(file)
    return found, flaws


def _tensors(account: Account, files: list[TensorFile], found: list[dict[str, str]]) -> Iterator[Difference]:
    """Yield what differs tensor by tensor; a tensor that no file holds counts only if all could be read."""
    seen: dict[str, str] = {}
    for file, told in zip(files, found, strict=True):
        for name, info in file.tensors.items():
            yield from _tensor(account, seen, file.path.name, name, info.dtype.code, info.shape, told[name])
            seen[name] = file.path.name
    if len(files) == len(account.tensor_files):
        holder = account.tensor_files[0] if len(files) == 1 else "the weights"
        for name in lacking(account.tensors, seen):
            yield Difference(holder, name, "the tensor", "one", "none")


def _tensor(
    account: Account, seen: Mapping[str, str], file: str, name: str, dtype: str, shape: tuple[int, ...],
    checksum: str,
) -> Iterator[Difference]:  # fmt: skip
    recorded = account.tensors.get(name)
    if recorded is None:
        yield Difference(file, name, "a tensor that the receipt does not know", "none", "one")
        return
    if name in seen:
        yield Difference(file, name, "the tensor", "once", f"also in {quoted(seen[name])}")
    if recorded.shape is not None:
        yield from by_text(file, "dtype", recorded.dtype, dtype, tensor=name)
        yield from by_text(file, "shape", list(recorded.shape), list(shape), tensor=name)
    yield from by_text(file, "checksum", recorded.checksum, checksum, tensor=name)
