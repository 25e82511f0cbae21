"""Where mergekit 0.1.5 writes other numbers than one would think, and what `weightarith merge` writes.

The cases are numbered as in docs/mergekit.md; refusals are in test_silent_commands.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny
from tests.cli.conftest import Run
from tests.mergekit.both import assert_near, both, by_us, different, placed
from tests.reference import Doubles, read, step

pytestmark = pytest.mark.oracle

NEAR = "base_model: $base\nmodels: [{model: $near_a}, {model: $near_b}]\ndtype: float64\n"
GRADIENT = """merge_method: slerp
base_model: $base
models: [{model: $a}]
parameters: {t: [0.25, 0.75]}
dtype: float64
"""


def values(folder: Path) -> dict[str, Doubles]:
    return {name: raw.values for name, raw in read(folder).items()}


def test_6_what_a_gradient_gives_head_and_norm_is_written_down_and_can_be_changed(
    llamas: Path, tmp_path: Path, run: Run
) -> None:
    document = tmp_path / "mergekit.yaml"
    assert_near(both(GRADIENT, llamas, tmp_path, run))  # the first value, as mergekit has it

    recipe = run("convert", document).stdout

    assert "t=gradient(0.25, 0.75, elsewhere=0.25)" in recipe
    document.write_text(recipe.replace("elsewhere=0.25", "elsewhere=0.75"), encoding="utf-8")
    assert run("merge", document, "-o", tmp_path / "changed").status == 0
    before, after = values(tmp_path / "ours"), values(tmp_path / "changed")
    base, a = values(llamas / "base"), values(llamas / "a")
    changed = {name for name in after if not np.array_equal(before[name], after[name])}
    assert changed == {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"}
    for name in changed:
        assert np.allclose(after[name], base[name] / 4 + 3 / 4 * a[name], atol=1e-3)


def test_7_head_and_norm_are_merged_from_all_sources_of_the_last_slice(
    llamas: Path, tmp_path: Path, run: Run
) -> None:
    document = """merge_method: linear
parameters: {weight: 1}
slices:
- sources: [{model: $a, layer_range: [0, 2]}]
- sources: [{model: $b, layer_range: [2, 4]}, {model: $c, layer_range: [2, 4]}]
dtype: float64
"""
    found = both(document, llamas, tmp_path, run)

    assert different(found) == {"lm_head.weight", "model.norm.weight"}
    b, c = values(llamas / "b"), values(llamas / "c")
    for name in different(found):
        assert np.allclose(found.ours[name].values, (b[name] + c[name]) / 2, rtol=0, atol=1e-15)
        assert np.array_equal(found.theirs[name].values, b[name])


def test_11_without_a_gamma_nothing_is_cut_from_the_top(llamas: Path, tmp_path: Path, run: Run) -> None:
    models = "base_model: $base\nmodels: [{model: $a, parameters: {weight: 0.5}}]\ndtype: float64\n"
    text = placed(f"merge_method: breadcrumbs\n{models}parameters: {{density: 1, gamma: 0}}\n", llamas)

    found = values(by_us(text, tmp_path, run))

    base, a = values(llamas / "base"), values(llamas / "a")
    for name, value in found.items():
        assert np.allclose(value, base[name] + 0.5 * (a[name] - base[name]), rtol=0, atol=1e-15)


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """Return the folder of models that have a convolution of a row for each channel, and a number."""
    base = tiny.weights(depth=2)
    random = np.random.default_rng(0)
    base["model.layers.0.mixer.conv1d.weight"] = random.standard_normal((64, 1, 8)).astype("f4")
    base["model.layers.0.mixer.scale"] = random.standard_normal(1).astype("f4")
    for number, name in enumerate(("base", "a", "b")):
        tiny.checkpoint(tmp_path / "odd" / name, tiny.finetuned(base, seed=number), dtype="F32")
    return tmp_path / "odd"


def odd_document(method: str, folder: Path) -> str:
    text = f"merge_method: {method}\nbase_model: $base\nparameters: {{density: 0.5, weight: 1}}\n"
    return placed(f"{text}models: [{{model: $a}}, {{model: $b}}]\ndtype: float64\n", folder)


def test_12_della_drops_elements_of_a_convolution(odd: Path, tmp_path: Path, run: Run) -> None:
    import torch
    from mergekit.merge_methods import merge_tensors

    name = "model.layers.0.mixer.conv1d.weight"
    inputs = [values(odd / each)[name] for each in ("base", "a")]

    found = values(by_us(odd_document("della_linear", odd), tmp_path, run))[name]

    assert np.isfinite(found).all()
    assert 0.6 < np.mean(found != inputs[0]) < 0.9  # of two vectors, half each
    given: dict[str, Any] = {"weight": [1.0], "density": [0.5], "epsilon": [0.1]}
    with pytest.raises((RuntimeError, ValueError, ZeroDivisionError)):
        merge_tensors([torch.tensor(each) for each in inputs], "della", parameters=given, base_index=0)


def test_13_ties_keeps_a_tensor_of_one_number(odd: Path, tmp_path: Path, run: Run) -> None:
    name = "model.layers.0.mixer.scale"
    base, a, b = (values(odd / each)[name] for each in ("base", "a", "b"))

    found = values(by_us(odd_document("ties", odd), tmp_path, run))[name]

    moves = np.array([a - base, b - base])
    agreeing = moves[np.sign(moves) == np.sign(moves.sum())]
    assert found == pytest.approx(base + agreeing.mean())


def test_16_small_changes_are_weighed_by_their_energy_like_large_ones(
    llamas: Path, tmp_path: Path, run: Run
) -> None:
    found = both(f"merge_method: sce\n{NEAR}", llamas, tmp_path, run)

    base, *tunes = (values(llamas / each) for each in ("base", "near_a", "near_b"))
    for name, raw in found.ours.items():
        moves = np.array([each[name] - base[name] for each in tunes])
        energies = np.square(moves).reshape(2, -1).mean(axis=1)
        assert energies.sum() < 1e-6
        assert np.allclose(raw.values - base[name], elected(moves, energies), rtol=0, atol=1e-12)
        theirs = found.theirs[name].values - base[name]
        assert np.allclose(theirs, elected(moves, np.ones(2)), rtol=0, atol=1e-12)
        assert not np.allclose(theirs, raw.values - base[name], rtol=0, atol=1e-6)


def elected(moves: Doubles, weights: Doubles) -> Doubles:
    """Return the mean of the moves that have the sign of their sum, by weight."""
    sign = np.where(moves.sum(axis=0) >= 0, 1, -1)
    shares = weights.reshape(-1, *[1] * (moves.ndim - 1)) * (np.sign(moves) == sign)
    mean: Doubles = (shares * moves).sum(axis=0) / np.maximum(shares.sum(axis=0), 1e-300)
    return mean


@pytest.mark.parametrize("method", ["linear", "karcher", "ties"])
def test_17_models_are_merged_in_the_order_of_the_document_which_hardly_matters(
    method: str, llamas: Path, tmp_path: Path, run: Run
) -> None:
    weighted = "" if method == "karcher" else ", parameters: {weight: 0.3}"
    top = f"merge_method: {method}\n" + "base_model: $base\n" * (method == "ties") + "dtype: float64\n"
    found = []

    for number, order in enumerate(("abc", "abc", "cab")):
        (tmp_path / str(number)).mkdir()
        models = ", ".join(f"{{model: ${name}{weighted}}}" for name in order)
        found.append(values(by_us(placed(f"{top}models: [{models}]\n", llamas), tmp_path / str(number), run)))

    for name, value in found[0].items():
        assert np.array_equal(value, found[1][name])
        assert np.allclose(value, found[2][name], rtol=0, atol=1e-15)


def test_18_every_element_is_rounded_once(llamas: Path, tmp_path: Path, run: Run) -> None:
    document = """merge_method: task_arithmetic
base_model: $base16
models: [{model: $a16, parameters: {weight: 0.3}}, {model: $b16, parameters: {weight: 0.7}}]
dtype: bfloat16
"""
    found = both(document, llamas, tmp_path, run)

    base, a, b = (values(llamas / each) for each in ("base16", "a16", "b16"))
    wrong = []
    for name, raw in found.ours.items():
        exact = base[name] + 0.3 * (a[name] - base[name]) + 0.7 * (b[name] - base[name])
        assert np.all(np.abs(raw.values - exact) <= 0.5 * step(exact, "BF16") * (1 + 1e-9))
        wrong.append(np.mean(found.theirs[name].values != raw.values))
    assert np.mean(wrong) > 0.03


@pytest.mark.parametrize(("row_wise", "per"), [("true", "column"), ("false", "row")])
def test_20_rows_and_columns_are_called_what_they_are(
    row_wise: str, per: str, llamas: Path, tmp_path: Path, run: Run
) -> None:
    document = f"""merge_method: nuslerp
models: [{{model: $far, parameters: {{weight: 1}}}}, {{model: $b, parameters: {{weight: 2}}}}]
parameters: {{nuslerp_flatten: false, nuslerp_row_wise: {row_wise}}}
dtype: float64
"""
    found = both(document, llamas, tmp_path, run)

    assert f'per="{per}"' in run("convert", tmp_path / "mergekit.yaml").stdout
    assert_near(found)
    name, axis = "model.layers.0.mlp.up_proj.weight", -1 if per == "row" else 0
    far, b = (values(llamas / each)[name] for each in ("far", "b"))
    cosine = (far * b).sum(axis) / np.linalg.norm(far, axis=axis) / np.linalg.norm(b, axis=axis)
    angle = np.expand_dims(np.arccos(cosine), axis)
    arc = (np.sin(angle / 3) * far + np.sin(2 * angle / 3) * b) / np.sin(angle)
    assert np.allclose(found.ours[name].values, arc, rtol=0, atol=1e-12)


def test_20_rows_where_nothing_is_by_rows_are_refused(llamas: Path, tmp_path: Path, run: Run) -> None:
    models = "models: [{model: $a, parameters: {weight: 1}}, {model: $b, parameters: {weight: 2}}]"
    text = placed(f"merge_method: nuslerp\n{models}\nparameters: {{nuslerp_row_wise: true}}\n", llamas)
    (tmp_path / "mergekit.yaml").write_text(text, encoding="utf-8")

    ran = run("merge", tmp_path / "mergekit.yaml", "-o", tmp_path / "out")

    assert ran.status == 2
    assert "nuslerp_row_wise is ignored while tensors are flattened" in ran.stderr


def test_without_a_dtype_tensors_are_stored_as_the_base_has_them(
    llamas: Path, tmp_path: Path, run: Run
) -> None:
    document = """merge_method: task_arithmetic
base_model: $base16
models: [{model: $a, parameters: {weight: 1}}]
"""
    found = both(document, llamas, tmp_path, run)

    assert {raw.code for raw in found.ours.values()} == {"BF16"}
    assert {raw.code for raw in found.theirs.values()} == {"F32"}
    assert found.our_config["dtype"] == found.their_config["dtype"] == "bfloat16"
