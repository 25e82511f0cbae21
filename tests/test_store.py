"""Inputs are told apart by their files and opened by their headers; what does not agree is refused."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import tiny
from weightarith.errors import InvalidFileError, UnsupportedError, WeightArithError
from weightarith.store import open_source
from weightarith.tensorfile.dtypes import DTYPES

INDEX = "model.safetensors.index.json"
VECTOR = {"weightarith.kind": "vector", "weightarith.spec": "1"}
ONE = {"a": np.zeros((2, 3)), "b": np.zeros(3)}


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


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def sharded(folder: Path, stem: str = "model", metadata: Mapping[str, str] | None = None) -> Path:
    """Write a folder of two shards with their index; return it."""
    shards = {f"{stem}-00001-of-00002.safetensors": ["a"], f"{stem}-00002-of-00002.safetensors": ["b"]}
    for shard, names in shards.items():
        tiny.save(folder / shard, {name: ONE[name] for name in names}, metadata=metadata)
    placed = {name: shard for shard, names in shards.items() for name in names}
    write_json(folder / f"{stem}.safetensors.index.json", {"metadata": {}, "weight_map": placed})
    return folder


def place(folder: Path, **changes: Any) -> None:
    """Change where the index of `folder` says tensors are; `...` removes one."""
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    placed = index["weight_map"] | changes
    index["weight_map"] = {name: shard for name, shard in placed.items() if shard is not ...}
    write_json(folder / INDEX, index)


def refused(path: Path, kind: Any = None) -> WeightArithError:
    with pytest.raises(WeightArithError) as caught:
        open_source(path, kind)
    return caught.value


def test_a_folder_with_one_file_is_a_checkpoint_with_its_config(tmp_path: Path) -> None:
    weights = tiny.weights(tied=True)

    source = open_source(tiny.checkpoint(tmp_path, weights))

    assert (source.kind, source.folder, source.tied) == ("checkpoint", tmp_path, True)
    assert {name: stored.info.shape for name, stored in source.tensors.items()} == {
        name: values.shape for name, values in weights.items()
    }


def test_shards_are_one_checkpoint(tmp_path: Path) -> None:
    source = open_source(sharded(tmp_path))

    assert [file.path.name[:11] for file in source.files] == ["model-00001", "model-00002"]
    assert source.tensors["b"].file is source.files[1]
    assert source.config is None


def test_a_single_file_is_a_checkpoint_unless_its_header_says_vector(tmp_path: Path) -> None:
    tiny.save(tmp_path / "a.safetensors", ONE)
    tiny.save(tmp_path / "v.safetensors", ONE, metadata=VECTOR)

    assert open_source(tmp_path / "a.safetensors").kind == "checkpoint"
    assert open_source(tmp_path / "a.safetensors", "vector").kind == "vector"
    assert open_source(tmp_path / "v.safetensors").kind == "vector"
    assert open_source(tmp_path / "v.safetensors").metadata == VECTOR
    assert open_source(tmp_path / "v.safetensors").folder is None


def test_a_single_file_has_the_config_beside_it_only_as_the_model_of_its_folder(tmp_path: Path) -> None:
    tiny.checkpoint(tmp_path, tiny.weights(depth=1))
    tiny.save(tmp_path / "other.safetensors", ONE)

    assert open_source(tmp_path / "model.safetensors").config is not None
    assert open_source(tmp_path / "other.safetensors").config is None


def test_a_vector_folder_is_told_by_the_name_of_its_file(tmp_path: Path) -> None:
    tiny.save(tmp_path / "one" / "vector.safetensors", ONE)
    sharded(tmp_path / "many", "vector", VECTOR)

    assert open_source(tmp_path / "one").kind == "vector"
    assert open_source(tmp_path / "many").tensors.keys() == ONE.keys()
    assert open_source(tmp_path / "many").metadata == VECTOR


def test_a_vector_holds_dense_tensors_and_factors_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    tiny.save(
        path,
        {"norm": np.zeros(3), "q::A": np.zeros((2, 5)), "q::B": np.zeros((7, 2))},
        dtype="F32",
        metadata=VECTOR,
    )

    source = open_source(path)

    assert source.tensors.keys() == {"norm"}
    assert (source.factors["q"].shape, source.factors["q"].rank, source.factors["q"].scale) == ((7, 5), 2, 1)


def test_an_adapter_folder_is_an_adapter_and_passes_for_a_vector(tmp_path: Path) -> None:
    folder = tiny.adapter(tmp_path)

    assert open_source(folder).kind == open_source(folder, "vector").kind == "adapter"
    assert len(open_source(folder).factors) == 14
    assert open_source(folder).config is not None


def test_pickles_of_trainers_and_second_copies_beside_a_checkpoint_are_left_alone(tmp_path: Path) -> None:
    tiny.checkpoint(tmp_path, tiny.weights(depth=1))
    for name in ("pytorch_model.bin", "optimizer.pt", "consolidated.safetensors", "._model.safetensors"):
        (tmp_path / name).write_bytes(b"not read")

    assert open_source(tmp_path).kind == "checkpoint"


def test_a_folder_with_a_model_and_an_adapter_needs_to_be_told_which(tmp_path: Path) -> None:
    tiny.checkpoint(tmp_path, tiny.weights(depth=1))
    tiny.adapter(tmp_path)

    error = refused(tmp_path)

    assert "holds an adapter and 'model.safetensors': which of them is meant is not clear" in str(error)
    assert open_source(tmp_path, "checkpoint").kind == "checkpoint"
    assert open_source(tmp_path, "adapter").kind == "adapter"


@pytest.mark.parametrize(
    ("shard", "found"),
    [
        ("../canary.safetensors", "'../canary.safetensors'"),
        ("/etc/passwd", "'/etc/passwd'"),
        ("/etc/x.safetensors", "'/etc/x.safetensors'"),
        ("C:\\x.safetensors", "'C:\\x.safetensors'"),
        ("C:x.safetensors", "'C:x.safetensors'"),
        ("sub/x.safetensors", "'sub/x.safetensors'"),
        ("x\0.safetensors", "'x\\x00.safetensors'"),
        ("x\x1b[2J.safetensors", "'x\\x1b[2J.safetensors'"),
        (".hidden.safetensors", "'.hidden.safetensors'"),
        ("x" * 300 + ".safetensors", "'xxxx"),
        ("..", "'..'"),
        ("", "''"),
        ("pytorch_model.bin", "'pytorch_model.bin'"),
        (None, "None"),
        (["model.safetensors"], "['model.safetensors']"),
        (7, "7"),
    ],
)
def test_an_index_names_plain_files_of_its_own_folder(shard: Any, found: str, tmp_path: Path) -> None:
    tiny.save(tmp_path / "canary.safetensors", {"a": np.zeros((2, 3))})
    folder = sharded(tmp_path / "model")
    place(folder, a=shard)

    error = refused(folder)

    assert f"{INDEX} places 'a' in {found}" in str(error)
    assert "expected the plain name of a .safetensors file" in str(error)
    assert error.exit_code == 3


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shard=st.text() | st.text("./\\:\0~ab").map(lambda text: text + ".safetensors"))
def test_no_text_in_an_index_is_a_crash_or_a_way_out(shard: str, tmp_path: Path) -> None:
    folder = sharded(tmp_path / "model")
    place(folder, a=shard)

    assert refused(folder).exit_code == 3


FIRST, SECOND = (f"model-0000{shard}-of-00002.safetensors" for shard in (1, 2))


def remove(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).unlink()


def dangle(folder: Path) -> None:
    remove(folder, SECOND)
    (folder / SECOND).symlink_to("../blobs/gone")


def write(folder: Path, name: str, content: str | bytes) -> None:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "shard missing": (lambda f: remove(f, FIRST), f"names 2 files and 1 are missing: '{FIRST}'"),
    "shard a dangling link": (dangle, f"names 2 files and 1 are missing: '{SECOND}'"),
    "shard never there": (
        lambda f: place(f, c="other.safetensors"),
        "names 3 files and 1 are missing: 'other.safetensors'",
    ),
    "stale file": (
        lambda f: tiny.save(f / "stale.safetensors", ONE),
        f"holds 'stale.safetensors', not named by '{INDEX}'",
    ),
    "whole model beside": (
        lambda f: tiny.save(f / "model.safetensors", ONE),
        "holds 'model.safetensors', not named by",
    ),
    "vector beside": (
        lambda f: tiny.save(f / "vector.safetensors", ONE),
        "holds 'vector.safetensors', not named by",
    ),
    "shards exchanged": (
        lambda f: place(f, a=SECOND, b=FIRST),
        f"places 'a' in '{SECOND}', which does not hold it; '{FIRST}' does",
    ),
    "tensor nowhere": (lambda f: place(f, c=FIRST), f"places 'c' in '{FIRST}', which does not hold it"),
    "tensor not in the index": (
        lambda f: tiny.save(f / SECOND, {"b": ONE["b"], "c": ONE["b"]}),
        "holds 'c', and the index lacks it",
    ),
    "tensor in two shards": (
        lambda f: tiny.save(f / SECOND, ONE),
        f"{SECOND} holds 'a', and the index places it in '{FIRST}'",
    ),
    "index cut": (lambda f: write(f, INDEX, "{"), f"{INDEX}: not valid JSON: "),
    "index empty": (lambda f: write(f, INDEX, ""), f"{INDEX}: not valid JSON: "),
    "index not UTF-8": (lambda f: write(f, INDEX, b"\xff{}"), f"{INDEX}: not valid JSON: 'utf-8' codec"),
    "index with a name twice": (
        lambda f: write(f, INDEX, '{"weight_map": {"a": "x", "a": "y"}}'),
        "'a' is there twice, and readers do not agree which one counts",
    ),
    "index without tensors": (lambda f: write(f, INDEX, '{"weight_map": {}}'), "has no weight_map"),
    "index without map": (lambda f: write(f, INDEX, "{}"), "has no weight_map"),
    "index a list": (lambda f: write(f, INDEX, "[]"), "its JSON is a list, expected an object"),
    "index too deep": (lambda f: write(f, INDEX, "[" * 100_000), "its JSON is nested too deep"),
    "index missing": (lambda f: remove(f, INDEX), f"holds 2 safetensors files and no {INDEX}"),
    "one shard alone": (lambda f: remove(f, INDEX, SECOND), f"{FIRST} is one of 2 files, and there is no"),
    "config with a key twice": (
        lambda f: write(f, "config.json", '{"a": 1, "a": 2}'),
        "config.json: not valid JSON: 'a' is there twice",
    ),
    "config null": (lambda f: write(f, "config.json", "null"), "config.json: its JSON is a NoneType"),
    "config a pipe": (lambda f: os.mkfifo(f / "config.json"), "config.json is a named pipe"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_folder_that_does_not_agree_with_itself_is_refused(damage: str, tmp_path: Path) -> None:
    do, message = DAMAGE[damage]
    folder = sharded(tmp_path / "model")
    do(folder)

    error = refused(folder)

    assert message in str(error)
    assert isinstance(error, InvalidFileError)


def test_a_config_over_the_limit_is_not_read(tmp_path: Path) -> None:
    folder = sharded(tmp_path)
    with (folder / "config.json").open("wb") as file:
        file.truncate(20_000_000)

    assert "has 20,000,000 bytes, and at most 16,000,000 are read" in str(refused(folder))


def test_a_config_is_data_and_its_code_references_are_never_followed(tmp_path: Path) -> None:
    folder = sharded(tmp_path)
    config = {"auto_map": {"AutoModel": "evil--x.Y"}, "time_step_limit": [0.0, float("inf")]}
    write_json(folder / "config.json", config)

    assert open_source(folder).config == config


@pytest.mark.parametrize(
    ("names", "exit_code", "message"),
    [
        (["pytorch_model.bin"], 10, "pytorch_model.bin is a pickle"),
        (["pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json"], 10, "is a pickle"),
        (["model.pt", "optimizer.pt"], 10, "model.pt is a pickle"),
        (["model.pth", "rng_state.pth"], 10, "model.pth is a pickle"),
        (["model.Q4_K_M.gguf", "README.md"], 10, "model.Q4_K_M.gguf is GGUF"),
        (["consolidated.safetensors", "params.json"], 10, "has Mistral's own tensor names"),
        (["consolidated.00.pth"], 10, "is a pickle"),
        (["tf_model.h5"], 10, "is of another framework"),
        (["optimizer.pt", "training_args.bin", "rng_state_0.pth"], 3, "holds no .safetensors file; it holds"),
        (["config.json"], 3, "holds no .safetensors file; it holds 'config.json'"),
        ([], 3, "it holds nothing"),
    ],
)
def test_a_folder_without_safetensors_says_what_it_holds(
    names: list[str], exit_code: int, message: str, tmp_path: Path
) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"never read")

    error = refused(tmp_path)

    assert message in str(error)
    assert error.exit_code == exit_code


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


def test_shards_of_two_vectors_do_not_make_one(tmp_path: Path) -> None:
    sharded(tmp_path, "vector", VECTOR | {"weightarith.expression": "a - b"})
    second = tmp_path / "vector-00002-of-00002.safetensors"
    tiny.save(second, {"b": ONE["b"]}, metadata=VECTOR | {"weightarith.expression": "a - c"})

    assert "their metadata differ in 'weightarith.expression'" in str(refused(tmp_path))


@pytest.mark.parametrize(
    ("make", "kind", "found"),
    [
        (lambda path: tiny.checkpoint(path, tiny.weights(depth=1)), "vector", "checkpoint"),
        (lambda path: tiny.checkpoint(path, tiny.weights(depth=1)), "adapter", "checkpoint"),
        (tiny.adapter, "checkpoint", "adapter"),
        (lambda path: tiny.save(path / "vector.safetensors", ONE), "checkpoint", "vector"),
    ],
)
def test_another_kind_than_asked_for_is_refused(
    make: Callable[[Path], Any], kind: str, found: str, tmp_path: Path
) -> None:
    make(tmp_path)

    error = refused(tmp_path, kind)

    assert str(error) == f"{tmp_path} is of kind {found}, expected {kind}"
    assert error.exit_code == 10


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


def test_opening_reads_headers_only_and_imports_no_framework(tmp_path: Path) -> None:
    tiny.checkpoint(tmp_path / "base", tiny.weights(depth=1))
    tiny.adapter(tmp_path / "adapter", depth=1)
    program = (
        "import sys; from pathlib import Path; from weightarith.store import open_source\n"
        "for path in sys.argv[1:]: open_source(Path(path))\n"
        "print(*{'torch', 'transformers', 'peft', 'numpy', 'numba', 'huggingface_hub'} & sys.modules.keys())"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "base"), str(tmp_path / "adapter")]

    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert printed.strip() == ""
