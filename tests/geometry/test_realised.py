"""What rounding leaves of a change, and what two sides share: as receipts and plain arithmetic have it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import tiny as models
from tests.conftest import Tiny
from tests.geometry.vectors import adapter_changes, opened
from weightarith.algebra import Checkpoint
from weightarith.contrast.geometry import geometry
from weightarith.errors import RecipeError
from weightarith.geometry import OUTSIDE, layer_key, realised, sides
from weightarith.receipt import rounded_sum
from weightarith.saving import save


@pytest.mark.parametrize("dtype", [None, "bfloat16", "float16", "float32"])
def test_what_is_foretold_is_what_the_receipt_says_once_it_is_written(
    tiny: Tiny, tmp_path: Path, dtype: str | None
) -> None:
    base, vector = Checkpoint.open(tiny.base, label="base"), opened(tiny.positive)

    found = realised(vector, base, strength=0.02, dtype=dtype)

    receipt = save(base + 0.02 * vector, tmp_path / "out", dtype=dtype)
    records = {name: each for name, each in receipt["tensors"].items() if "gain" in each}
    assert found.accounts.keys() == records.keys()
    for one, change in [(found.total(), receipt["change"])] + [
        (one, records[name]) for name, one in found.by(str).items()
    ]:
        for key in ("intended", "realised", "gain", "cosine"):
            told = getattr(one, key)
            assert (None if told is None else rounded_sum(told)) == change[key]
        assert (one.changed, one.nonfinite) == (change["elements_changed"], change["elements_nonfinite"])


def test_the_gain_is_the_share_of_the_change_that_is_left(tiny: Tiny) -> None:
    base, changes = models.load(tiny.base), adapter_changes(tiny.positive)

    found = realised(0.01 * opened(tiny.positive), Checkpoint.open(tiny.base, label="base"), dtype="bfloat16")

    for layer, one in found.by(layer_key).items():
        wanted, got = [], []
        for name, change in changes.items():
            if layer_key(name) == layer:
                after = models.from_bfloat16(models.to_bfloat16(base[name] + 0.01 * change))
                wanted.append(0.01 * change.ravel())
                got.append((after - base[name]).ravel().astype(np.float64))
        intended, left = np.concatenate(wanted), np.concatenate(got)
        assert one.gain == pytest.approx(float(intended @ left / (intended @ intended)), abs=1e-3)


def test_a_dtype_that_is_none_is_refused(tiny: Tiny) -> None:
    with pytest.raises(RecipeError, match="unknown dtype"):
        realised(opened(tiny.positive), Checkpoint.open(tiny.base), dtype="int4")


def test_two_sides_part_into_what_they_share_and_what_tells_them_apart(tiny: Tiny) -> None:
    one, other = adapter_changes(tiny.positive), adapter_changes(tiny.negative)
    first, second = (np.concatenate([each[name].ravel() for name in one]) for each in (one, other))

    found, layers = sides(opened(tiny.positive), opened(tiny.negative))

    assert found.cosine == pytest.approx(first @ second / np.linalg.norm(first) / np.linalg.norm(second))
    assert found.ratio == pytest.approx(np.linalg.norm(first) / np.linalg.norm(second))
    assert found.drift == pytest.approx(np.linalg.norm(first + second) / 2)
    assert found.behaviour == pytest.approx(np.linalg.norm(first - second) / 2)
    assert list(layers) == ["0", "1"]


def test_sides_that_are_alike_leave_nothing_but_what_they_share(tiny: Tiny) -> None:
    adapter = opened(tiny.positive)

    found, _ = sides(adapter, adapter)

    assert found.cosine == pytest.approx(1)
    assert found.behaviour == pytest.approx(0, abs=1e-7 * found.positive)
    assert found.drift == pytest.approx(found.positive)


def test_a_run_records_what_is_outside_of_layers_last(tiny: Tiny) -> None:
    base = Checkpoint.open(tiny.base, label="base")

    told = geometry(Checkpoint.open(tiny.finetuned) - base, Checkpoint.open(tiny.other) - base)

    assert list(told) == ["cosine", "positive", "negative", "vector", "ratio", "layers"]
    assert list(told["layers"]) == ["0", "1", OUTSIDE]
