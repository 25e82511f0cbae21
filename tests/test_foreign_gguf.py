"""GGUF files that are no models are refused for what they are: control vectors and adapters of llama.cpp."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFWriter

from tests.stores import refused


def control_vector(path: Path) -> None:
    writer = GGUFWriter(path, "controlvector")
    writer.add_string("controlvector.model_hint", "llama")
    writer.add_uint32("controlvector.layer_count", 2)
    writer.add_tensor("direction.1", np.ones(4, np.float32))
    close(writer)


def adapter(path: Path, kind: str = "lora") -> None:
    writer = GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", kind)
    writer.add_float32("adapter.lora.alpha", 16.0)
    writer.add_tensor("blk.0.attn_q.weight.lora_a", np.ones((2, 4), np.float32))
    close(writer)


def model(path: Path) -> None:
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b"])
    writer.add_tensor("token_embd.weight", np.ones((2, 4), np.float32))
    close(writer)


def close(writer: GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            control_vector,
            "is a control vector of llama.cpp for 'llama': directions that are added to activations",
        ),
        (adapter, "is a LoRA adapter of llama.cpp (GGUF)"),
        (lambda path: adapter(path, "other"), "is an adapter of llama.cpp (GGUF)"),
        (model, "GGUF"),
    ],
)
def test_a_file_of_llama_cpp_says_what_it_is(
    write: Callable[[Path], None], message: str, inside: bool, tmp_path: Path
) -> None:
    path = tmp_path / "x.gguf"
    write(path)

    error = refused(tmp_path if inside else path)

    assert message in str(error)
    assert str(path) in str(error)
    assert error.exit_code == 10


@pytest.mark.parametrize(
    "content",
    [
        b"GGUF",
        b"GGUF" + struct.pack("<IQQ", 3, 0, 2**63),
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**64 - 1) + b"general.type",
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 3) + b"\xff\xfe\xfd",
        b"GGUF" + struct.pack(">IQQ", 3, 0, 1),
        b"GGUF" + struct.pack("<IQQQ1sI", 3, 0, 1, 1, b"a", 77),
        b"not such a file",
        b"",
    ],
)
def test_a_damaged_gguf_file_is_refused_and_never_a_crash(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(content)

    assert refused(path).exit_code in (3, 10)
    assert refused(tmp_path).exit_code == 10
