"""Headers: what is read from a good one, and what is said of a bad one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.tensorfile.blobs import blob, entry, small, written
from weightarith.errors import InvalidFileError, WeightArithError
from weightarith.tensorfile.dtypes import DTYPES
from weightarith.tensorfile.header import read_header
from weightarith.tensorfile.model import TensorInfo


def test_a_header_tells_names_dtypes_shapes_and_where_the_bytes_are(tmp_path: Path) -> None:
    content = small()
    path = written(tmp_path, content)

    file = read_header(path)

    data = len(content) - 30
    assert file.path == path
    assert file.metadata == {"format": "pt"}
    assert file.tensors == {
        "a": TensorInfo(DTYPES["F32"], (2, 3), data, data + 24),
        "b": TensorInfo(DTYPES["BF16"], (3,), data + 24, data + 30),
    }
    assert file.header_sha256 == hashlib.sha256(content[:data]).hexdigest()
    assert file.stamp.size == len(content)


def test_tensors_come_in_the_order_of_their_offsets_whatever_the_order_of_the_header(tmp_path: Path) -> None:
    header = {"z": entry(offsets=[4, 8]), "empty": entry("F64", [0, 7], [8, 8]), "a": entry(offsets=[0, 4])}

    file = read_header(written(tmp_path, blob(header, bytes(8))))

    assert list(file.tensors) == ["a", "z", "empty"]


@pytest.mark.parametrize(
    "header",
    [
        "{}",
        "{}      ",
        ' {"__metadata__":null}'.strip(),
        '{"__metadata__":{}}',
        '{ "__metadata__" : { "a" : "b" , "c" : "d" } } \n',
        '{"__metadata__":{"json":"{\\"a\\": [1, 2]}\\n"}}',
    ],
)
def test_a_file_without_tensors_is_a_file(tmp_path: Path, header: str) -> None:
    assert read_header(written(tmp_path, blob(header))).tensors == {}


@pytest.mark.parametrize("code", DTYPES)
def test_every_dtype_of_the_format_is_read(tmp_path: Path, code: str) -> None:
    size = DTYPES[code].bits // 2  # bytes of four elements
    content = blob({"t": entry(code, [2, 2], [0, size])}, bytes(size))

    info = read_header(written(tmp_path, content)).tensors["t"]

    assert (info.dtype, info.nbytes, info.count) == (DTYPES[code], size, 4)


@pytest.mark.parametrize("shape", [[], [0], [0, 5], [1] * 16, [2**40, 0]])
def test_scalars_and_empty_and_deep_shapes_are_read(tmp_path: Path, shape: list[int]) -> None:
    size = 0 if 0 in shape else 4
    content = blob({"t": entry("F32", shape, [0, size])}, bytes(size))

    assert read_header(written(tmp_path, content)).tensors["t"].shape == tuple(shape)


@pytest.mark.parametrize(
    "name", ["Ω.weight", "層.0", "a b", "../../x", "<script>", "=1+1", "x" * 1024, "é" * 512]
)
def test_odd_names_that_harm_nobody_are_read(tmp_path: Path, name: str) -> None:
    for ascii_only in (True, False):
        text = json.dumps({name: entry()}, ensure_ascii=ascii_only)
        assert list(read_header(written(tmp_path, blob(text, bytes(4)))).tensors) == [name]


ENTRY = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
RANGE = "only whole numbers from 0 to 2^63 - 1"
FIELDS = "tensor 't': its entry is not dtype, shape and data_offsets and nothing else"


def of(dtype: str = '"F32"', shape: str = "[1]", offsets: str = "[0,4]") -> str:
    return f'{{"t":{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}}}}}'


BAD: list[tuple[str | bytes, str]] = [
    # the object
    (
        '{"t":' + ENTRY,
        "needs a comma and a name in quotes, or a closing brace at character 53, and has its end",
    ),
    ('{"t":' + ENTRY + "}x", "goes on after its closing brace, at character 54"),
    ('{"t":' + ENTRY + "}\x00\x00", "goes on after its closing brace"),
    ("{" + f'"t":{ENTRY},' + "}", "needs a comma and a name in quotes, or a closing brace"),
    ("{t:1}", "needs a name in quotes at character 1, and has 't:1}'"),
    ('{"t" 1}', "needs a colon"),
    ('{"t\n":1}', "not JSON at character 3: invalid control character at"),
    ('{"t', "unterminated string"),
    (b'{"\xff\xfe":1}', "not UTF-8 at byte 10"),
    (f'{{"t":{ENTRY},"t":{ENTRY}}}', "'t' stands twice in one place"),
    (f'{{"t":{ENTRY},"\\u0074":{ENTRY}}}', "'t' stands twice in one place"),
    # metadata
    ('{"__metadata__":{"a":"1","a":"2"}}', "'a' stands twice in one place"),
    ('{"__metadata__":{},"__metadata__":{}}', "'__metadata__' stands twice in one place"),
    ('{"__metadata__":null,"__metadata__":null}', "'__metadata__' stands twice in one place"),
    ('{"__metadata__":{"a":1}}', "needs text for 'a' of __metadata__"),
    ('{"__metadata__":{"a":null}}', "needs text for 'a' of __metadata__"),
    ('{"__metadata__":[]}', "needs an object at character 16, and has '[]}'"),
    ('{"__metadata__":{"a":"\\ud800"}}', "'a' of __metadata__ holds a lone surrogate"),
    ("{" + '"__metadata__":' + "{" * 100_000, "needs a name in quotes"),
    # an entry
    ('{"t":1}', FIELDS),
    ('{"t":null}', FIELDS),
    ('{"t":{}}', FIELDS),
    ('{"t":["F32",[1],[0,4]]}', FIELDS),
    ('{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}', FIELDS),
    ('{"t":{' + " " * 3000 + ENTRY[1:] + "}", FIELDS),
    (
        '{"t":{"dtype":"F32","dtype":"I32","shape":[1],"data_offsets":[0,4]}}',
        "tensor 't': 'dtype' stands twice",
    ),
    ('{"t":{"dtype":"F32" "shape":[1]}}', FIELDS),
    ('{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"}":1}}', FIELDS),
    ('{"t":{"a":' + "[" * 1500 + "]" * 500 + "}}", FIELDS),
    (of(dtype='"F128"'), "tensor 't': unknown dtype 'F128'"),
    (of(dtype='"f32"'), "tensor 't': unknown dtype 'f32'"),
    (of(dtype='["F32"]'), "tensor 't': its dtype is no text"),
    (of(dtype="{}"), FIELDS),
    (of(shape="1"), "its shape is no list of at most 16 sizes"),
    (of(shape=str([1] * 17)), "its shape is no list of at most 16 sizes"),
    (of(shape="[1.0]"), RANGE),
    (of(shape="[1e0]"), RANGE),
    (of(shape="[true]"), RANGE),
    (of(shape="[null]"), RANGE),
    (of(shape='["1"]'), RANGE),
    (of(shape="[-1]"), RANGE),
    (of(shape="[-0]"), RANGE),
    (of(shape="[NaN]"), RANGE),
    (of(shape="[Infinity]"), RANGE),
    (of(shape="[-Infinity]"), RANGE),
    (of(shape="[9223372036854775808]"), RANGE),
    (of(shape="[" + "9" * 500 + "]"), RANGE),
    (of(shape="[01]"), FIELDS),
    (of(shape="[2]"), "F32 [2] takes 8 bytes, and its data_offsets 0 to 4 span 4 bytes"),
    (of(shape="[4294967296,4294967296,4]"), "and its data_offsets 0 to 4 span 4 bytes"),
    (of(shape="[4611686018427387904,4,0]", offsets="[0,0]"), "is empty, and yet too large for other readers"),
    (
        of(dtype='"F4"', shape="[3]", offsets="[0,1]"),
        "F4 [3] takes 12 bits, and its data_offsets 0 to 1 span 1",
    ),
    (of(offsets="[4,0]"), "its data_offsets 4 to 0 span -4 bytes"),
    (of(offsets="[4]"), "its data_offsets are not two numbers"),
    (of(offsets="[0,4,8]"), "its data_offsets are not two numbers"),
    (of(offsets='{"0":4}'), FIELDS),
    (
        of(offsets="[4,8]"),
        "tensor 't': it begins at 4, not at 0 where the data begins: a hole lies before it",
    ),
    # names
    ('{"":' + ENTRY + "}", "tensor '': the name is empty"),
    ('{"a\\u0000b":' + ENTRY + "}", r"tensor 'a\x00b': the name holds the control character U+0000"),
    ('{"\\u001b[31m":' + ENTRY + "}", r"tensor '\x1b[31m': the name holds the control character U+001B"),
    ('{"a\\nb":' + ENTRY + "}", "the name holds the control character U+000A"),
    ('{"\x7f":' + ENTRY + "}", "the name holds the control character U+007F"),
    ('{"\x85":' + ENTRY + "}", "the name holds the control character U+0085"),
    ('{"a\u202eb":' + ENTRY + "}", r"tensor 'a\u202eb': the name holds the control character U+202E"),
    ('{"a\u2066b":' + ENTRY + "}", "the name holds the control character U+2066"),
    ('{"a\\ud800":' + ENTRY + "}", r"tensor 'a\ud800': the name holds the control character U+D800"),
    ('{"' + "x" * 1025 + '":' + ENTRY + "}", "the name takes 1,025 bytes; at most 1,024 are read"),
    ('{"' + "é" * 513 + '":' + ENTRY + "}", "the name takes 1,026 bytes"),
]


@pytest.mark.parametrize(("header", "text"), BAD)
def test_a_bad_header_is_refused_by_file_and_reason(tmp_path: Path, header: str | bytes, text: str) -> None:
    path = written(tmp_path, blob(header, bytes(4)))

    with pytest.raises(InvalidFileError) as caught:
        read_header(path)

    assert caught.value.message.startswith(f"{path}: ")
    assert text in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 3
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    ("offsets", "text"),
    [
        (([0, 4], [0, 4]), "tensor 'b': it begins at 0, not at 4 where 'a' ends: tensors overlap"),
        (([0, 4], [2, 6]), "tensor 'b': it begins at 2, not at 4 where 'a' ends: tensors overlap"),
        (([0, 4], [8, 12]), "tensor 'b': it begins at 8, not at 4 where 'a' ends: a hole lies before it"),
        (
            ([8, 12], [4, 8]),
            "tensor 'b': it begins at 4, not at 0 where the data begins: a hole lies before it",
        ),
    ],
)
def test_tensors_lie_end_to_end(tmp_path: Path, offsets: tuple[list[int], list[int]], text: str) -> None:
    header = {name: entry(offsets=where) for name, where in zip("ab", offsets, strict=True)}

    with pytest.raises(InvalidFileError) as caught:
        read_header(written(tmp_path, blob(header, bytes(12))))

    assert text in caught.value.message


def test_a_file_cut_short_anywhere_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    content = small()
    for size in range(8, len(content)):
        path = written(tmp_path, content[:size])
        needed = len(content) if size >= len(content) - 30 else len(content) - 30

        with pytest.raises(InvalidFileError) as caught:
            read_header(path)

        assert caught.value.message == (
            f"{path} is cut short: has {size} bytes, header needs {needed}, missing {needed - size}"
        )
        assert "hf download" in caught.value.hint


@pytest.mark.parametrize("size", range(1, 8))
def test_a_file_cut_inside_its_length_is_cut_short(tmp_path: Path, size: int) -> None:
    with pytest.raises(InvalidFileError, match=f"is cut short: has {size} bytes, header needs 10 or more"):
        read_header(written(tmp_path, small()[:size]))


def test_bytes_after_the_last_tensor_are_refused(tmp_path: Path) -> None:
    content = small()
    path = written(tmp_path, content + b"extra")

    with pytest.raises(InvalidFileError) as caught:
        read_header(path)

    assert caught.value.message == (
        f"{path} is too long: has {len(content) + 5} bytes, header needs {len(content)}, "
        "and the last 5 belong to no tensor"
    )


@pytest.mark.parametrize("length", [100_000_001, 2**63, 2**64 - 1])
def test_a_header_longer_than_the_format_allows_is_refused(tmp_path: Path, length: int) -> None:
    content = length.to_bytes(8, "little") + small()[8:]

    with pytest.raises(
        WeightArithError, match=f"its header claims {length:,} bytes, and at most 100,000,000"
    ):
        read_header(written(tmp_path, content))
