"""The loops as machine code: compiled by Numba once a processor, kept on disk, loaded without Numba.

To import Numba and have it find a function in its own cache takes most of a second of processor time, to
load an object file a twentieth of that. Both go through LLVM, so the code is the same.

The object lies in the user's cache folder (`WEIGHTARITH_CACHE_DIR`, else `XDG_CACHE_HOME`, else `~/.cache`)
under a name that changes with the loops, the compiler and the processor. It is code, so it is taken only from
a file that is the user's own and that nobody else can write. Where nothing can be kept, each run compiles.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Lock
from typing import Any, NamedTuple

import llvmlite.binding as llvm  # type: ignore[import-untyped]  # it has no stubs

from weightarith.kernels.formats import SIGNATURES

SOURCES = (
    "accounts.py", "bfloat16.py", "bits.py", "conversions.py", "formats.py", "forms.py", "loops.py",
    "machine.py", "pairs.py", "reductions.py", "shortcuts.py", "votes.py",
)  # fmt: skip
"""Files of this folder that the machine code depends on."""

_ONE_AT_A_TIME = Lock()  # a second engine would be let go, and its memory, while its code still runs
_PREFIX = "weightarith_"
_NEVER_CALLED = ("numba_", "NRT_", "Py")  # how a Numba function would raise; these have nothing to raise

_C_TYPES: dict[str, Any] = {
    "i": ctypes.c_int64,
    "d": ctypes.c_double,
    **dict.fromkeys("BLDS", ctypes.c_void_p),
}


class Entries(NamedTuple):
    """The functions in the machine code, to be called with addresses and numbers; none holds the lock."""

    between: Callable[..., None]
    combine: Callable[..., None]
    decode: Callable[..., None]
    elect: Callable[..., None]
    encode: Callable[..., None]
    pair: Callable[..., None]
    products: Callable[..., None]
    sizes_between: Callable[..., None]
    summarise: Callable[..., None]
    values: Callable[..., None]
    vote: Callable[..., None]
    engine: Any  # owns the memory the code lies in


def address(array: Any) -> int:
    """Return where the first element of a contiguous array lies."""
    found: int = array.__array_interface__["data"][0]
    return found


def entries() -> Entries:
    """Return the machine code of the loops, compiling it if no object for them is kept."""
    with _ONE_AT_A_TIME:
        return _entries()


@lru_cache(maxsize=1)
def _entries() -> Entries:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    place = _place()
    code = _kept(place)
    if code is None:
        code = _compiled()
        _keep(code, place)
    return _linked(code)


def is_kept() -> bool:
    """Return whether the next call of `entries` finds its machine code on disk."""
    return _kept(_place()) is not None


def _place() -> Path:
    cache = os.environ.get("WEIGHTARITH_CACHE_DIR")
    folder = (
        Path(cache)
        if cache
        else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "weightarith"
    )
    key = hashlib.sha256()
    for name in SOURCES:
        key.update(Path(__file__).with_name(name).read_bytes())
    parts = (version("numba"), version("llvmlite"), llvm.get_default_triple(), llvm.get_host_cpu_name())
    key.update("\n".join((*parts, _features())).encode())
    return folder / f"kernels-{key.hexdigest()[:32]}.o"


def _kept(place: Path) -> bytes | None:
    """Return the object at `place`, None where there is none to be trusted: its digest stands before it."""
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        ours = found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        content = file.read() if ours and stat.S_ISREG(found.st_mode) else b""
    digest, code = content[:32], content[32:]
    return code if code and hashlib.sha256(code).digest() == digest else None


def _keep(code: bytes, place: Path) -> None:
    """Write the object for the next run; a folder that cannot be written costs time, not the run."""
    with suppress(OSError):
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=place.parent, delete=False) as file:  # mode 0600, a name of its own
            file.write(hashlib.sha256(code).digest() + code)
        Path(file.name).replace(place)


def _compiled() -> bytes:
    """Return an object file of every entry, made by Numba for this processor."""
    from numba import cfunc, types

    whole = llvm.parse_assembly("")
    with _numba_for_this_processor():
        # Numba looks at its settings once, when the first function is decorated
        from weightarith.kernels import forms, loops, pairs, reductions, votes

        for name, function in {
            **forms.ENTRIES,
            **loops.ENTRIES,
            **pairs.ENTRIES,
            **reductions.ENTRIES,
            **votes.ENTRIES,
        }.items():
            made: Any = cfunc(types.void(*(loops.C_TYPES[letter] for letter in SIGNATURES[name])))(function)
            module = llvm.parse_assembly(made.inspect_llvm())
            module.get_function(made.native_name).name = _PREFIX + name
            whole.link_in(module)
    names = "\n".join(_set_apart(whole)).encode()
    return len(names).to_bytes(4, "little") + names + bytes(_target().emit_object(whole))


def _set_apart(module: Any) -> list[str]:
    """Give names of our own to what the dead error paths of a module call, and return them.

    LLVM knows one table of symbols in a process: under its own name, what `_linked` says of `NRT_Free` would
    hold for every other program that Numba compiles there.
    """
    named = []
    for one in [one for one in (*module.functions, *module.global_variables) if one.is_declaration]:
        if one.name.startswith("llvm."):
            continue
        if not one.name.startswith(_NEVER_CALLED):
            raise RuntimeError(f"the kernels call {one.name}, which nothing here provides")
        one.name = f"{_PREFIX}never_{one.name}"
        named.append(one.name)
    return named


@contextmanager
def _numba_for_this_processor() -> Iterator[None]:
    """Have Numba use all that this processor has, and leave its settings as they were."""
    from numba import config

    settings = vars(config)
    before = {key: settings[key] for key in ("CPU_NAME", "CPU_FEATURES")}
    settings.update(CPU_NAME=llvm.get_host_cpu_name(), CPU_FEATURES=_features())
    try:
        yield
    finally:
        settings.update(before)


def _linked(code: bytes) -> Entries:
    """Return the entries of an object, put in memory; what its dead error paths call leads to `abort`."""
    length = int.from_bytes(code[:4], "little")
    abort = ctypes.cast(ctypes.CDLL(None).abort, ctypes.c_void_p).value
    for name in code[4 : 4 + length].decode().split():
        llvm.add_symbol(name, abort)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code[4 + length :]))
    engine.finalize_object()
    called = {
        name: ctypes.CFUNCTYPE(None, *(_C_TYPES[letter] for letter in letters))(
            engine.get_function_address(_PREFIX + name)
        )
        for name, letters in SIGNATURES.items()
    }
    return Entries(**called, engine=engine)


def _features() -> str:
    """Return what the processor can do, in LLVM's words, vectors of 512 bits included where it has them.

    LLVM shuns them for the sake of processors that slow down; a loop that mostly converts gains a sixth.
    """
    features = llvm.get_host_cpu_features()
    found: str = features.flatten()
    return f"{found},-prefer-256-bit" if features.get("avx512f") else found


def _target() -> Any:
    """Return LLVM's description of this processor, vector widths and all."""
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=_features(),
        opt=3,
        reloc="default",
        codemodel="jitdefault",
        jit=True,
    )
