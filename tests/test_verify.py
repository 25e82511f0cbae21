"""Outputs held against their receipts: what is untouched passes, and what is not is named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny as models
from tests.conftest import Tiny
from tests.reference import encode, write
from weightarith.algebra import Checkpoint, Vector
from weightarith.engine.plan import BLOCK_BYTES
from weightarith.errors import InvalidFileError, UnsupportedError, VerificationError
from weightarith.lowrank import export_adapter, save_compressed
from weightarith.proof import Difference, Verdict, verify
from weightarith.saving import save
from weightarith.store.stage import receipt_path


@pytest.fixture
def merged(tmp_path: Path, tiny: Tiny) -> Path:
    base, tuned = Checkpoint.open(tiny.base, label="base"), Checkpoint.open(tiny.finetuned, label="tuned")
    save(base + 0.5 * (tuned - base), tmp_path / "merged", shard_size=5_000)
    return tmp_path / "merged"


def only(verdict: Verdict) -> Difference:
    (difference,) = verdict.differences
    return difference


def edited(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    receipt = json.loads(receipt_path(path).read_text(encoding="utf-8"))
    change(receipt)
    receipt_path(path).write_text(json.dumps(receipt), encoding="utf-8")


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_an_untouched_output_of_shards_is_what_its_receipt_says(merged: Path) -> None:
    shards = sorted(merged.glob("model-*.safetensors"))

    verdict = verify(merged, threads=2)

    assert len(shards) > 1
    assert verdict.differences == ()
    assert verdict.tensors == len(models.load(merged))
    assert verdict.read == sum(shard.stat().st_size for shard in shards)


def test_every_kind_of_output_is_what_its_receipt_says(tmp_path: Path, tiny: Tiny) -> None:
    base, tuned = Checkpoint.open(tiny.base, label="base"), Checkpoint.open(tiny.finetuned, label="tuned")
    change = tuned - base
    save(change, tmp_path / "v.safetensors")
    save(Vector.open(tiny.positive) - Vector.open(tiny.negative), tmp_path / "factors")
    for encoding in ("sign", "int8", "sparse"):
        save(change, tmp_path / encoding, encoding=encoding)
    save_compressed(change, tmp_path / "thin.safetensors", rank=2)
    export_adapter(change, tmp_path / "adapter", rank=2)

    names = ["v.safetensors", "factors", "sign", "int8", "sparse", "thin.safetensors", "adapter"]
    for name in (*names, "adapter-residual.safetensors"):
        verdict = verify(tmp_path / name)
        assert verdict.differences == (), name
        assert verdict.tensors > 0


def test_tensors_of_many_blocks_and_long_factors_are_hashed_as_they_were(tmp_path: Path) -> None:
    random, rows = np.random.default_rng(0), 4 * BLOCK_BYTES
    tensors = {
        "dense": encode(random.standard_normal(17 * BLOCK_BYTES // 4 + 77), "F32"),
        "long::A": encode(random.standard_normal((5, 3)), "F32"),
        "long::B": encode(random.standard_normal((rows, 5)), "F32"),  # 40 MiB in one piece
        "empty": encode(np.zeros(0), "F32"),
        "one": encode(np.zeros(()), "F32"),
    }
    write(tmp_path / "v.safetensors", tensors, {"weightarith.kind": "vector"})
    save(2 * Vector.open(tmp_path / "v.safetensors"), tmp_path / "w.safetensors")

    seen: list[int] = []
    verdict = verify(tmp_path / "w.safetensors", threads=3, progress=seen.append)

    assert verdict.differences == ()
    assert verdict.tensors == 5
    assert seen == sorted(seen)
    assert seen[-1] == sum(tensor.values.size * 4 for tensor in tensors.values())


def test_a_flipped_bit_is_told_by_its_tensor(merged: Path) -> None:
    shard = sorted(merged.glob("*.safetensors"))[1]
    flip(shard, shard.stat().st_size - 1)
    last = list(models.load(shard))[-1]

    difference = only(verify(merged))

    assert (difference.file, difference.tensor, difference.what) == (shard.name, last, "checksum")


def test_a_flipped_bit_in_what_a_header_says_is_told(tmp_path: Path, tiny: Tiny) -> None:
    save(2 * Vector.open(tiny.positive, label="v"), tmp_path / "w.safetensors")
    path = tmp_path / "w.safetensors"
    path.write_bytes(
        path.read_bytes().replace(b"2\xc2\xb7v", b"3\xc2\xb7v", 1).replace(b"2\\u00b7v", b"3\\u00b7v", 1)
    )

    assert only(verify(path)).what == "SHA-256 of the header"


def test_a_file_cut_short_is_told_with_both_sizes(merged: Path) -> None:
    shard = sorted(merged.glob("*.safetensors"))[0]
    size = shard.stat().st_size
    shard.write_bytes(shard.read_bytes()[:-3])

    assert str(only(verify(merged))) == f"'{shard.name}': bytes: expected {size:,}, found {size - 3:,}"


def test_a_missing_file_is_told(merged: Path) -> None:
    (merged / "config.json").unlink()

    assert str(only(verify(merged))) == "'config.json': the file: expected one, found none"


def test_a_changed_small_file_is_told(merged: Path) -> None:
    (merged / "tokenizer_config.json").write_bytes(
        (merged / "tokenizer_config.json").read_bytes().replace(b"{", b" ", 1)
    )

    difference = only(verify(merged))

    assert (difference.file, difference.what) == ("tokenizer_config.json", "SHA-256")


@pytest.mark.parametrize(
    "name",
    ["adapter_config.json", "modeling.py", "extra.safetensors", "sub/", "x.bin", "notweightarith.json"],
)
def test_a_file_that_some_loader_would_read_is_told(merged: Path, name: str) -> None:
    (merged / name).mkdir() if name.endswith("/") else (merged / name).write_bytes(b"{}")

    difference = only(verify(merged))

    assert (difference.file, difference.what) == (name, "a file that the receipt does not know")


def test_a_card_and_a_licence_may_lie_beside_an_output(merged: Path) -> None:
    for name in ("README.md", "LICENSE", ".gitattributes"):
        (merged / name).write_text("text", encoding="utf-8")

    verdict = verify(merged)

    assert verdict.differences == ()
    assert verdict.notes == (
        "not in the receipt, and read by no loader: '.gitattributes', 'LICENSE', 'README.md'",
    )


def test_an_edited_receipt_is_told_by_what_was_edited(merged: Path) -> None:
    name, shard = "model.norm.weight", sorted(merged.glob("*.safetensors"))[-1].name

    edited(merged, lambda receipt: receipt["tensors"][name].update(xxh3="0" * 32))
    assert str(only(verify(merged))).startswith(
        f"'{shard}', tensor '{name}': checksum: expected {'0' * 32}, found "
    )

    edited(merged, lambda receipt: receipt["tensors"].pop(name))
    assert only(verify(merged)).what == "a tensor that the receipt does not know"

    edited(merged, lambda receipt: receipt["tensors"].update({name: receipt["tensors"]["lm_head.weight"]}))
    assert {each.what for each in verify(merged).differences} == {"shape", "checksum"}

    edited(merged, lambda receipt: receipt["tensors"].update(more=receipt["tensors"][name]))
    assert "tensor 'more': the tensor: expected one, found none" in str(verify(merged).differences[-1])


def test_what_a_training_wrote_is_compared_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "positive").mkdir()
    content = b"weights"
    told = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    names = ["model.safetensors", "positive", "training.json"]
    receipt = {"receipt": 1, "kind": "run", "files": names, "beside": {names[0]: told}}
    (tmp_path / "weightarith.json").write_text(json.dumps(receipt), encoding="utf-8")
    (tmp_path / "training.json").write_text("{}", encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes(content)

    verdict = verify(tmp_path)
    assert (verdict.files, verdict.differences) == (1, ())
    assert verdict.notes == ("named in the receipt, and not compared: 'positive', 'training.json'",)

    (tmp_path / "model.safetensors").write_bytes(b"Weights")
    assert only(verify(tmp_path)).what == "SHA-256"


def test_all_that_differs_is_told_at_once(merged: Path) -> None:
    first, second, *_ = sorted(merged.glob("*.safetensors"))
    flip(first, first.stat().st_size - 1)
    flip(second, second.stat().st_size - 1)
    (merged / "config.json").unlink()

    verdict = verify(merged)

    assert [each.file for each in verdict.differences] == ["config.json", first.name, second.name]
    with pytest.raises(VerificationError) as raised:
        verdict.check("what its receipt says", hint="look")
    assert raised.value.exit_code == 9
    assert str(raised.value).count("\n  ") == 4


def test_a_renamed_file_is_the_same_output(tmp_path: Path, tiny: Tiny) -> None:
    save(2 * Vector.open(tiny.positive), tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").rename(tmp_path / "x.safetensors")
    (tmp_path / "w.weightarith.json").rename(tmp_path / "x.weightarith.json")

    assert verify(tmp_path / "x.safetensors").differences == ()


def test_a_receipt_of_before_says_what_it_leaves_out(merged: Path) -> None:
    edited(merged, lambda receipt: [receipt.pop(key) for key in ("beside", "headers")])
    (merged / "more.json").write_text("{}", encoding="utf-8")

    verdict = verify(merged)

    assert verdict.differences == ()
    assert "says nothing of the small files" in verdict.notes[0]


def test_whole_files_are_hashed_where_the_receipt_has_hashes(merged: Path) -> None:
    from weightarith.tensorfile.digest import sha256_of

    with pytest.raises(UnsupportedError, match=r"holds no SHA-256 of 'model-00001"):
        verify(merged, sha256=True)
    hashes = {path.name: sha256_of(path) for path in merged.glob("*.safetensors")}
    edited(merged, lambda receipt: receipt.update(sha256=hashes))
    assert verify(merged, sha256=True).differences == ()
    edited(merged, lambda receipt: receipt["sha256"].update({min(hashes): "0" * 64}))
    assert only(verify(merged, sha256=True)).what == "SHA-256"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"files": {"../x": 1}}, "'../x' is no name of a file beside it"),
        ({"files": {"x": -1}}, "files: the entry of 'x' is not what a receipt has"),
        ({"beside": {"a/b": {"bytes": 1, "sha256": "0" * 64}}}, "'a/b' is no name"),
        ({"beside": {"a": {"bytes": 1, "sha256": "xyz"}}}, "sha256: the entry of 'a'"),
        ({"tensors": {"x": {"xxh3": 5}}}, "tensors: the entry of 'x'"),
        ({"tensors": []}, "tensors is no table"),
        ({"receipt": "1"}, "is no receipt of weightarith"),
    ],
)
def test_a_receipt_that_is_none_is_refused(merged: Path, change: dict[str, object], told: str) -> None:
    edited(merged, lambda receipt: receipt.update(change))

    with pytest.raises(InvalidFileError, match=told):
        verify(merged)


def test_what_has_no_receipt_cannot_be_verified(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(InvalidFileError, match=r"has no receipt: there is no 'weightarith\.json'"):
        verify(tiny.base)
    with pytest.raises(InvalidFileError, match="no such file or folder"):
        verify(tmp_path / "nothing")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "weightarith.json").write_text('{"receipt": 1, "files": ["a"]}', encoding="utf-8")
    with pytest.raises(UnsupportedError, match="neither sizes nor checksums"):
        verify(tmp_path / "run")
