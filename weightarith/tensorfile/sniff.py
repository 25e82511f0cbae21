"""What a file is when it is no safetensors file, told from its first bytes.

Nothing is unpacked and no pickle is ever loaded: to recognise a file is enough to name the remedy.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path

from weightarith.errors import InvalidFileError, UnsupportedError, WeightArithError, quoted

HEAD = 1024  # first bytes of the file that are looked at
SMALLEST = 10  # bytes: a length, and the braces of a header that names nothing

DOWNLOAD_AGAIN = "download it again, for example with `hf download REPO FILE --force-download`"

_CONVERT = (
    "convert it on a machine you can throw away, for loading a pickle can run code: python -c "
    '"import torch; from safetensors.torch import save_file; '
    "s = torch.load('pytorch_model.bin', map_location='cpu', weights_only=True); "
    "save_file({n: t.clone() for n, t in s.items()}, 'model.safetensors')\""
)
_UNPACK = "unpack it first, and give the safetensors file inside"

_POINTER = re.compile(rb"version https://(?:git-lfs|hawser)\.github\.com/spec/v1\s")
_OID = re.compile(rb"^oid sha256:([0-9a-f]{64})\s*$", re.MULTILINE)
_SIZE = re.compile(rb"^size (\d{1,20})\s*$", re.MULTILINE)
_HTML = re.compile(
    rb"\s*(?:<!--.{0,200}?-->\s*)?<(?:!doctype\s|html|head|body|\?xml)", re.IGNORECASE | re.DOTALL
)
_LEGACY_PICKLE = re.compile(rb"\x80[\x01-\x05]")

# (first bytes, what the file is, what to try)
_FORMATS: tuple[tuple[bytes, str, str], ...] = (
    (b"GGUF", "a GGUF file of llama.cpp", "use the safetensors checkpoint that it was converted from"),
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ\x00", "an xz archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstandard archive", _UNPACK),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file of Keras", "use the repository's safetensors file"),
    (b"\x93NUMPY", "a NumPy array file", "save it with `safetensors.numpy.save_file`"),
)

_SPECIAL = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def shown(path: Path | str) -> str:
    """Return a path or an address whole, control characters escaped, fit for a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(path))


def special(mode: int) -> str:
    """Return what `st_mode` says a thing is that is no regular file, and "" for one that is."""
    if stat.S_ISREG(mode):
        return ""
    return next((kind for test, kind in _SPECIAL if test(mode)), "no regular file")


def refusal(path: Path | str, head: bytes, size: int) -> WeightArithError:
    """Return the error for a file of `size` bytes that begins with `head` and holds no safetensors header."""
    where = shown(path)
    if size == 0:
        return InvalidFileError(f"{where} is empty", hint=DOWNLOAD_AGAIN)
    if size < SMALLEST:
        return InvalidFileError(
            f"{where} is cut short: has {size} bytes, header needs {SMALLEST} or more, "
            f"missing at least {SMALLEST - size}",
            hint=DOWNLOAD_AGAIN,
        )
    if _POINTER.match(head):
        return _pointer(where, head)
    if head.startswith(b"PK\x03\x04"):
        return _zip(where, head)
    if _LEGACY_PICKLE.match(head):
        return UnsupportedError(f"{where} is a pickle, which is never loaded here", hint=_CONVERT)
    for magic, kind, hint in _FORMATS:
        if head.startswith(magic):
            return UnsupportedError(f"{where} is {kind}, not a safetensors file", hint=hint)
    return _text(where, head) or _garbage(where, head, size)


def _pointer(where: str, head: bytes) -> WeightArithError:
    oid, size = _OID.search(head), _SIZE.search(head)
    facts = [f"sha256 {oid[1].decode()}" if oid else "", f"{int(size[1]):,} bytes" if size else ""]
    stands_for = " and ".join(fact for fact in facts if fact) or "the real file"
    return InvalidFileError(
        f"{where} is a Git LFS pointer that stands for {stands_for}; the weights were never fetched",
        hint="run `git lfs pull` in that repository, or fetch it with `hf download REPO FILE`",
    )


def _zip(where: str, head: bytes) -> WeightArithError:
    if b".npy" in head:
        kind, hint = "a NumPy archive (npz)", "save its arrays with `safetensors.numpy.save_file`"
    elif b".pkl" in head or where.endswith((".bin", ".pt", ".pth", ".ckpt")):
        kind, hint = "a PyTorch pickle in a zip archive, which is never loaded here", _CONVERT
    else:
        kind, hint = "a zip archive, not a safetensors file", _UNPACK
    return UnsupportedError(f"{where} is {kind}", hint=hint)


def _text(where: str, head: bytes) -> WeightArithError | None:
    if _HTML.match(head):
        return InvalidFileError(
            f"{where} is an HTML page, saved in place of the file",
            hint="check the address and your access to it, then fetch it with `hf download REPO FILE`",
        )
    try:
        text = head.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        if error.start < HEAD - 4:  # a character cut by the end of `head` is no sign of anything
            return None
        text = head[: error.start].decode("utf-8-sig").strip()
    if any(ord(c) < 32 and c not in "\t\n\r\f" for c in text) or not text:
        return None
    if text[0] in "{[":
        return InvalidFileError(
            f"{where} is JSON text, not a safetensors file",
            hint="an index or a config belongs to a folder: give the folder; else " + DOWNLOAD_AGAIN,
        )
    return InvalidFileError(
        f"{where} is plain text that begins {quoted(text[:60])}, not a safetensors file", hint=DOWNLOAD_AGAIN
    )


def _garbage(where: str, head: bytes, size: int) -> WeightArithError:
    if not head.strip(b"\x00"):
        return InvalidFileError(
            f"{where} begins with {len(head)} zero bytes: space was set aside, and nothing was written to it",
            hint=DOWNLOAD_AGAIN,
        )
    return InvalidFileError(
        f"{where} is not a safetensors file: its {size:,} bytes begin {head[:16].hex(' ')}, no header",
        hint="check that the file is what its name says, or " + DOWNLOAD_AGAIN,
    )
