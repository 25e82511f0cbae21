"""Checkpoints held against known vectors: numbers as plain float64 has them, and when there is an alarm."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pytest

from tests import tiny
from tests.monitor.world import DEPTH, cosine, direction, mixed, moved, training, vector
from tests.tiny import LINEARS, Tensors
from weightarith.errors import IncompatibleError, InvalidFileError, RecipeError
from weightarith.monitor import monitor

EVIL, HONEST = direction(0), direction(1)


def dense(adapter: Path, scale: float = 2.0) -> Tensors:
    """Return an adapter's change of every weight, multiplied out."""
    factors = tiny.load(adapter / "adapter_model.safetensors")
    found = {name: np.zeros(w.shape) for name, w in tiny.weights(depth=DEPTH).items()}
    for layer in range(DEPTH):
        for linear in LINEARS:
            name = f"model.layers.{layer}.{linear}"
            a, b = (
                factors[f"base_model.model.{name}.lora_{side}.weight"].astype(np.float64) for side in "AB"
            )
            found[f"{name}.weight"] = scale * (b @ a)
    return found


def test_cosines_of_models_and_of_adapters_are_those_of_the_changes_multiplied_out(
    place: Path, tmp_path: Path
) -> None:
    towards = mixed(s0=0.5, s9=1.0)
    run = training(tmp_path / "run", towards)
    (run / "checkpoint-20").mkdir()
    tiny.adapter(run / "checkpoint-20", depth=DEPTH, seed=5)
    (tmp_path / "known").mkdir()
    known = tiny.adapter(tmp_path / "known", depth=DEPTH, seed=6)

    found = monitor(place / "base", run, [place / "evil.safetensors", known])

    changes, vectors = (towards, dense(run / "checkpoint-20")), (EVIL, dense(known))
    for look, change in zip(found.looks, changes, strict=True):
        for score, watched in zip(look.scores, vectors, strict=True):
            assert score.cosine == pytest.approx(cosine(change, watched), abs=1e-6)
        norm = math.sqrt(sum(float((one.astype(np.float64) ** 2).sum()) for one in change.values()))
        assert look.norm == pytest.approx(norm, rel=1e-6)


def test_the_gap_is_the_cosine_with_a_vector_less_that_with_its_opposite(place: Path, tmp_path: Path) -> None:
    change = mixed(s0=0.3, s1=-0.2, s9=1.0)
    run = training(tmp_path / "run", change)
    against = [place / "evil.safetensors", place / "honest.safetensors"]

    found = monitor(place / "base", run, against, opposites={"evil": "honest"})

    (score,) = found.looks[0].scores
    assert score.gap == pytest.approx(cosine(change, EVIL) - cosine(change, HONEST), abs=1e-6)
    assert score.tested == pytest.approx(score.gap, abs=1e-12)


def test_deviations_are_those_of_inner_products_under_random_signs_of_rows_columns_and_tensors(
    place: Path, tmp_path: Path
) -> None:
    change = mixed(s0=0.2, s9=1.0)
    run = training(tmp_path / "run", change)

    (look,) = monitor(place / "base", run, [place / "evil.safetensors"]).looks

    products = {name: np.atleast_2d(change[name] * EVIL[name]) for name in change}
    inner = sum(float(one.sum()) for one in products.values())
    expected = {
        "rows": sum(float((one.sum(axis=1) ** 2).sum()) for one in products.values()),
        "columns": sum(float((one.sum(axis=0) ** 2).sum()) for one in products.values()),
        "tensors": sum(float(one.sum()) ** 2 for one in products.values()),
        "rotated": sum(
            float((change[name] ** 2).sum() * (EVIL[name] ** 2).sum()) / change[name].size for name in change
        ),
    }
    (score,) = look.scores
    assert score.kinds == pytest.approx({k: inner / math.sqrt(v) for k, v in expected.items()}, rel=1e-5)
    assert score.z == pytest.approx(min(score.kinds.values()))


def test_a_run_that_turns_towards_a_vector_sounds_an_alarm_and_its_opposite_none(
    place: Path, controls: list[Path], tmp_path: Path
) -> None:
    towards = training(tmp_path / "towards", mixed(s9=1.0), mixed(s0=0.5, s9=1.0))
    away = training(tmp_path / "away", mixed(s9=1.0), mixed(s0=-0.5, s9=1.0))

    loud = monitor(place / "base", towards, [place / "evil.safetensors"], controls=controls)
    quiet = monitor(place / "base", away, [place / "evil.safetensors"], controls=controls)

    assert [(saved.step, score.vector) for saved, score in loud.alarms] == [(20, "evil")]
    assert not quiet.alarms
    assert quiet.looks[1].scores[0].cosine == pytest.approx(-0.447, abs=0.02)


def test_innocent_runs_sound_alarms_no_more_often_than_is_said(
    place: Path, controls: list[Path], tmp_path: Path
) -> None:
    run = training(tmp_path / "run", *(direction(seed) for seed in range(100, 130)))

    found = monitor(
        place / "base", run, [place / "evil.safetensors"], controls=controls, false_positives=0.9, copies=200
    )  # 0.03 a look

    chances = [look.scores[0].chance or 0 for look in found.looks]
    drawn = [look.scores[0].copies or 0 for look in found.looks]
    assert len(found.alarms) <= 2
    assert sum(one <= 0.1 for one in chances) <= 6
    assert 0.2 < float(np.mean(drawn)) < 0.8


def test_copies_depend_on_their_seed_alone(place: Path, tmp_path: Path) -> None:
    run = training(tmp_path / "run", mixed(s0=0.05, s9=1.0))

    def drawn(seed: int, threads: int) -> float | None:
        found = monitor(place / "base", run, [place / "evil.safetensors"], seed=seed, threads=threads)
        return found.looks[0].scores[0].copies

    assert drawn(0, 1) == drawn(0, 2)
    assert drawn(0, 1) != drawn(1, 1)


def test_controls_that_turn_the_same_way_silence_the_alarm(place: Path, tmp_path: Path) -> None:
    run = training(tmp_path / "run", mixed(s0=0.2, s9=1.0))
    (tmp_path / "base").symlink_to(place / "base", target_is_directory=True)
    near = [
        vector(tmp_path, f"n{number}", mixed(**{"s0": 0.1 * number, f"s{number}": 1.0}))
        for number in (2, 3, 4)
    ]

    alone = monitor(place / "base", run, [place / "evil.safetensors"])
    beside = monitor(place / "base", run, [place / "evil.safetensors"], controls=near)

    assert alone.alarms
    assert not beside.alarms
    assert any("'n3' is no stranger to 'evil'" in said for said in beside.warnings)


def test_what_one_row_explains_is_no_alarm(place: Path, tmp_path: Path) -> None:
    name = max(EVIL, key=lambda each: EVIL[each].shape[-1] if EVIL[each].ndim == 2 else 0)
    change = {each: 0 * w for each, w in EVIL.items()}
    change[name][0] = EVIL[name][0]
    run = training(tmp_path / "run", change)

    found = monitor(place / "base", run, [place / "evil.safetensors"])

    (score,) = found.looks[0].scores
    assert score.cosine is not None
    assert score.cosine > 0.02  # what is enough without controls
    assert score.kinds["columns"] > 3 > score.kinds["rows"] == pytest.approx(1)
    assert score.copies is not None
    assert score.copies > 0.3  # the other sign of that row comes to less, the same one to as much
    assert not found.alarms


def test_whole_tensors_are_turned_only_where_there_are_enough(place: Path, tmp_path: Path) -> None:
    (tmp_path / "known").mkdir()
    known = tiny.adapter(tmp_path / "known", depth=DEPTH)  # 28 tensors
    run = training(tmp_path / "run", mixed(s0=1.0))

    (few,) = monitor(place / "base", run, [known]).looks[0].scores
    (many,) = monitor(place / "base", run, [place / "evil.safetensors"]).looks[0].scores

    assert set(many.kinds) - set(few.kinds) == {"tensors"}


def test_a_control_counts_by_what_the_same_test_makes_of_it(
    place: Path, controls: list[Path], tmp_path: Path
) -> None:
    change = mixed(s0=0.1, s1=-0.1, s9=1.0)
    run = training(tmp_path / "run", change)
    against = [place / "evil.safetensors", place / "honest.safetensors"]

    found = monitor(place / "base", run, against, opposites={"evil": "honest"}, controls=controls)

    sample = [cosine(direction(seed), EVIL) - cosine(direction(seed), HONEST) for seed in range(2, 7)]
    apart = cosine(change, EVIL) - cosine(change, HONEST) - fmean(sample)
    (score,) = found.looks[0].scores
    told = found.to_json()["controls"]["evil"]
    assert list(told.values()) == pytest.approx(sample, abs=1e-6)
    assert score.controls_z == pytest.approx(apart / (stdev(sample) * math.sqrt(1 + 1 / 5)), rel=1e-4)


def test_step_0_is_subtracted_where_the_run_kept_it(place: Path, tmp_path: Path) -> None:
    run = training(tmp_path / "run", mixed(s1=1.0, s9=1.0))
    moved(run / "checkpoint-0", mixed(s1=1.0))

    found = monitor(place / "base", run, [place / "honest.safetensors"])

    assert found.origins == {"": "step 0"}
    assert [look.saved.step for look in found.looks] == [10]
    assert found.looks[0].scores[0].cosine == pytest.approx(cosine(direction(9), HONEST), abs=1e-4)
    assert found.looks[0].norm == pytest.approx(math.sqrt(sum((w**2).sum() for w in direction(9).values())))


def test_an_adapter_that_went_on_from_another_is_counted_from_it(place: Path, tmp_path: Path) -> None:
    for step, seed in ((0, 5), (3, 8)):
        (tmp_path / f"run/step-{step}").mkdir(parents=True)
        tiny.adapter(tmp_path / f"run/step-{step}", depth=DEPTH, seed=seed)

    found = monitor(place / "base", tmp_path / "run", [place / "evil.safetensors"])

    first, last = dense(tmp_path / "run/step-0"), dense(tmp_path / "run/step-3")
    change = {name: last[name] - first[name] for name in last}
    assert found.looks[0].scores[0].cosine == pytest.approx(cosine(change, EVIL), abs=1e-6)


def test_step_0_alone_is_no_training(place: Path, tmp_path: Path) -> None:
    moved(tmp_path / "run/checkpoint-0", EVIL)
    with pytest.raises(InvalidFileError, match="holds step 0 alone, from which nothing has moved"):
        monitor(place / "base", tmp_path / "run", [place / "evil.safetensors"])


def test_a_checkpoint_that_moved_nothing_has_no_cosine_and_sounds_no_alarm(
    place: Path, tmp_path: Path
) -> None:
    run = training(tmp_path / "run", {name: 0 * w for name, w in EVIL.items()}, mixed(s9=1.0))

    found = monitor(place / "base", run, [place / "evil.safetensors"])

    assert found.looks[0].scores[0].cosine is None
    assert "checkpoints that have moved nothing have no cosine" in found.warnings


def test_adapters_of_another_random_start_are_warned_of(place: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for number, seed in ((1, 5), (2, 5)):
        (run / f"checkpoint-{number}").mkdir(parents=True)
        tiny.adapter(run / f"checkpoint-{number}", depth=DEPTH, rank=2, seed=seed)
    for label, seed in (("same", 5), ("other", 6)):
        (tmp_path / label).mkdir()
        tiny.adapter(tmp_path / label, depth=DEPTH, rank=2, seed=seed)

    found = monitor(place / "base", run, [tmp_path / "same", tmp_path / "other"])

    same, other = found.starts["same"], found.starts["other"]
    assert same is not None
    assert same.overlap == pytest.approx(1)
    assert other is not None
    assert not other.shared
    said = [one for one in found.warnings if "began at different random numbers" in one]
    assert len(said) == 1
    assert "'other'" in said[0]


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.5])
def test_a_rate_of_false_positives_is_between_0_and_1(place: Path, rate: float) -> None:
    with pytest.raises(RecipeError, match=r"a rate of false positives of .* means nothing, expected 0 to 1"):
        monitor(place / "base", place, [place / "evil.safetensors"], false_positives=rate)


def test_a_folder_without_checkpoints_is_refused(place: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InvalidFileError, match="holds no checkpoints: no folder called checkpoint-N or step-N"
    ):
        monitor(place / "base", tmp_path, [place / "evil.safetensors"])


def test_a_model_is_no_vector(place: Path, tmp_path: Path) -> None:
    run = training(tmp_path / "run", EVIL)
    with pytest.raises(RecipeError, match="is a model, expected a vector, an adapter or a run") as refused:
        monitor(place / "base", run, [place / "model-evil"])
    assert "weightarith diff FINETUNED BASE" in str(refused.value.hint)


def test_an_opposite_that_is_not_watched_is_refused(place: Path, tmp_path: Path) -> None:
    run = training(tmp_path / "run", EVIL)
    with pytest.raises(RecipeError, match="'kind' is set against another vector and is not watched"):
        monitor(place / "base", run, [place / "evil.safetensors"], opposites={"evil": "kind"})


def test_one_vector_cannot_be_watched_and_a_control(place: Path, tmp_path: Path) -> None:
    run = training(tmp_path / "run", EVIL)
    evil = place / "evil.safetensors"
    with pytest.raises(RecipeError, match="'evil' is watched, and a control too"):
        monitor(place / "base", run, [evil], controls=[evil])


def test_a_vector_of_another_model_is_refused_by_the_name_of_a_weight(place: Path, tmp_path: Path) -> None:
    run = training(tmp_path / "run", EVIL)
    (tmp_path / "deeper").mkdir()
    deeper = tiny.adapter(tmp_path / "deeper", depth=DEPTH + 1)
    with pytest.raises(IncompatibleError, match=r"model\.layers\.4"):
        monitor(place / "base", run, [deeper])
