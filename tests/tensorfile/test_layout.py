"""Layouts: equal inputs give equal bytes, and the same as the safetensors library gives."""

from __future__ import annotations

import string
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tensorfile.blobs import written
from weightarith.errors import IncompatibleError
from weightarith.tensorfile import layout as module
from weightarith.tensorfile.dtypes import BY_NAME, DTYPES, DType
from weightarith.tensorfile.entries import METADATA
from weightarith.tensorfile.header import read_header
from weightarith.tensorfile.layout import lay_out
from weightarith.tensorfile.model import TensorInfo

Shapes = dict[str, tuple[DType, tuple[int, ...]]]

F32, F16, U8 = DTYPES["F32"], DTYPES["F16"], DTYPES["U8"]


def test_wide_dtypes_come_first_and_then_names_in_order() -> None:
    layout = lay_out(
        {"b": (F32, (1,)), "u": (U8, (3,)), "h": (F16, (1,)), "B": (F32, ()), "a": (F32, (0,))}, {}
    )

    start = len(layout.header)
    assert layout.tensors == {
        "B": TensorInfo(F32, (), start, start + 4),
        "a": TensorInfo(F32, (0,), start + 4, start + 4),
        "b": TensorInfo(F32, (1,), start + 4, start + 8),
        "h": TensorInfo(F16, (1,), start + 8, start + 10),
        "u": TensorInfo(U8, (3,), start + 10, start + 13),
    }
    assert list(layout.tensors) == ["B", "a", "b", "h", "u"]
    assert layout.size == start + 13


def test_metadata_stands_first_and_sorted_and_the_header_is_padded_with_spaces() -> None:
    header = lay_out({"t": (U8, (1,))}, {"z": "1", "a": "é\n"}).header

    text = '{"__metadata__":{"a":"é\\n","z":"1"},"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
    assert header[8:].rstrip(b" ") == text.encode()
    assert int.from_bytes(header[:8], "little") == len(header) - 8
    assert len(header) % 8 == 0


def test_nothing_at_all_is_a_file_too() -> None:
    assert lay_out({}, {}).header == b"\x08" + bytes(7) + b"{}      "


names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20).filter(METADATA.__ne__)
shapes = st.lists(st.integers(0, 5), max_size=4).map(tuple)
dtypes = st.sampled_from([dtype for dtype in DTYPES.values() if dtype.bits >= 8])
tensors = st.dictionaries(names, st.tuples(dtypes, shapes), max_size=8)
metadata = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(st.characters(exclude_categories=["Cs"])),
    max_size=4,
)


@settings(max_examples=200, deadline=None)
@given(tensors, metadata, st.randoms(use_true_random=False))
def test_equal_inputs_give_equal_bytes_in_whatever_order_they_come(
    tensors: Shapes, metadata: dict[str, str], random: object
) -> None:
    shuffled = list(tensors.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    one = lay_out(tensors, metadata)
    other = lay_out(dict(shuffled), dict(reversed(metadata.items())))

    assert (one.header, one.tensors, one.size) == (other.header, other.tensors, other.size)


@settings(max_examples=200, deadline=None)
@given(tensors, metadata)
def test_what_is_laid_out_is_read_back(tensors: Shapes, metadata: dict[str, str]) -> None:
    layout = lay_out(tensors, metadata)

    with tempfile.TemporaryDirectory() as folder:
        content = layout.header + bytes(layout.size - len(layout.header))
        file = read_header(written(Path(folder), content))

    assert list(file.tensors.items()) == list(layout.tensors.items())
    assert file.metadata == metadata


def test_the_bytes_equal_those_of_the_safetensors_library(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    names = [f"{letter}.{word}" for letter in "bA" for word in ("weight", "é", 'quo"te', "2", "10")]
    codes = [code for code in BY_NAME if hasattr(torch, code) and code != "float4_e2m1fn_x2"]
    stored = {
        f"{name}.{number % 7}.{code}": torch.zeros(2, 3, dtype=getattr(torch, code))
        for number, code in enumerate(codes)
        for name in names
    }
    save_file(stored, tmp_path / "theirs.safetensors", metadata={"format": "pt"})
    theirs = (tmp_path / "theirs.safetensors").read_bytes()

    layout = lay_out(
        {
            name: (BY_NAME[str(tensor.dtype).removeprefix("torch.")], tuple(tensor.shape))
            for name, tensor in stored.items()
        },
        {"format": "pt"},
    )

    assert layout.header == theirs[: len(layout.header)]
    assert layout.size == len(theirs)
    assert len(codes) >= 19


@pytest.mark.parametrize(
    ("name", "dtype", "shape", "text"),
    [
        ("", U8, (1,), "'' cannot name a tensor in a file: the name is empty"),
        ("__metadata__", U8, (1,), "cannot name a tensor in a file: the name is kept for the metadata"),
        (
            "a\x1b",
            U8,
            (1,),
            r"'a\x1b' cannot name a tensor in a file: the name holds the control character U+001B",
        ),
        ("x" * 1025, U8, (1,), "the name takes 1,025 bytes; at most 1,024 are read"),
        ("t", DTYPES["F4"], (3,), "tensor 't' of F4 [3] takes 12 bits, no whole number of bytes"),
        ("t", U8, (1,) * 17, "tensor 't' has 17 dimensions; at most 16 are read"),
    ],
)
def test_what_could_not_be_read_back_is_not_laid_out(
    name: str, dtype: DType, shape: tuple[int, ...], text: str
) -> None:
    with pytest.raises(IncompatibleError) as caught:
        lay_out({name: (dtype, shape)}, {})
    assert text in caught.value.message
    assert caught.value.exit_code == 4


def test_metadata_that_is_no_text_is_not_laid_out() -> None:
    with pytest.raises(IncompatibleError, match="lone surrogate"):
        lay_out({}, {"a": "\ud800"})


def test_too_many_tensors_and_too_long_a_header_are_not_laid_out(monkeypatch: pytest.MonkeyPatch) -> None:
    many = dict.fromkeys(string.ascii_letters, (U8, (1,)))

    monkeypatch.setattr(module, "MAX_HEADER", 1000)
    with pytest.raises(
        IncompatibleError, match=r"a header of [\d,]+ bytes does not fit in one file of at most 1,000"
    ):
        lay_out(many, {})
    monkeypatch.setattr(module, "MAX_TENSORS", 51)
    with pytest.raises(IncompatibleError, match="52 tensors do not fit in one file of at most 51"):
        lay_out(many, {})
