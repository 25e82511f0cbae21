"""An adapter in GGUF, as what is published: one file for llama.cpp and Ollama, told by its receipt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from weightarith.errors import UnsupportedError, VerificationError, quoted
from weightarith.proof.account import account_of
from weightarith.receipt import Receipt
from weightarith.tensorfile.model import Stamp
from weightarith.tensorfile.reader import open_regular, stamp_of

SUFFIX = ".gguf"
FORMAT = "gguf"
_HEAD = 1 << 20  # bytes in front, which hold all texts but those of a vocabulary


@dataclass(frozen=True)
class Whole:
    """A file of weights that is sent as it is; `head` are its first bytes, for what must not be in them."""

    path: Path
    stamp: Stamp
    head: bytes


def open_whole(path: Path, receipt: Receipt) -> Whole:
    """Return an adapter in GGUF, held against its receipt by its size.

    Raises:
        UnsupportedError: the receipt is that of something else.
        VerificationError: it has another size.
    """
    import os

    if receipt.get("kind") != "adapter" or receipt.get("format") != FORMAT:
        raise UnsupportedError(f"the receipt beside {quoted(str(path))} is none of an adapter in GGUF")
    descriptor = open_regular(path)
    try:
        stamp, head = stamp_of(descriptor), os.pread(descriptor, _HEAD, 0)
    finally:
        os.close(descriptor)
    if list(account_of(receipt, "its receipt").sizes.values()) != [stamp.size]:
        raise VerificationError(
            f"{quoted(str(path))} is not what its receipt says: {quoted(path.name)}",
            hint="weightarith verify names all that differs; make the output again",
        )
    return Whole(path, stamp, head)
