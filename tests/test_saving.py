"""From a sum to files: what is written beside the weights, and what an output survives."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny as models
from tests.conftest import Tiny
from tests.reference import encode, read, snapshot, write
from tests.small import failing, with_head
from weightarith.algebra import Checkpoint, Vector
from weightarith.errors import StorageError, WeightArithError
from weightarith.saving import save

ROOT = Path(__file__).parents[1]


def test_a_merged_folder_holds_what_makes_the_base_a_model(tmp_path: Path, tiny: Tiny) -> None:
    (tiny.base / "modeling_custom.py").write_text("raise SystemExit")
    (tiny.base / "training_args.bin").write_bytes(b"pickle")
    base, tuned = Checkpoint.open(tiny.base, label="base"), Checkpoint.open(tiny.finetuned, label="tuned")

    receipt = save(base + 0.5 * (tuned - base), tmp_path / "out")

    small = {"config.json", "generation_config.json", "tokenizer_config.json", "chat_template.jinja"}
    found = {path.name for path in (tmp_path / "out").iterdir()}
    assert found == small | {"model.safetensors", "weightarith.json"}
    for name in small:
        assert (tmp_path / "out" / name).read_bytes() == (tiny.base / name).read_bytes()
    assert any("code of its own (modeling_custom.py)" in warning for warning in receipt["warnings"])


@pytest.mark.parametrize(
    ("dtype", "code"), [("float32", "F32"), ("float16", "F16"), ("bfloat16", "BF16"), ("float64", "F64")]
)
def test_config_json_names_the_dtype_of_the_weights(
    tmp_path: Path, tiny: Tiny, dtype: str, code: str
) -> None:
    save(Checkpoint.open(tiny.base), tmp_path / "out", dtype=dtype)

    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == dtype
    assert {raw.code for raw in read(tmp_path / "out").values()} == {code}


def test_the_config_of_another_model_names_the_dtype_of_these_weights(tmp_path: Path, tiny: Tiny) -> None:
    base = Checkpoint.open(tiny.base, label="base")
    wide = Checkpoint.open(models.checkpoint(tmp_path / "wide", models.weights(), dtype="F32"), label="wide")

    save(0.5 * base + 0.5 * wide, tmp_path / "out", like="wide")

    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "bfloat16"


def test_a_single_file_comes_with_its_receipt_only(tmp_path: Path, tiny: Tiny) -> None:
    base, tuned = Checkpoint.open(tiny.base), Checkpoint.open(tiny.finetuned)
    (tmp_path / "out").mkdir()

    save(tuned - base, tmp_path / "out" / "v1.5.safetensors")

    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"v1.5.safetensors", "v1.5.weightarith.json"}


def test_a_sharded_output_reads_as_the_same_model(tmp_path: Path, tiny: Tiny) -> None:
    base, tuned = Checkpoint.open(tiny.base), Checkpoint.open(tiny.finetuned)
    save(0.5 * base + 0.5 * tuned, tmp_path / "one")
    save(0.5 * base + 0.5 * tuned, tmp_path / "many", shard_size=3000)

    files = sorted(path.name for path in (tmp_path / "many").glob("*.safetensors"))
    assert files[0] == f"model-00001-of-{len(files):05d}.safetensors"
    assert len(files) > 3
    assert read(tmp_path / "many") == read(tmp_path / "one")
    again = Checkpoint.open(tmp_path / "many")
    save(again, tmp_path / "again")
    assert read(tmp_path / "again") == read(tmp_path / "one")
    index = json.loads((tmp_path / "many" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(len(raw.data) for raw in read(tmp_path / "one").values())


def test_a_fully_trained_head_is_a_displacement_from_the_base_it_was_trained_on(
    tmp_path: Path, tiny: Tiny
) -> None:
    base, other = Checkpoint.open(tiny.base, label="base"), Checkpoint.open(tiny.other, label="other")
    positive = Vector.open(with_head(tiny.positive, 2.0), label="p", base=base)
    negative = Vector.open(with_head(tiny.negative, 0.5), label="n", base=base)
    weights, others = models.load(tiny.base)["lm_head.weight"], models.load(tiny.other)["lm_head.weight"]

    def head(total: Any) -> Any:
        save(total, tmp_path / "out", dtype="float64", overwrite=(tmp_path / "out").exists())
        return models.load(tmp_path / "out")["lm_head.weight"]

    assert np.array_equal(head(base + positive), np.full_like(weights, 2))
    assert np.allclose(head(base + 0.5 * positive), 0.5 * weights + 1, rtol=1e-15)
    assert np.allclose(head(other + positive - negative), others + 1.5, rtol=1e-15)
    assert np.allclose(
        head(other + positive), others + 2 - weights.astype(np.float64), rtol=1e-12, atol=1e-15
    )


def test_two_fully_trained_heads_cancel_the_base_they_share(tmp_path: Path, tiny: Tiny) -> None:
    positive = Vector.open(with_head(tiny.positive, 2.0), label="p")
    negative = Vector.open(with_head(tiny.negative, 0.5), label="n")

    save(positive - negative, tmp_path / "v.safetensors")

    found = models.load(tmp_path / "v.safetensors")
    assert np.array_equal(found["lm_head.weight"], np.full((models.VOCABULARY, models.WIDTH), 1.5))
    assert sum(name.endswith("::A") for name in found) == 14


def test_a_fully_trained_head_without_its_base_is_refused(tmp_path: Path, tiny: Tiny) -> None:
    positive = Vector.open(with_head(tiny.positive, 2.0), label="p")

    with pytest.raises(WeightArithError, match=r"p holds a fully trained 'lm_head\.weight'") as caught:
        save(Checkpoint.open(tiny.base) + positive, tmp_path / "out")

    assert caught.value.exit_code == 4
    assert "base" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_the_base_of_an_adapter_is_an_input_and_no_target(tmp_path: Path, tiny: Tiny) -> None:
    save(Checkpoint.open(tiny.base), tmp_path / "ours")
    base = Checkpoint.open(tmp_path / "ours")
    adapter = Vector.open(with_head(tiny.positive, 2.0), base=base)

    with pytest.raises(WeightArithError, match="is or holds the input") as caught:
        save(0.5 * adapter, tmp_path / "ours", overwrite=True)
    assert caught.value.exit_code == 5


def test_a_vector_is_not_written_where_it_would_load_as_a_model(tmp_path: Path, tiny: Tiny) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "config.json").write_text("{}")

    with pytest.raises(WeightArithError, match="would load as a broken model") as caught:
        save(
            Checkpoint.open(tiny.finetuned) - Checkpoint.open(tiny.base),
            tmp_path / "place" / "model.safetensors",
        )
    assert caught.value.exit_code == 5


def change_when_read(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """Do something to the inputs when the first weight is about to be read."""
    actions, preadv = [action], os.preadv

    def read_after(*arguments: Any) -> int:
        if actions:
            actions.pop()()
        return preadv(*arguments)

    monkeypatch.setattr(os, "preadv", read_after)


@pytest.mark.parametrize("how", ["truncated", "written to", "gone and there is another"])
def test_an_input_that_changes_meanwhile_is_an_error_or_of_no_effect(
    tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    file, expected = tiny.base / "model.safetensors", read(tiny.base)
    base, out = Checkpoint.open(tiny.base), tmp_path / "out"
    content = file.read_bytes()
    if how == "truncated":
        change_when_read(monkeypatch, lambda: os.truncate(file, 3000))
    elif how == "written to":
        change_when_read(monkeypatch, lambda: file.write_bytes(bytes(len(content))))
    else:  # the open file is still the old one
        write(tmp_path / "new.safetensors", {"x": encode([1.0], "F32")})
        change_when_read(monkeypatch, lambda: (tmp_path / "new.safetensors").replace(file))
        save(base, out)
        assert read(out) == expected
        return

    with pytest.raises(WeightArithError, match=r"base/model\.safetensors changed while reading") as caught:
        save(base, out)
    assert caught.value.exit_code == 3
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


def test_an_input_replaced_since_it_was_opened_is_refused(tmp_path: Path, tiny: Tiny) -> None:
    base = Checkpoint.open(tiny.base)
    content = (tiny.base / "model.safetensors").read_bytes()
    (tiny.base / "model.safetensors").unlink()
    (tiny.base / "model.safetensors").write_bytes(content)

    with pytest.raises(WeightArithError, match="changed since its header was read") as caught:
        save(base, tmp_path / "out")
    assert caught.value.exit_code == 3


def test_a_tokenizer_gone_since_the_model_was_opened_leaves_no_output(
    tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = Checkpoint.open(tiny.base)
    change_when_read(monkeypatch, (tiny.base / "tokenizer_config.json").unlink)

    with pytest.raises(StorageError, match=r"tokenizer_config\.json"):
        save(base, tmp_path / "out")
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


CALLS = [("pwrite", number) for number in (0, 1, 9)] + [("posix_fallocate", 0), ("fsync", 0), ("fsync", 3)]


@pytest.mark.parametrize(("call", "number"), CALLS)
@pytest.mark.parametrize("name", ["out", "out.safetensors"])
def test_an_output_survives_a_disk_that_fails(
    tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch, call: str, number: int, name: str
) -> None:
    base, tuned = Checkpoint.open(tiny.base), Checkpoint.open(tiny.finetuned)
    save(base, tmp_path / name)
    before = snapshot(tmp_path)
    monkeypatch.setattr(os, call, failing(getattr(os, call), number, errno.ENOSPC))

    with pytest.raises(StorageError, match="No space left on device") as caught:
        save(0.5 * base + 0.5 * tuned, tmp_path / name, overwrite=True)

    assert caught.value.exit_code == 6
    assert "free some space" in caught.value.hint
    assert snapshot(tmp_path) == before


KILLS = """
import os, signal, sys
from pathlib import Path
from tests.reference import read
from weightarith.algebra import Checkpoint
from weightarith.saving import save
import weightarith.engine.cpu

folder, name = Path(sys.argv[1]), sys.argv[2]
base, tuned = Checkpoint.open(folder / "base"), Checkpoint.open(folder / "tuned")
old, new = read(folder / "base"), read(folder / "tuned")

killed = 0
for call in "open", "posix_fallocate", "pwrite", "fsync", "rename", "unlink", "rmdir", "close":
    for number in range(9):
        child = os.fork()
        if child == 0:
            wrapped, left = getattr(os, call), [None] * number
            def killing(*arguments, **options):
                left.pop() if left else os.kill(os.getpid(), signal.SIGKILL)
                return wrapped(*arguments, **options)
            setattr(os, call, killing)
            save(tuned, folder / name, overwrite=True, threads=1)
            os._exit(0)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        assert read(folder / name) in (old, new), (call, number)
        save(base, folder / name, overwrite=True, threads=1)
        assert read(folder / name) == old
        assert not [path for path in folder.iterdir() if path.name.startswith(".")], (call, number)
print("whole after", killed)
"""


@pytest.mark.parametrize("name", ["out", "out.safetensors"])
def test_an_output_survives_a_kill_at_any_call(tmp_path: Path, name: str) -> None:
    for label, value in (("base", 1.0), ("tuned", 2.0)):
        write(
            tmp_path / label / "model.safetensors", {"a": encode([value], "F32"), "b": encode([value], "F32")}
        )
    save(Checkpoint.open(tmp_path / "base"), tmp_path / name)

    ran = subprocess.run(
        [sys.executable, "-c", KILLS, str(tmp_path), name],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )

    assert ran.stdout.startswith("whole after "), ran.stderr
    assert int(ran.stdout.split()[-1]) > 15
