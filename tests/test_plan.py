"""Plans: every tensor name accounted for, and refused by name where inputs do not fit."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.reference import encode, from_bits, write
from tests.small import BUFFER, EMBED, HEAD, UP, Models, counts, fates, plan, refused, rows
from weightarith.algebra import Checkpoint, Sum, Vector
from weightarith.engine.settings import Output, Policy
from weightarith.errors import WeightArithError
from weightarith.saving import draw, save
from weightarith.weighting import Rule, Selection


@pytest.fixture
def models(tmp_path: Path) -> Models:
    return Models(tmp_path)


def test_the_names_policy_keeps_what_one_model_lacks_as_in_the_base(models: Models) -> None:
    base = models("base", embed=rows(1, 2), up=rows(1))
    tuned = models("tuned", up=rows(3), head=rows(9, 9))
    total, policy = 0.5 * base + 0.5 * tuned, Policy(names="base")

    refused(total, 4, "tuned lacks 1 tensors that base holds: .*; tuned holds 1 tensors that base lacks: .*")
    assert models.made(total, policy=policy) == {EMBED: rows(1, 2), UP: rows(2)}
    told = fates(plan(total, policy))
    assert told[HEAD] == ("absent", "only tuned holds it (policy names: base)")
    assert told[EMBED][0] == "copied"
    assert fates(plan(tuned - base, policy))[EMBED] == ("absent", "a model lacks it (policy names: base)")
    vector = models.vector("v", embed=rows(1, 1, code="F32"))
    assert fates(plan(tuned - base + vector, policy))[EMBED] == ("changed", "v")


def test_a_vector_of_another_architecture_is_refused_with_the_nearest_name(models: Models) -> None:
    base = models("base", embed=rows(1, 2), up=rows(1))
    write(
        models.folder / "v.safetensors", {UP.replace("up", "gate"): rows(1)}, {"weightarith.kind": "vector"}
    )
    vector = Vector.open(models.folder / "v.safetensors", label="v")

    refused(
        base + vector, 4, r"v moves 1 tensors.*gate_proj.*nearest name there: 'model.layers.0.mlp.up_proj"
    )
    assert models.made(base + vector, policy=Policy(names="base")) == {EMBED: rows(1, 2), UP: rows(1)}


def test_rows_in_common_are_combined_and_the_base_keeps_its_own(models: Models) -> None:
    base = models("base", embed=rows(1, 2, 3), up=rows(1))
    fewer, more = (
        models("fewer", embed=rows(3, 4), up=rows(1)),
        models("more", embed=rows(3, 4, 5, 6), up=rows(1)),
    )
    policy = Policy(vocabulary="base")

    refused(0.5 * base + 0.5 * fewer, 4, r"expected shape \[3, 2\] as in base, found \[2, 2\] in fewer")
    assert models.made(0.5 * base + 0.5 * fewer, policy=policy)[EMBED] == rows(2, 3, 3)
    assert models.made(0.5 * base + 0.5 * more, policy=policy)[EMBED] == rows(2, 3, 4)
    assert models.made(0.2 * base + 0.4 * fewer + 0.4 * more, policy=policy)[EMBED] == rows(2.6, 3.6, 3.8)
    assert "over the rows in common" in fates(plan(0.5 * base + 0.5 * more, policy))[EMBED][1]
    refused(fewer - base, 4, "vocabulary: base has a meaning only where a model is the result", policy)


def test_missing_rows_of_another_dtype_are_refused_rather_than_misread(models: Models) -> None:
    base = models("base", embed=rows(1, 2, 3, code="F32"), up=rows(1))
    fewer = models("fewer", embed=rows(3, 4), up=rows(1))

    refused(
        0.5 * base + 0.5 * fewer, 4, "fewer lacks rows and is BF16, expected F32", Policy(vocabulary="base")
    )


@pytest.mark.parametrize("shape", [(2, 3), (6,), (), (1, 2, 3)])
def test_another_shape_is_refused_whatever_the_policy(models: Models, shape: tuple[int, ...]) -> None:
    base = models("base", embed=rows(1, 2, 3))
    other = models("other", embed=encode(np.ones(shape), "BF16"))

    refused(0.5 * base + 0.5 * other, 4, r"expected shape \[3, 2\].*\n.*transposed", Policy("base", "base"))


def test_integer_buffers_are_copied_where_they_agree(models: Models) -> None:
    base, same = (
        models("base", up=rows(1), buffer=counts(1, 2)),
        models("same", up=rows(2), buffer=counts(1, 2)),
    )

    assert models.made(base + 2 * (same - base))[BUFFER] == counts(1, 2)
    assert fates(plan(base + 2 * (same - base)))[BUFFER] == ("copied", "a buffer of I64")
    assert fates(plan(same - base))[BUFFER] == ("absent", "a buffer of I64 is no displacement")


@pytest.mark.parametrize("kind", ["checkpoint", "vector"])
def test_integer_buffers_that_differ_are_refused_unless_the_base_decides(models: Models, kind: str) -> None:
    base, other = (
        models("base", up=rows(1), buffer=counts(1, 2)),
        models("other", up=rows(2), buffer=counts(1, 3)),
    )
    total: Sum = other - base if kind == "vector" else 0.5 * base + 0.5 * other

    with pytest.raises(WeightArithError, match=r"'model.position_ids' \(I64\) differs in") as caught:
        models.made(total)

    assert caught.value.exit_code == 4
    assert "integers: base" in caught.value.hint
    assert not (models.folder / "out").exists()
    found = models.made(total, policy=Policy(integers="base"))
    assert found.get(BUFFER) == (counts(1, 2) if kind == "checkpoint" else None)


def test_formats_without_arithmetic_are_copied_and_never_added(models: Models) -> None:
    eight = from_bits(np.arange(4, dtype=np.uint8), "F8_E4M3")
    other = from_bits(np.arange(1, 5, dtype=np.uint8), "F8_E4M3")
    base, same = models("base", embed=eight, up=rows(1)), models("same", embed=eight, up=rows(2))
    different = models("different", embed=other, up=rows(2))
    vector = models.vector("v", embed=encode(np.ones(4), "F32"))

    assert models.made(base + (same - base), dtype="float32")[EMBED] == eight
    with pytest.raises(WeightArithError, match=r"\(F8_E4M3\) differs in different, and cannot be added"):
        models.made(0.5 * base + 0.5 * different)
    refused(base + vector, 10, f"tensor '{EMBED}' is F8_E4M3, and a vector moves it")


def test_a_selection_on_a_single_model_is_refused_by_tensor_name(models: Models) -> None:
    base, tuned = models("base", embed=rows(1), up=rows(1)), models("tuned", embed=rows(1), up=rows(2))
    half = Selection((Rule(Fraction(1, 2), roles=("mlp",)),))

    refused(
        base.weighted(half) + 0 * tuned,
        2,
        f"at '{UP}' the coefficients on checkpoints sum to 0.5 and not to 1",
    )
    refused(
        tuned.weighted(half) - base, 2, f"at '{UP}' the coefficients on checkpoints sum to -0.5 and not to 0"
    )
    assert models.made(base + (tuned - base).weighted(half)) == {EMBED: rows(1), UP: rows(1.5)}


def test_a_rule_that_matches_no_tensor_is_refused(models: Models) -> None:
    base, tuned = models("base", up=rows(1)), models("tuned", up=rows(2))
    typing_error = Selection((Rule(Fraction(1, 2), pattern="*.up_porj.*"),))

    refused(
        base + (tuned - base).weighted(typing_error), 2, r"a rule matches no tensor: name '\*.up_porj.\*'"
    )


@pytest.mark.parametrize("shape", [(), (0,), (0, 5), (5, 0), (1, 1, 1, 3)])
@pytest.mark.parametrize("code", ["BF16", "F64", "I64"])
def test_scalars_and_empty_tensors_take_part(models: Models, shape: tuple[int, ...], code: str) -> None:
    raw = from_bits(np.full(shape, 3), "I64") if code == "I64" else encode(np.full(shape, 3.0), code)
    other = raw if code == "I64" else encode(np.full(shape, 5.0), code)
    base, tuned = models("base", up=raw, embed=rows(1)), models("tuned", up=other, embed=rows(1))

    assert models.made(base + 1 * (tuned - base))[UP] == other
    half = raw if code == "I64" else encode(np.full(shape, 4.0), code)
    assert models.made(0.5 * base + 0.5 * tuned)[UP] == half
    save(tuned - base, models.folder / "v.safetensors")
    vector = Vector.open(models.folder / "v.safetensors")
    assert models.made(base + vector)[UP] == other


def test_an_empty_matrix_takes_an_empty_low_rank_change(models: Models) -> None:
    base = models("base", up=encode(np.ones((3, 0)), "BF16"))
    factors = {f"{UP}::A": encode(np.ones((2, 0)), "F32"), f"{UP}::B": encode(np.ones((3, 2)), "F32")}
    write(models.folder / "v.safetensors", factors, {"weightarith.kind": "vector"})

    assert models.made(base + Vector.open(models.folder / "v.safetensors"))[UP].data == b""


def test_a_plan_accounts_for_every_name_and_every_byte(models: Models) -> None:
    base = models("base", embed=rows(1, 2), up=rows(1), buffer=counts(1))
    tuned = models("tuned", embed=rows(1, 2), up=rows(2), buffer=counts(1))
    total = base + 0.5 * (tuned - base)
    planned = draw(total, Output(models.folder / "out"))
    save(total, models.folder / "out")

    assert set(fates(planned)) == {EMBED, UP, BUFFER}
    sizes = {file.name: (models.folder / "out" / file.name).stat().st_size for file in planned.files}
    assert sizes == {file.name: file.size for file in planned.files}
    assert planned.write_bytes == sum(sizes.values())
    assert planned.read_bytes == 2 * (8 + 4 + 8)
    assert fates(planned)[UP] == ("changed", "0.5·base + 0.5·tuned")


def test_a_path_is_looked_up_a_fixed_number_of_times_however_many_tensors(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[Path] = []
    resolve = Path.resolve

    def counted(path: Path) -> Path:
        looked_up.append(path)
        return resolve(path)

    monkeypatch.setattr(Path, "resolve", counted)
    found = []
    for count in (1, 50):
        for label in ("base", "tuned"):
            tensors = {f"layers.{number}.weight": rows(1) for number in range(count)}
            write(models.folder / f"{label}-{count}" / "model.safetensors", tensors)
        base, tuned = (Checkpoint.open(models.folder / f"{label}-{count}") for label in ("base", "tuned"))
        looked_up.clear()
        plan(base + 0.5 * (tuned - base))
        found.append(len(looked_up))

    assert found[0] == found[1]


def test_a_rule_must_touch_what_it_weighs_and_not_just_some_tensor_of_the_result(models: Models) -> None:
    base = models("base", embed=rows(1, 2), up=rows(1))
    vector = models.vector("v", up=rows(1, code="F32"))
    only_embeddings = Selection((Rule(Fraction(0), roles=("embed",)),))

    refused(
        base + vector.weighted(only_embeddings), 2, "a rule matches no tensor: role embed; 1 tensors were"
    )


def test_the_base_stays_the_base_where_a_weighted_difference_takes_it_away_again(models: Models) -> None:
    base = models("base", embed=rows(-0.0, 2), up=rows(1))
    tuned = models("tuned", embed=rows(0.0, 2), up=rows(3))
    half = (tuned - base).weighted(Selection((Rule(Fraction(0), roles=("embed",)),)))

    told = fates(plan(base + half))

    assert told[EMBED] == ("copied", "base (nothing is added here)")
    assert told[UP][0] == "changed"
