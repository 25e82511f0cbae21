"""A plan made in parts gives the bytes, checksums and accounts of the plan made whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny as models
from tests.conftest import Tiny
from weightarith.algebra import Checkpoint, Sum, Vector, collect
from weightarith.engine.devices import execute
from weightarith.engine.parts import joined, parts_of, unknown
from weightarith.engine.plan import Plan
from weightarith.engine.settings import Output
from weightarith.operators.table import OPERATORS
from weightarith.saving import Run, carry_out, carry_out_apart, draw, encoding_named, with_counts


def summed(tiny: Tiny, what: str) -> Sum:
    base, tuned = (Checkpoint.open(path) for path in (tiny.base, tiny.finetuned))
    task = tuned - base
    found = {
        "model": base + 0.5 * task,
        "vector": 1 * task,
        "factors": 1 * Vector.open(tiny.positive),
        "over the model": base + OPERATORS["trim"](task, density=0.2, over="model"),
    }[what.partition(",")[0]]
    return collect(found.terms)


def planned(tiny: Tiny, what: str, path: Path) -> Plan:
    encoding = encoding_named(what.partition(", ")[2] or None)
    shard = 150 if encoding == "sign" else 700
    return with_counts(draw(summed(tiny, what), Output(path, shard_bytes=shard, encoding=encoding)))


@pytest.mark.parametrize(
    "what", ["model", "vector", "factors", "over the model", "vector, sign", "vector, int8", "vector, sparse"]
)
@pytest.mark.parametrize("device", ["cpu", "torch"])
def test_parts_give_the_bytes_and_the_receipt_of_the_whole(
    tiny: Tiny, tmp_path: Path, what: str, device: str
) -> None:
    plan = planned(tiny, what, tmp_path / "whole")
    receipt = carry_out(plan, Run(device, 2))
    found: dict[str, bytes] = {}
    seen: list[int] = []

    def take(name: str, path: Path) -> None:
        found[name] = path.read_bytes()

    apart = carry_out_apart(planned(tiny, what, tmp_path / "apart"), take, Run(device, 2, seen.append))

    assert len(found) > 2
    assert found == {path.name: path.read_bytes() for path in (tmp_path / "whole").glob("*.safetensors")}
    assert apart == receipt
    assert seen == sorted(seen)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(("part", "apart"))) == []


@pytest.mark.parametrize("device", ["cpu", "torch"])
def test_the_whole_model_is_looked_at_once_for_all_parts(tiny: Tiny, tmp_path: Path, device: str) -> None:
    looked: list[Any] = []
    trim = OPERATORS["trim"]
    assert trim.prepare is not None

    def prepare(field: Any, **options: Any) -> Any:
        looked.append(field)
        return trim.prepare(field, **options) if trim.prepare else None

    counting = replace(trim, prepare=prepare)
    base, tuned = (Checkpoint.open(path) for path in (tiny.base, tiny.finetuned))
    total = base + counting(tuned - base, density=0.2, over="model")
    parts: list[str] = []
    plan = draw(collect(total.terms), Output(tmp_path / "apart", shard_bytes=700))

    carry_out_apart(plan, lambda name, _path: parts.append(name), Run(device, 2))

    assert len(parts) > 2
    assert len(looked) == 1


@pytest.mark.parametrize("what", ["factors", "vector, sign", "vector, int8", "model"])
def test_no_tensor_is_torn_between_parts(tiny: Tiny, tmp_path: Path, what: str) -> None:
    plan = planned(tiny, what, tmp_path / "out")
    parts = parts_of(plan)

    names = [{job.tensor for file in part.files for job in file.jobs} for part in parts]
    assert len(parts) > 2
    assert sum(map(len, names)) == len(set.union(*names))
    assert [file.name for part in parts for file in part.files] == [file.name for file in plan.files]
    assert [bool(part.comparisons) for part in parts][1:] == [False] * (len(parts) - 1)


def test_what_is_compared_only_comes_last_in_the_outcome_of_all_parts(tmp_path: Path) -> None:
    weights = models.weights()
    buffers = {"model.layers.0.ids": np.arange(4)}
    folders = [models.checkpoint(tmp_path / name, {**weights, **buffers}) for name in ("a", "b")]
    total = 0.5 * Checkpoint.open(folders[0]) + 0.5 * Checkpoint.open(folders[1])
    vector = Checkpoint.open(folders[0]) - Checkpoint.open(folders[1])
    for summed_up in (total, vector):
        plan = draw(collect(summed_up.terms), Output(tmp_path / "out", shard_bytes=700))
        whole, parts = tmp_path / "w", parts_of(plan)
        whole.mkdir(exist_ok=True)
        outcomes = []
        for number, part in enumerate((plan, *parts)):
            place = tmp_path / f"{number}-{plan.kind}"
            place.mkdir()
            outcomes.append(execute(part, place, progress=lambda _moved: None))
        one = joined(parts, outcomes[1:])
        assert one.checksums == outcomes[0].checksums
        assert np.array_equal(one.accounts, outcomes[0].accounts)
        assert len(unknown(plan).checksums) == len(plan.jobs)


def test_a_part_that_is_not_taken_leaves_nothing_behind(tiny: Tiny, tmp_path: Path) -> None:
    plan = planned(tiny, "model", tmp_path / "out")

    def refuse(_name: str, _path: Path) -> None:
        raise KeyboardInterrupt

    before = sorted(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        carry_out_apart(plan, refuse)
    assert sorted(tmp_path.iterdir()) == before
