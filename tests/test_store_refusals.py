"""Tensors and files that are refused: quantised, factors that do not fit, of another format."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny
from tests.stores import INDEX, ONE, VECTOR, refused, write_json
from weightarith.errors import UnsupportedError
from weightarith.store import open_source
from weightarith.tensorfile.dtypes import DTYPES


def blank(path: Path, tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
    """Write a safetensors file of zeros of any dtype."""
    header, start = {}, 0
    for name, (code, shape) in tensors.items():
        stop = start + DTYPES[code].nbytes(int(np.prod(shape)))
        header[name] = {"dtype": code, "shape": list(shape), "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(start))


W = "model.layers.0.mlp.up_proj"


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({f"{W}.qweight": "I32", f"{W}.qzeros": "I32", f"{W}.scales": "F16"}, "quantised (GPTQ or AWQ)"),
        ({f"{W}.weight": "U8", f"{W}.weight.absmax": "U8"}, "quantised (bitsandbytes 4-bit)"),
        ({f"{W}.weight": "I8", f"{W}.SCB": "F32"}, "quantised (bitsandbytes 8-bit)"),
        ({f"{W}.weight": "F8_E4M3", f"{W}.weight_scale_inv": "F32"}, "with scales)"),
        ({f"{W}.weight_scale": "BF16", f"{W}.weight": "F8_E4M3"}, "quantised (fp8 or int8 with scales)"),
        ({f"{W}.weight": "I8", f"{W}.weight_scale": "F32"}, "(I8 with scales)"),
        ({f"{W}.weight_packed": "I32", f"{W}.weight_scale": "BF16"}, "quantised (compressed-tensors)"),
        ({f"{W}_blocks": "U8", f"{W}_scales": "U8"}, "_blocks' (U8) is no plain weight"),
        ({f"{W}.codebooks": "F16", f"{W}.codes": "I8"}, "quantised (AQLM)"),
    ],
)
def test_quantised_tensors_are_refused_by_scheme_and_name(
    tensors: dict[str, str], message: str, tmp_path: Path
) -> None:
    blank(tmp_path / "model.safetensors", {name: (code, (4, 4)) for name, code in tensors.items()})

    error = refused(tmp_path)

    assert message in str(error)
    assert W in str(error)
    assert error.exit_code == 10


@pytest.mark.parametrize("method", ["gptq", "awq", "bitsandbytes", "fp8", "compressed-tensors", "mxfp4"])
def test_a_quantised_config_is_refused_with_its_method_and_source(method: str, tmp_path: Path) -> None:
    tiny.checkpoint(tmp_path, tiny.weights(depth=1))
    write_json(
        tmp_path / "config.json",
        {"quantization_config": {"quant_method": method}, "_name_or_path": "org/whole"},
    )

    error = refused(tmp_path)

    assert f"config.json says quantization_config.quant_method is '{method}'" in str(error)
    assert "config.json names 'org/whole'" in str(error)
    assert error.exit_code == 10


@pytest.mark.parametrize(
    ("config", "method"),
    [
        ({"quantization_config": {"load_in_4bit": True}}, "bitsandbytes"),
        ({"text_config": {"quantization_config": {"quant_method": "fp8"}}}, "fp8"),
        ({"compression_config": {"format": "x"}}, "unknown"),
        ({"quantization_config": "int4"}, "unknown"),
    ],
)
def test_quantisation_is_found_wherever_a_config_says_it(
    config: dict[str, Any], method: str, tmp_path: Path
) -> None:
    tiny.checkpoint(tmp_path, tiny.weights(depth=1))
    write_json(tmp_path / "config.json", config)

    assert f"quant_method is '{method}'" in str(refused(tmp_path))


def test_dtypes_without_arithmetic_are_no_sign_of_quantisation(tmp_path: Path) -> None:
    blank(tmp_path / "model.safetensors", {"position_ids": ("I64", (1, 4)), "table": ("F8_E4M3", (4,))})

    assert open_source(tmp_path).tensors.keys() == {"position_ids", "table"}


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        ({"q::A": (2, 5)}, VECTOR, "holds 'q::A' without its other factor, B"),
        ({"q::B": (5, 2)}, VECTOR, "holds 'q::B' without its other factor, A"),
        ({"q::A": (2, 5), "q::B": (7, 3)}, VECTOR, "of 'q' in"),
        ({"q::A": (2, 5), "q::B": (7, 3)}, VECTOR, "A is [2, 5], B is [7, 3], expected A (rank, in)"),
        ({"q::A": (2,), "q::B": (7, 2)}, VECTOR, "A is [2], B is [7, 2]"),
        ({"q::A": (0, 5), "q::B": (7, 0)}, VECTOR, "A is [0, 5], B is [7, 0]"),
        ({"q::A": (2, 5), "q::B": (7, 2), "q": (7, 5)}, VECTOR, "holds 'q' twice, dense and factored"),
        ({"q::scale": (7,)}, VECTOR, "holds 'q::scale': of the suffixes after :: only A and B are known"),
        ({"::A": (2, 5), "::B": (7, 2)}, VECTOR, "holds '::A'"),
        ({"q::A::B": (2, 5)}, VECTOR, "holds 'q::A::B'"),
        ({"q::A": (2, 5), "q::B": (7, 2)}, {}, "a name of vectors, and its header does not say it is one"),
    ],
)
def test_factors_that_do_not_fit_are_refused_by_name(
    tensors: dict[str, tuple[int, ...]], metadata: dict[str, str], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "v.safetensors"
    tiny.save(path, {name: np.zeros(shape) for name, shape in tensors.items()}, metadata=metadata)

    error = refused(path)

    assert message in str(error)
    assert error.exit_code == 3


def test_a_displacement_of_integers_is_refused(tmp_path: Path) -> None:
    tiny.save(tmp_path / "v.safetensors", {"ids": np.zeros(3, np.int64)}, metadata=VECTOR)

    error = refused(tmp_path / "v.safetensors")

    assert "stores 'ids' as I64, expected F64, F32, F16 or BF16" in str(error)
    assert error.exit_code == 10


@pytest.mark.parametrize(
    "metadata", [{"weightarith.kind": "patch"}, {"weightarith.kind": "vector", "weightarith.spec": "2"}]
)
def test_files_of_a_later_format_are_refused(metadata: dict[str, str], tmp_path: Path) -> None:
    tiny.save(tmp_path / "x.safetensors", ONE, metadata=metadata)

    assert isinstance(refused(tmp_path / "x.safetensors"), UnsupportedError)


def test_lora_factors_without_their_settings_are_refused(tmp_path: Path) -> None:
    folder = tiny.adapter(tmp_path / "adapter")

    error = refused(folder / "adapter_model.safetensors")

    assert "holds the LoRA factor" in str(error)
    assert f"give the adapter's folder, which holds both: {folder}" in str(error)


@pytest.mark.parametrize(
    ("name", "content", "exit_code", "message"),
    [
        ("gone.safetensors", None, 3, "no such file"),
        ("x" * 300, None, 3, "no such file"),
        (INDEX, b"{}", 3, "give its folder"),
        ("model.bin", b"\x80\x02}q\x00(X\x05\x00\x00\x00hello.", 10, "pickle"),
        ("model.gguf", b"GGUF\x03\0\0\0" + bytes(16), 10, "GGUF"),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", 3, "Git LFS"),
    ],
)
def test_a_path_that_is_no_safetensors_file_says_what_it_is(
    name: str, content: bytes | None, exit_code: int, message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)

    error = refused(tmp_path / name)

    assert message in str(error)
    assert error.exit_code == exit_code
