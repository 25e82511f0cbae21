"""A training killed anywhere and begun again ends in the bytes of one that was not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.train.world import content, quick, sides
from weightarith.contrast import contrast
from weightarith.errors import LockedError
from weightarith.store.lock import locked
from weightarith.train import Moment, Settings, train
from weightarith.train.work import work_of

POSITIVE, NEGATIVE = sides()


class Kill(KeyboardInterrupt):
    pass


def killer(name: str, rate: float, step: int) -> object:
    def stop(moment: Moment) -> None:
        if (moment.name, moment.learning_rate, moment.step) == (name, rate, step):
            raise Kill

    return stop


@pytest.mark.parametrize("settings", [
    quick(dropout=0.3), quick(kind="bias"), quick(kind="full", learning_rates=(1e-3,)),
], ids=["lora", "bias", "full"])  # fmt: skip
def test_a_killed_training_goes_on_to_the_same_bytes(base: Path, tmp_path: Path, settings: Settings) -> None:
    rate = settings.rates[0]
    done = train(base, POSITIVE, tmp_path / "whole", settings)
    for step in (1, 5):  # before the first checkpoint, and behind the second
        with pytest.raises(Kill):
            train(base, POSITIVE, tmp_path / "killed", settings, progress=killer("", rate, step))  # type: ignore[arg-type]
        assert not (tmp_path / "killed").exists()
    seen: list[int] = []
    again = train(base, POSITIVE, tmp_path / "killed", settings, progress=lambda one: seen.append(one.step))
    assert seen == [5, 6]
    assert again.report["rates"][0]["losses"] == done.report["rates"][0]["losses"]
    names = () if settings.kind == "bias" else ("training.json",)
    assert _bytes(again.path, *names) == _bytes(done.path, *names)


def _bytes(path: Path, *but: str) -> object:
    return path.read_bytes() if path.is_file() else content(path, *but)


def test_a_half_written_checkpoint_is_not_gone_on_with(base: Path, tmp_path: Path) -> None:
    done = train(base, POSITIVE, tmp_path / "whole", quick())
    with pytest.raises(Kill):
        train(base, POSITIVE, tmp_path / "out", quick(), progress=killer("", 1e-2, 5))  # type: ignore[arg-type]
    (work,) = work_of(tmp_path / "out").glob("rate-*")
    (work / "checkpoint-4" / "trainer_state.json").unlink()
    again = train(base, POSITIVE, tmp_path / "out", quick())
    assert content(again.path, "training.json") == content(done.path, "training.json")


def test_a_killed_contrast_repeats_no_finished_training(base: Path, tmp_path: Path) -> None:
    settings = quick(learning_rates=(1e-3, 1e-2), patience=1)
    whole = contrast(base, POSITIVE, NEGATIVE, tmp_path / "whole", settings)
    stop = killer("negative", 1e-2, 3)
    with pytest.raises(Kill):
        contrast(base, POSITIVE, NEGATIVE, tmp_path / "killed", settings, progress=stop)  # type: ignore[arg-type]
    seen: set[tuple[str, float]] = set()
    contrast(
        base, POSITIVE, NEGATIVE, tmp_path / "killed", settings,
        progress=lambda one: seen.add((one.name, one.learning_rate)),
    )  # fmt: skip
    assert seen == {("negative", 1e-2)}
    assert content(tmp_path / "killed", "training.json") == content(whole.folder, "training.json")


def test_work_that_another_process_does_is_left_alone(base: Path, tmp_path: Path) -> None:
    with locked(work_of(tmp_path / "out")), pytest.raises(LockedError, match="is being written by"):
        train(base, POSITIVE, tmp_path / "out", quick())
