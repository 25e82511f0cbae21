"""An encoded vector whose header and tensors disagree is refused, by file and by tensor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.packed import VECTOR, Parts, decoded, packed, write
from tests.stores import refused
from weightarith.errors import IncompatibleError, InvalidFileError
from weightarith.kernels.encodings import Doubles
from weightarith.store import open_source
from weightarith.tensorfile.encoded import KEY, Kind, encodings_text

VALUES: Doubles = np.arange(-4.0, 8.0).reshape(3, 4)
SIGN, INT8, SPARSE = packed("q", "sign", VALUES), packed("q", "int8", VALUES), packed("q", "sparse", VALUES)


def said(kind: str, shape: object = (3, 4)) -> Mapping[str, Any]:
    return {"q": {"enc": kind, "shape": shape}}


def file(path: Path, parts: Parts, encodings: object) -> Path:
    text = encodings if isinstance(encodings, str) else json.dumps(encodings)
    return write(path, parts, VECTOR | {KEY: text})


FLOATS = ("F32", np.ones(2))
DISAGREEING: dict[str, tuple[Parts, object, str]] = {
    "a part missing": ({"q::sign": SIGN["q::sign"]}, said("sign"), "lacks 'q::scale', and weightarith.enc"),
    "no part at all": ({"a": FLOATS}, said("sparse"), "lacks 'q::idx', and weightarith.encodings in its"),
    "another kind": (SIGN, said("int8"), "lacks 'q', and weightarith.encodings in its header says that 'q'"),
    "signs of another shape": (SIGN, said("sign", [5, 4]), "'q::sign' is U8 [2], expected U8 [3] for a"),
    "signs of another dtype": (
        SIGN | {"q::sign": ("I8", np.zeros(2))},
        said("sign"),
        "'q::sign' is I8 [2], expected U8 [2]",
    ),
    "a scale a row for signs": (
        SIGN | {"q::scale": ("F32", np.ones(3))},
        said("sign"),
        "'q::scale' is F32 [3], expected F32 [] for a sign encoding of [3, 4]",
    ),
    "a scale of sixteen bits": (
        SIGN | {"q::scale": ("F16", np.ones(()))},
        said("sign"),
        "'q::scale' is F16 [], expected F32 []",
    ),
    "bytes of another shape": (INT8, said("int8", [4, 3]), "'q' is I8 [3, 4], expected I8 [4, 3]"),
    "one scale for all rows": (
        INT8 | {"q::scale": ("F32", np.ones(()))},
        said("int8"),
        "'q::scale' is F32 [], expected F32 [3]",
    ),
    "floats for bytes": (INT8 | {"q": ("F32", VALUES)}, said("int8"), "'q' is F32 [3, 4], expected I8"),
    "fewer values than places": (
        SPARSE | {"q::val": FLOATS},
        said("sparse"),
        "'q::val' is F32 [2], expected BF16 or F16 or F32 or F64 [11]",
    ),
    "values of integers": (
        {"q::idx": ("I32", np.arange(2)), "q::val": ("I32", np.arange(2))},
        said("sparse"),
        "'q::val' is I32 [2], expected BF16 or F16",
    ),
    "places of floats": (
        {"q::idx": FLOATS, "q::val": FLOATS},
        said("sparse"),
        "'q::idx' is F32 [2], expected I32 or I64 [2]",
    ),
    "places in a square": (
        {"q::idx": ("I32", np.zeros((2, 2))), "q::val": ("F32", np.ones((2, 2)))},
        said("sparse"),
        "'q::idx' is I32 [2, 2], expected I32 or I64 [4]",
    ),
    "more places than elements": (SPARSE, said("sparse", [2, 2]), "'q::idx' has 11 places, and [2, 2] has 4"),
    "dense besides": (SIGN | {"q": ("F32", VALUES)}, said("sign"), "holds 'q' besides 'q' as sign: one dis"),
    "factored besides": (
        INT8 | {"q::A": ("F32", np.ones((1, 4))), "q::B": ("F32", np.ones((3, 1)))},
        said("int8"),
        "besides 'q' as int8: one displacement twice",
    ),
    "a part that nothing names": (SIGN, {}, "holds 'q::s"),
    "a scale that nothing names": ({"q": ("F32", VALUES), "q::scale": FLOATS}, {}, "holds 'q::scale': of"),
    "not JSON": (SIGN, "{", "weightarith.encodings in its header: not valid JSON"),
    "a name twice": (SIGN, '{"q": 1, "q": 2}', "'q' is there twice"),
    "a list": (SIGN, "[]", "weightarith.encodings in its header: its JSON is a list"),
    "too deep": (SIGN, "[" * 100_000, "its JSON is nested too deep"),
    "an entry of text": (SIGN, {"q": "sign"}, "says of 'q' something else than enc and shape"),
    "an entry with more": (SIGN, {"q": {"enc": "sign", "shape": [3, 4], "x": 1}}, "something else than enc"),
    "an unknown encoding": (SIGN, said("fp8"), "says that 'q' is 'fp8', expected one of sign, int8, sparse"),
    "an encoding of no kind": (SIGN, {"q": {"enc": ["sign"], "shape": []}}, "says that 'q' is \"['sign']\""),
    "a shape of text": (SIGN, said("sign", "3,4"), "gives 'q' a shape that no tensor has: 3,4"),
    "a shape of fractions": (SIGN, said("sign", [3.0, 4]), "gives 'q' a shape that no tensor has: [3.0, 4]"),
    "a shape of truths": (SIGN, said("sign", [True]), "gives 'q' a shape that no tensor has: [True]"),
    "a negative size": (SIGN, said("sign", [-3, -4]), "gives 'q' a shape that no tensor has: [-3, -4]"),
    "a shape beyond numbers": (SIGN, said("sign", [2**40, 2**40]), "gives 'q' a shape that no tensor has"),
    "a hidden shape beyond numbers": (SIGN, said("sign", [0, 2**63]), "gives 'q' a shape that no tensor has"),
    "seventeen axes": (SIGN, said("sign", [1] * 17), "gives 'q' a shape that no tensor has"),
    "a name with a mark": (SIGN, {"q::sign": {"enc": "sign", "shape": []}}, "names 'q::sign': :: in it"),
    "an empty name": (SIGN, {"": {"enc": "sign", "shape": []}}, "names '': the name is empty"),
}  # fmt: skip


@pytest.mark.parametrize("flaw", DISAGREEING)
def test_a_header_and_tensors_that_disagree_are_refused_when_opened(flaw: str, tmp_path: Path) -> None:
    parts, encodings, message = DISAGREEING[flaw]
    path = file(tmp_path / "v.safetensors", parts, encodings)

    error = refused(path)

    assert message in str(error)
    assert str(path) in str(error)
    assert error.exit_code in (3, 10)


def sparse(*places: int, code: str = "I32") -> Parts:
    return {"q::idx": (code, np.array(places)), "q::val": ("F32", np.ones(len(places)))}


def scaled(parts: Parts, scale: object) -> Parts:
    return parts | {"q::scale": ("F32", np.asarray(scale))}


MANY = np.arange(3000)
BYTES: dict[str, tuple[Parts, Kind, tuple[int, ...], str]] = {
    "a scale that is no number": (
        scaled(SIGN, float("nan")), "sign", (3, 4), "'q::scale' is nan at 0, expected a finite number, 0 or"),
    "a scale below zero": (scaled(SIGN, -1.0), "sign", (3, 4), "'q::scale' is -1.0 at 0"),
    "an infinite scale of a row": (scaled(INT8, [1, float("inf"), 1]), "int8", (3, 4), "is inf at 1"),
    "bits after the last": (
        {"q::sign": ("U8", np.array([255, 255])), "q::scale": ("F32", np.ones(()))}, "sign", (3, 4),
        "'q::sign' has bits after those of its last element, expected zeros"),
    "places twice": (sparse(1, 5, 5), "sparse", (3, 4), "'q::idx' has 5 after 5, expected places in rising"),
    "places that fall": (sparse(7, 3), "sparse", (3, 4), "'q::idx' has "),
    "a place below zero": (sparse(-1, 3), "sparse", (3, 4), "'q::idx' has the place -1, expected 0 to 11"),
    "a place behind the last": (sparse(3, 12), "sparse", (3, 4), "has the place 12, expected 0 to 11"),
    "places beyond all numbers": (
        sparse(-(2**63), 2**63 - 1, code="I64"), "sparse", (3, 4), "expected 0 to 11"),
    "one of many places out of order": (
        {"q::idx": ("I32", np.where(MANY == 2500, 7, MANY)), "q::val": ("F32", MANY)}, "sparse", (4000,),
        "'q::idx' has "),
}  # fmt: skip


@pytest.mark.parametrize("block", [1, 5, 8, 1000, 1 << 20])
@pytest.mark.parametrize("flaw", BYTES)
def test_bytes_that_mean_nothing_are_refused_when_all_of_a_tensor_is_decoded(
    flaw: str, block: int, tmp_path: Path
) -> None:
    parts, kind, shape, message = BYTES[flaw]
    path = file(tmp_path / "v.safetensors", parts, said(kind, list(shape)))
    encoded = open_source(path).encoded["q"]

    with pytest.raises(InvalidFileError) as caught:
        decoded(encoded, block if encoded.count < 100 else max(block, 900))

    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_no_permutation_of_places_gets_through(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for trial in range(60):
        order = random.permutation(9)
        if (order == np.arange(9)).all():
            continue
        path = file(tmp_path / f"{trial}.safetensors", sparse(*order.tolist()), said("sparse"))
        for block in (1, 2, 3, 5, 12):
            with pytest.raises(InvalidFileError, match="'q::idx' has"):
                decoded(open_source(path).encoded["q"], block)


def test_an_encoding_is_a_name_of_vectors_and_no_checkpoint_has_one(tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", SIGN, {})

    assert "a name of vectors, and its header does not say it is one" in str(refused(path))


def test_encodings_that_fit_in_no_header_are_refused_before_they_are_written() -> None:
    names = {f"{'layer' * 200}.{number}": ("sign", (1,)) for number in range(16_000)}

    with pytest.raises(IncompatibleError, match=r"of 16,000 tensors takes .* at most 16,000,000 fit"):
        encodings_text(names)  # type: ignore[arg-type]
