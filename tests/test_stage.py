"""Publishing: at once or not at all, never onto what must stay, one writer at a time."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.reference import snapshot
from tests.small import failing
from weightarith.errors import LockedError, StorageError, TargetError, WeightArithError
from weightarith.store.lock import is_dead
from weightarith.store.stage import check_target, receipt_path, staged, write_small

HOST = os.uname().nodename


def publish(target: Path, content: bytes, *, overwrite: bool = False) -> None:
    """Publish a folder of two files, or a file with its receipt."""
    with staged(target, needed=len(content), overwrite=overwrite) as folder:
        single = target.suffix == ".safetensors"
        write_small(folder / (target.name if single else "model.safetensors"), content)
        write_small(folder / receipt_path(target).name, b"receipt of " + content)


@pytest.fixture(params=["folder", "file.safetensors"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / "outputs" / str(request.param)


@pytest.fixture(autouse=True)
def outputs(tmp_path: Path) -> Path:
    (tmp_path / "outputs").mkdir()
    return tmp_path / "outputs"


@pytest.fixture(params=["exchange", "fallback"])
def _either_exchange(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with the system call that swaps two paths, and without it."""
    if request.param == "fallback":
        monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())


def test_an_output_appears_whole_and_nothing_beside_it(target: Path, outputs: Path) -> None:
    with staged(target, needed=10, overwrite=False) as folder:
        write_small(folder / target.name if target.suffix else folder / "model.safetensors", b"new")
        assert not target.exists()
        write_small(folder / receipt_path(target).name, b"receipt")

    names = {"file.safetensors", "file.weightarith.json"} if target.suffix else {"folder"}
    assert {path.name for path in outputs.iterdir()} == names


@pytest.mark.usefixtures("_either_exchange")
def test_an_overwritten_output_is_replaced_whole(target: Path, outputs: Path) -> None:
    publish(target, b"old")
    if target.is_dir():
        (target / "left.safetensors").write_bytes(b"shard of the old one")
    publish(target, b"new", overwrite=True)

    found = snapshot(outputs)
    assert b"new" in found.values()
    assert b"receipt of new" in found.values()
    assert not any(isinstance(content, bytes) and b"old" in content for content in found.values())
    assert not [path for path in outputs.iterdir() if path.name.startswith(".")]


CALLS = [("fsync", n, errno.EIO) for n in range(6)]
CALLS += [("rename", n, errno.EIO) for n in range(6)]
CALLS += [("open", n, errno.ENOSPC) for n in range(7)]
CALLS += [("mkdir", 0, errno.EROFS), ("write", 0, errno.ENOSPC)]


@pytest.mark.usefixtures("_either_exchange")
@pytest.mark.parametrize(("call", "number", "code"), CALLS)
@pytest.mark.parametrize("old", [b"old", b""])
def test_an_old_output_survives_the_failure_of_every_call(
    target: Path,
    outputs: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    number: int,
    code: int,
    old: bytes,
) -> None:
    if old:
        publish(target, old)
    before = snapshot(outputs)
    monkeypatch.setattr(os, call, failing(getattr(os, call), number, code))
    raised: StorageError | None = None

    try:
        publish(target, b"new", overwrite=bool(old))
    except StorageError as error:
        raised = error

    if raised is None:  # there are not so many calls
        assert b"new" in snapshot(outputs).values()
    else:
        assert raised.exit_code == 6
        assert os.strerror(code) in str(raised)
        assert snapshot(outputs) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("a bug"), StorageError("full")])
def test_whatever_stops_the_work_leaves_no_trace(target: Path, outputs: Path, error: BaseException) -> None:
    publish(target, b"old")
    before = snapshot(outputs)

    def work() -> None:
        with staged(target, needed=1, overwrite=True) as folder:
            write_small(folder / "half", b"written")
            raise error

    with pytest.raises(type(error)):
        work()

    assert snapshot(outputs) == before


def test_an_output_that_came_to_exist_meanwhile_is_not_replaced(target: Path) -> None:
    check_target(target, [], overwrite=False)
    publish(target, b"of another run")

    with pytest.raises(TargetError, match="exists by now") as caught:
        publish(target, b"late")

    assert caught.value.exit_code == 5
    assert b"of another run" in snapshot(target.parent).values()


def test_a_run_that_needs_more_than_is_free_does_not_begin(target: Path, outputs: Path) -> None:
    with (
        pytest.raises(StorageError, match=r"needs 10,000,000,000,000,000 bytes, [\d,]+ are free") as caught,
        staged(target, needed=10**16, overwrite=False),
    ):
        raise AssertionError
    assert "free some space" in caught.value.hint
    assert snapshot(outputs) == {}


def test_what_a_killed_run_left_is_removed(target: Path, outputs: Path) -> None:
    left = outputs / f".{target.name}.partial"
    left.mkdir()
    (left / "model.safetensors").write_bytes(b"half")
    (outputs / f".{target.name}.lock").write_text(f"{HOST} {a_dead_process()}")

    publish(target, b"new")

    assert not [path for path in outputs.iterdir() if path.name.startswith(".")]


def test_an_output_set_aside_by_a_killed_run_is_put_back(outputs: Path) -> None:
    publish(outputs / "folder", b"old")
    (outputs / "folder").rename(outputs / ".folder.old")

    with pytest.raises(TargetError, match="exists by now"):
        publish(outputs / "folder", b"new")

    assert (outputs / "folder" / "model.safetensors").read_bytes() == b"old"


def a_dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    "owner",
    [
        pytest.param(f"{HOST} {os.getpid()}", id="this process"),  # a name that is the same in each process
        f"{HOST} 1", "elsewhere 12345", "", f"{HOST} x", "\x1b[31m \x1b[0m",
    ],
)  # fmt: skip
def test_a_target_that_another_run_may_be_writing_is_refused(target: Path, outputs: Path, owner: str) -> None:
    lock = outputs / f".{target.name}.lock"
    lock.write_text(owner)

    with pytest.raises(LockedError, match="is being written by") as caught:
        publish(target, b"new")

    assert caught.value.exit_code == 7
    assert lock.name in caught.value.hint
    assert str(caught.value).replace("\n", "").isprintable()
    assert snapshot(outputs) == {lock.name: owner.encode()}


def test_the_lock_of_a_dead_process_is_taken_over(target: Path, outputs: Path) -> None:
    (outputs / f".{target.name}.lock").write_text(f"{HOST} {a_dead_process()}")

    publish(target, b"new")

    assert not (outputs / f".{target.name}.lock").exists()


@pytest.mark.parametrize("number", ["0", "-1", "²", str(10**30)])
def test_a_strange_process_number_is_no_crash(number: str) -> None:
    assert is_dead(f"{HOST} {number}") is (number == str(10**30))


def test_a_run_within_a_run_is_locked_out(target: Path) -> None:
    with (
        pytest.raises(LockedError, match=f"process '{os.getpid()}' on '{HOST}'"),
        staged(target, needed=0, overwrite=False),
        staged(target, needed=0, overwrite=False),
    ):
        raise AssertionError


@pytest.mark.parametrize(
    ("mask", "file", "folder"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700), (0, 0o666, 0o777)]
)
def test_modes_are_what_the_umask_leaves(outputs: Path, mask: int, file: int, folder: int) -> None:
    previous = os.umask(mask)
    try:
        publish(outputs / "folder", b"new")
    finally:
        os.umask(previous)

    assert stat.S_IMODE((outputs / "folder").stat().st_mode) == folder
    assert {stat.S_IMODE(path.stat().st_mode) for path in (outputs / "folder").iterdir()} == {file}


def test_a_name_too_long_for_its_stage_leaves_nothing(outputs: Path) -> None:
    target = outputs / ("n" * 250)
    check_target(target, [], overwrite=False)

    with pytest.raises(WeightArithError, match="File name too long"):
        publish(target, b"new")

    assert snapshot(outputs) == {}


def test_a_link_left_where_the_stage_goes_is_not_followed(outputs: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("kept")
    (outputs / ".out.partial").symlink_to(tmp_path / "precious")

    publish(outputs / "out", b"new")

    assert (tmp_path / "precious" / "file").read_text() == "kept"
    assert not (outputs / ".out.partial").is_symlink()


def test_of_many_runs_to_one_target_one_wins_and_the_others_are_refused(target: Path, outputs: Path) -> None:
    told: list[int] = []
    ready = threading.Barrier(8)

    def run(number: int) -> None:
        ready.wait()
        try:
            publish(target, b"%d" % number * 1000)
            told.append(0)
        except WeightArithError as error:
            told.append(error.exit_code)

    threads = [threading.Thread(target=run, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert told.count(0) == 1
    assert set(told) <= {0, 5, 7}
    weights = target if target.suffix else target / "model.safetensors"
    assert len(set(weights.read_bytes())) == 1
    assert receipt_path(target).read_bytes() == b"receipt of " + weights.read_bytes()
    assert not [path for path in outputs.iterdir() if path.name.startswith(".")]
