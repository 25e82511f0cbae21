"""The receipt beside an output: what it says is what a second look at the bytes finds."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xxhash

from tests import tiny as models
from tests.conftest import Tiny
from tests.reference import Raw, encode, read, write
from tests.small import with_head
from weightarith.algebra import Checkpoint, Vector
from weightarith.engine.plan import BLOCK_BYTES
from weightarith.engine.settings import Policy
from weightarith.saving import save
from weightarith.store.stage import receipt_path


def opened(tiny: Tiny) -> tuple[Checkpoint, Checkpoint]:
    return Checkpoint.open(tiny.base, label="base"), Checkpoint.open(tiny.finetuned, label="tuned")


def receipt_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(receipt_path(path).read_text(encoding="utf-8"))
    return found


def test_the_receipt_on_disk_is_the_one_returned(tmp_path: Path, tiny: Tiny) -> None:
    base, tuned = opened(tiny)
    for name in ("out", "out.safetensors"):
        receipt = save(base + 0.5 * (tuned - base), tmp_path / name)

        assert receipt_of(tmp_path / name) == receipt
        assert receipt["expression"] == "0.5·base + 0.5·tuned"
        assert receipt["kind"] == "checkpoint"
        assert receipt["anchor"] == "base"


def test_every_tensor_has_the_checksum_of_its_bytes(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    sizes = {"small": 10, "one.block": BLOCK_BYTES // 2, "blocks": BLOCK_BYTES + 77, "empty": 0}
    for label in ("base", "tuned"):
        tensors = {name: encode(random.standard_normal(size), "BF16") for name, size in sizes.items()}
        write(tmp_path / label / "model.safetensors", tensors)
    base, tuned = (Checkpoint.open(tmp_path / label) for label in ("base", "tuned"))

    told = save(base + 0.3 * (tuned - base), tmp_path / "out")["tensors"]

    def checksum(data: bytes) -> str:
        parts = [data[start : start + BLOCK_BYTES] for start in range(0, max(len(data), 1), BLOCK_BYTES)]
        whole = xxhash.xxh3_128_digest(data)
        return (
            whole if len(parts) == 1 else xxhash.xxh3_128_digest(b"".join(map(xxhash.xxh3_128_digest, parts)))
        ).hex()

    for name, raw in read(tmp_path / "out").items():
        assert told[name]["xxh3"] == checksum(raw.data)
        assert told[name]["shape"] == list(raw.shape)
        assert told[name]["dtype"] == raw.code


def test_inputs_are_told_by_size_and_header(tmp_path: Path, tiny: Tiny) -> None:
    base, tuned = opened(tiny)
    adapter = Vector.open(
        with_head(tiny.positive, 1.0), label="v", base=Checkpoint.open(tiny.other, label="other")
    )
    told = {each["label"]: each for each in save(base + (tuned - base) + adapter, tmp_path / "out")["inputs"]}

    assert set(told) == {
        "base",
        "tuned",
        "v",
        "other",
    }  # the base of an adapter with a trained head is read too
    file = tiny.finetuned / "model.safetensors"
    content = file.read_bytes()
    header = content[: 8 + int.from_bytes(content[:8], "little")]
    assert told["tuned"]["files"] == {
        "model.safetensors": {"bytes": len(content), "header_sha256": hashlib.sha256(header).hexdigest()}
    }
    assert told["v"]["kind"] == "adapter"


def test_the_change_is_the_one_asked_for_and_the_one_left_after_rounding(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    base = encode(random.normal(0, 0.02, 40_000), "BF16")
    change = encode(random.normal(0, 2e-5, 40_000), "F32")
    write(tmp_path / "base" / "model.safetensors", {"a": base, "b": base})
    write(tmp_path / "v.safetensors", {"a": change}, {"weightarith.kind": "vector"})
    total = Checkpoint.open(tmp_path / "base") + 3 * Vector.open(tmp_path / "v.safetensors")

    receipt = save(total, tmp_path / "out")

    wanted, got = 3 * change.values, read(tmp_path / "out")["a"].values - base.values
    told = receipt["change"]
    assert told["intended"] == pytest.approx(np.linalg.norm(wanted), rel=1e-5)
    assert told["realised"] == pytest.approx(np.linalg.norm(got), rel=1e-5)
    assert told["gain"] == pytest.approx(wanted @ got / (wanted @ wanted), rel=1e-5)
    cosine = wanted @ got / np.linalg.norm(wanted) / np.linalg.norm(got)
    assert told["cosine"] == pytest.approx(cosine, rel=1e-5)
    assert told["cosine"] < 0.95
    assert told["elements_changed"] == np.count_nonzero(got)
    assert receipt["tensors"]["a"]["gain"] == told["gain"]
    assert "gain" not in receipt["tensors"]["b"]
    assert save(total, tmp_path / "wide", dtype="float32")["change"]["gain"] == pytest.approx(1, abs=1e-5)


def test_the_ledger_names_every_tensor_once_with_its_fate(tmp_path: Path) -> None:
    one, two = encode([1.0], "F32"), encode([2.0], "F32")
    count = Raw("I64", (1,), bytes(8))
    write(tmp_path / "base" / "model.safetensors", {"moved": one, "kept": one, "count": count})
    write(tmp_path / "tuned" / "model.safetensors", {"moved": two, "extra": two, "count": count})
    write(tmp_path / "other" / "model.safetensors", {"moved": two, "extra": two, "count": count})
    base, *others = (Checkpoint.open(tmp_path / label, label=label) for label in ("base", "tuned", "other"))

    receipt = save(base + others[0] - others[1], tmp_path / "out", policy=Policy(names="base"))

    assert {name: fate for name, (fate, _) in receipt["ledger"].items()} == {
        "moved": "changed", "kept": "copied", "count": "copied", "extra": "absent",
    }  # fmt: skip
    assert receipt["counts"] == {"changed": 1, "copied": 2, "absent": 1}
    assert "tuned" in receipt["ledger"]["extra"][1]
    assert "other" in receipt["ledger"]["extra"][1]
    assert receipt["policy"]["names"] == "base"


def test_equal_runs_leave_equal_receipts(tmp_path: Path, tiny: Tiny) -> None:
    base, tuned = opened(tiny)
    for name in ("one", "two"):
        save(base + 0.3 * (tuned - base), tmp_path / name, threads=2 if name == "two" else 1)

    assert (tmp_path / "one" / "weightarith.json").read_bytes() == (
        tmp_path / "two" / "weightarith.json"
    ).read_bytes()


def test_a_receipt_is_plain_json_whatever_the_numbers(tmp_path: Path) -> None:
    write(tmp_path / "base" / "model.safetensors", {"x": encode([1e300, -1e300], "F64")})
    write(tmp_path / "tuned" / "model.safetensors", {"x": encode([-1e300, 1e300], "F64")})
    base, tuned = (Checkpoint.open(tmp_path / label) for label in ("base", "tuned"))

    save(base + 0.5 * (tuned - base), tmp_path / "out")

    json.loads(receipt_path(tmp_path / "out").read_text(), parse_constant=pytest.fail)


def test_a_factored_vector_is_in_the_receipt_too(tmp_path: Path, tiny: Tiny) -> None:
    receipt = save(Vector.open(tiny.positive) - Vector.open(tiny.negative), tmp_path / "v.safetensors")

    assert set(receipt["tensors"]) == set(models.load(tmp_path / "v.safetensors"))
    assert receipt["counts"]["changed"] == len(receipt["tensors"]) / 2
