"""What the tensors of a vector file mean: displacements by name, dense or in two factors.

`<name>` is dense. `<name>::A` (rank, in) and `<name>::B` (out, rank) are factors of the displacement B·A.
What is encoded, `encodings` has taken out before. `::` occurs in no module path, so that a reader that does
not know it fails instead of adding the wrong thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from weightarith.errors import InvalidFileError, UnsupportedError, quoted
from weightarith.store.folder import Tensors
from weightarith.tensorfile.encoded import KEY, MARK
from weightarith.tensorfile.factored import Factored, Matrix
from weightarith.tensorfile.model import Stored
from weightarith.tensorfile.sniff import shown

SPEC = "1"


def split_factors(path: Path, stored: Mapping[str, Stored]) -> tuple[dict[str, Stored], dict[str, Factored]]:
    """Return the dense tensors and the factored displacements among `stored`.

    Raises:
        InvalidFileError: a factor alone, two that do not fit, an unknown suffix, a name dense and factored.
        UnsupportedError: a dtype that no sum is defined for.
    """
    dense: dict[str, Stored] = {}
    factors: dict[str, dict[str, Stored]] = {}
    for name, tensor in stored.items():
        plain, mark, suffix = name.rpartition(MARK)
        if mark and (suffix not in ("A", "B") or not plain or MARK in plain):
            raise InvalidFileError(
                f"{shown(path)} holds {quoted(name)}: of the suffixes after {MARK} only A and B are known "
                f"where {KEY} in the header does not name the tensor",
                hint="a newer weightarith may read it",
            )
        if not tensor.info.dtype.arithmetic:
            raise UnsupportedError(
                f"{shown(path)} stores {quoted(name)} as {tensor.info.dtype.code}, "
                "expected F64, F32, F16 or BF16"
            )
        if mark:
            factors.setdefault(plain, {})[suffix] = tensor
        else:
            dense[name] = tensor
    both = min(dense.keys() & factors.keys(), default=None)
    if both is not None:
        raise InvalidFileError(f"{shown(path)} holds {quoted(both)} twice, dense and factored")
    return dense, {name: _pair(path, name, parts) for name, parts in factors.items()}


def _pair(path: Path, name: str, parts: Mapping[str, Stored]) -> Factored:
    for present, absent in (("A", "B"), ("B", "A")):
        if absent not in parts:
            raise InvalidFileError(
                f"{shown(path)} holds {quoted(f'{name}{MARK}{present}')} without its other factor, {absent}"
            )
    a, b = parts["A"].info.shape, parts["B"].info.shape
    if len(a) != 2 or len(b) != 2 or a[0] != b[1] or a[0] == 0:
        raise InvalidFileError(
            f"the factors of {quoted(name)} in {shown(path)} do not fit: A is {list(a)}, B is {list(b)}, "
            "expected A (rank, in) and B (out, rank)"
        )
    return Factored(Matrix(parts["B"]), Matrix(parts["A"]), 1.0)


def vector_metadata(tensors: Tensors) -> dict[str, str]:
    """Return the header metadata of a vector, the same in each of its files as far as they have it.

    Raises:
        InvalidFileError: two files say different things.
        UnsupportedError: a file is of another kind, or of a later version of the format.
    """
    found: dict[str, str] = {}
    for file in tensors.files:
        kind = file.metadata.get("weightarith.kind", "vector")
        spec = file.metadata.get("weightarith.spec", SPEC)
        if kind != "vector" or spec != SPEC:
            raise UnsupportedError(
                f"{shown(file.path)} says it is a {quoted(kind)} of version {quoted(spec)}, "
                f"expected a vector of version {SPEC}"
            )
        for key, value in file.metadata.items():
            if found.setdefault(key, value) != value:
                raise InvalidFileError(
                    f"{shown(file.path)} and {shown(tensors.files[0].path)} are shards of different "
                    f"vectors: their metadata differ in {quoted(key)}"
                )
    return found
