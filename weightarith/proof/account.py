"""What a receipt says of the files of an output: sizes, hashes, tensors. Strict, for it may be a stranger's.

A name in it is the name of a file in one folder; nothing else is followed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from weightarith.errors import InvalidFileError, UnsupportedError, quoted
from weightarith.receipt import FORMAT, Receipt
from weightarith.store.stage import RECEIPT, receipt_path
from weightarith.tensorfile.jsonfile import INDEX_LIMIT, read_object

SUFFIX = ".safetensors"
_HEX = re.compile(r"[0-9a-f]+")
_SHA256, _XXH3 = 64, 32  # hexadecimal digits
T = TypeVar("T")


@dataclass(frozen=True)
class Recorded:
    """One tensor as a receipt has it; an adapter's has no dtype and no shape of its own."""

    checksum: str
    dtype: str = ""
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Account:
    """What a receipt says of the files of an output.

    Attributes:
        receipt: all of it.
        sizes: bytes of every file by name, the receipt itself left out.
        sha256: of those whose hash is known.
        headers: SHA-256 of the headers of safetensors files.
        tensors: of all safetensors files together, by name.
        complete: whether small files are accounted for too; receipts of earlier versions leave them out.
        named: what belongs to the output and is only named: folders, and the report of a training.
    """

    receipt: Receipt
    sizes: Mapping[str, int]
    sha256: Mapping[str, str]
    headers: Mapping[str, str]
    tensors: Mapping[str, Recorded]
    complete: bool
    named: tuple[str, ...] = ()

    @property
    def tensor_files(self) -> tuple[str, ...]:
        """The files whose tensors are accounted for one by one."""
        return tuple(name for name in self.sizes if name.endswith(SUFFIX)) if self.tensors else ()


def receipts_of(path: Path) -> list[Path]:
    """Return where the receipts of an output lie, its own first; a folder may hold files that have theirs.

    Raises:
        InvalidFileError: there is no output, or no receipt.
    """
    if not path.exists():
        raise InvalidFileError(f"no such file or folder: {quoted(str(path))}")
    if path.is_dir():
        return [path / name for name in receipts_in([entry.name for entry in path.iterdir()], str(path))]
    receipt = receipt_path(path)
    if not receipt.is_file():
        raise no_receipt(str(path), str(receipt))
    return [receipt]


def receipts_in(names: Iterable[str], what: str) -> list[str]:
    """Return which names in a folder are those of receipts, the folder's own first; `what` is the folder.

    Raises:
        InvalidFileError: none is.
    """
    found = sorted(filter(is_receipt, names), key=lambda name: (name != RECEIPT, name))
    if not found:
        raise no_receipt(what, RECEIPT)
    return found


def is_receipt(name: str) -> bool:
    """Return whether a file is a receipt by its name: that of a folder, or of a single file beside it."""
    return name == RECEIPT or name.endswith(f".{RECEIPT}")


def no_receipt(what: str, receipt: str) -> InvalidFileError:
    """Return the error that says that an output has no receipt."""
    return InvalidFileError(
        f"{quoted(what)} has no receipt: there is no {quoted(receipt)}",
        hint="only what weightarith wrote has one; give the output's own folder or file",
    )


def read_receipt(path: Path) -> Receipt:
    """Return the receipt in a file.

    Raises:
        InvalidFileError: it is no receipt.
        UnsupportedError: it is of a later format.
    """
    found = read_object(path, INDEX_LIMIT)
    number = found.get("receipt")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise InvalidFileError(f"{quoted(str(path))} is no receipt of weightarith")
    if number > FORMAT:
        raise UnsupportedError(
            f"{quoted(str(path))} is a receipt of format {number}, and only {FORMAT} is read",
            hint="upgrade weightarith",
        )
    return found


def account_of(receipt: Receipt, where: str) -> Account:
    """Return what a receipt says of files; `where` is what errors call it.

    Raises:
        InvalidFileError: an entry is not what it should be, or names something else than a file beside it.
        UnsupportedError: it holds neither sizes nor hashes.
    """
    files, beside = receipt.get("files"), receipt.get("beside")
    if not isinstance(files, dict) and not isinstance(beside, dict):
        raise UnsupportedError(
            f"{where} holds neither sizes nor checksums of its files",
            hint="outputs of a training are told by training.json, and vectors in them by their own receipts",
        )
    small = _table(beside, where, "beside", lambda each: each if isinstance(each, dict) else None)
    known = _table(files if isinstance(files, dict) else None, where, "files", _size)
    sizes = known | _table({name: one.get("bytes") for name, one in small.items()}, where, "beside", _size)
    hashes = {name: one.get("sha256") for name, one in small.items()} | _mapping(receipt.get("sha256"))
    return Account(
        receipt,
        dict(sorted(sizes.items())),
        _table(hashes, where, "sha256", _hex(_SHA256)),
        _table(receipt.get("headers"), where, "headers", _hex(_SHA256)),
        _tensors(receipt, where),
        isinstance(beside, dict),
        _named(files, small),
    )


def _named(names: object, files: Mapping[str, object]) -> tuple[str, ...]:
    """Return what a training lists and has no size of."""
    told = names if isinstance(names, list) else []
    return tuple(name for name in told if isinstance(name, str) and name not in files)


def called(account: Account, name: str) -> Account:
    """Return the account of a single file under the name that it has now: a renamed file is the same."""
    if len(account.sizes) != 1 or name in account.sizes:
        return account
    (old,) = account.sizes
    sha256, headers = (
        {name: known[old]} if old in known else {} for known in (account.sha256, account.headers)
    )
    return replace(account, sizes={name: account.sizes[old]}, sha256=sha256, headers=headers)


def _tensors(receipt: Receipt, where: str) -> dict[str, Recorded]:
    if "checksums" in receipt:  # of an adapter, whose `tensors` are those of the change it makes
        found = _entries(receipt["checksums"], where, "checksums", _hex(_XXH3))
        return {name: Recorded(checksum) for name, checksum in found.items()}
    if receipt.get("kind") not in ("checkpoint", "vector"):
        return {}
    return _entries(receipt.get("tensors"), where, "tensors", _recorded)


def _recorded(value: object) -> Recorded | None:
    told = _mapping(value)
    checksum, dtype, shape = _hex(_XXH3)(told.get("xxh3")), told.get("dtype"), told.get("shape")
    if checksum is None or not isinstance(dtype, str) or not isinstance(shape, list):
        return None
    if any(_size(length) is None for length in shape):
        return None
    return Recorded(checksum, dtype, tuple(shape))


def _table(value: object, where: str, key: str, read: Callable[[object], T | None]) -> dict[str, T]:
    """Return a table by names of files, each of them one that lies in the folder itself."""
    found = _entries(value, where, key, read)
    for name in found:
        if not is_plain(name):
            raise InvalidFileError(f"{where}: {key}: {quoted(name)} is no name of a file beside it")
    return found


def _entries(value: object, where: str, key: str, read: Callable[[object], T | None]) -> dict[str, T]:
    if value is not None and not isinstance(value, dict):
        raise InvalidFileError(f"{where}: {key} is no table")
    found = {}
    for name, each in _mapping(value).items():
        entry = read(each)
        if entry is None:
            raise InvalidFileError(f"{where}: {key}: the entry of {quoted(name)} is not what a receipt has")
        found[name] = entry
    return found


def is_plain(name: str) -> bool:
    """Return whether a name is one of a file in a folder, and no path that leads elsewhere."""
    return name not in ("", ".", "..") and not any(mark in name for mark in "/\\\0")


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _size(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _hex(digits: int) -> Callable[[object], str | None]:
    def read(value: object) -> str | None:
        fits = isinstance(value, str) and len(value) == digits and _HEX.fullmatch(value)
        return str(value) if fits else None

    return read
