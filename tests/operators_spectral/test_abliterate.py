from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.operators_spectral.arrays import LIBRARIES, Doubles, dense, field, normal
from weightarith.errors import RecipeError, UnsupportedError
from weightarith.operators.abliterate import ABLITERATE, abliterate, writes
from weightarith.operators.field import Mixed, Rowwise

STREAM = 6
OUT, EMBED = "model.layers.3.self_attn.o_proj.weight", "model.embed_tokens.weight"


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def direction() -> Doubles:
    return normal(99, STREAM)


def run(
    given: Any, towards: Any = None, strength: float = 1.0, norms: str = "", layout: str = "linear"
) -> Any:
    towards = direction() if towards is None else towards
    return abliterate(given, direction=towards, strength=strength, norms=norms, layout=layout)


def edited(given: Any, **options: Any) -> Doubles:
    return dense(run(given, **options), given)


def naive(writing: Doubles, strength: float = 1.0, norms: str = "") -> Doubles:
    """Return the edit of a matrix (stream, inputs)."""
    unit = direction() / np.linalg.norm(direction())
    taken = np.eye(STREAM) - strength * np.outer(unit, unit)
    if not norms:
        return np.asarray(taken @ writing)
    axis = {"row": 1, "column": 0}[norms]
    size = np.linalg.norm(writing, axis=axis, keepdims=True)
    made = taken @ (writing / size)
    return np.asarray(made / np.linalg.norm(made, axis=axis, keepdims=True) * size)


@pytest.mark.parametrize("norms", ["", "row", "column"])
@pytest.mark.parametrize("strength", [1.0, 0.5, -1.0])
@pytest.mark.parametrize("block", [1, 7, 1 << 15])
@pytest.mark.parametrize("inputs", [1, 4, 9])
def test_the_direction_is_taken_out_of_what_a_matrix_writes(
    library: str, inputs: int, block: int, strength: float, norms: str
) -> None:
    matrix = normal(0, STREAM, inputs)
    given = field(library, [matrix], name=OUT, block=block)
    np.testing.assert_allclose(
        edited(given, strength=strength, norms=norms), naive(matrix, strength, norms), atol=1e-13
    )


@pytest.mark.parametrize("norms", ["", "row", "column"])
@pytest.mark.parametrize("block", [1, 7, 1 << 15])
@pytest.mark.parametrize("name", [EMBED, "transformer.wpe.weight"])
def test_an_embedding_has_the_stream_along_its_rows(library: str, name: str, block: int, norms: str) -> None:
    matrix = normal(1, 8, STREAM)
    given = field(library, [matrix], name=name, block=block)
    np.testing.assert_allclose(edited(given, norms=norms), naive(matrix.T, norms=norms).T, atol=1e-13)


@pytest.mark.parametrize("norms", ["", "row", "column"])
def test_matrices_stored_the_other_way_round_are_edited_alike(library: str, norms: str) -> None:
    matrix = normal(2, 4, STREAM)
    given = field(library, [matrix], name="transformer.h.0.mlp.c_proj.weight")
    found = edited(given, layout="conv1d", norms=norms)
    np.testing.assert_allclose(found, naive(matrix.T, norms=norms).T, atol=1e-13)


@pytest.mark.parametrize("norms", ["", "row", "column"])
@pytest.mark.parametrize("block", [1, 13, 30, 1 << 15])
@pytest.mark.parametrize("turned", [False, True])
def test_fused_experts_are_edited_one_by_one(library: str, turned: bool, block: int, norms: str) -> None:
    experts = normal(3, 3, STREAM, 5)
    expected = np.stack([naive(one, norms=norms) for one in experts])
    if turned:
        experts, expected = np.swapaxes(experts, 1, 2), np.swapaxes(expected, 1, 2)
    given = field(library, [experts], name="model.layers.0.mlp.experts.down_proj", block=block)
    np.testing.assert_allclose(edited(given, norms=norms), expected, atol=1e-13)


@pytest.mark.parametrize(
    "name", ["model.layers.0.mlp.down_proj.bias", "model.layers.0.self_attn.o_proj.bias"]
)
def test_the_direction_is_taken_out_of_biases_too(library: str, name: str) -> None:
    bias = normal(4, STREAM)
    given = field(library, [bias], name=name)
    np.testing.assert_allclose(edited(given), naive(bias[:, None])[:, 0], atol=1e-13)


def test_biases_of_fused_experts_have_the_stream_along_their_rows(library: str) -> None:
    biases = normal(5, 3, STREAM)
    given = field(library, [biases], name="model.layers.0.mlp.experts.down_proj_bias")
    np.testing.assert_allclose(edited(given), naive(biases.T).T, atol=1e-13)


def test_nothing_is_written_along_the_direction_after_the_edit(library: str) -> None:
    unit = direction() / np.linalg.norm(direction())
    given = field(library, [normal(6, STREAM, 4)], name=OUT)
    np.testing.assert_allclose(unit @ edited(given), 0, atol=1e-14)
    np.testing.assert_allclose(unit @ edited(given, norms="column"), 0, atol=1e-14)
    assert np.abs(unit @ edited(given, norms="row")).max() > 1e-3


def test_lengths_are_kept_where_asked_for(library: str) -> None:
    matrix = normal(7, STREAM, 4)
    given = field(library, [matrix], name=OUT)
    for norms, axis in (("row", 1), ("column", 0)):
        found = edited(given, norms=norms)
        np.testing.assert_allclose(np.linalg.norm(found, axis=axis), np.linalg.norm(matrix, axis=axis))


@pytest.mark.parametrize("norms", ["row", "column"])
@pytest.mark.parametrize("name", [OUT, EMBED])
def test_what_is_zero_or_all_along_the_direction_is_not_made_of_rounding(
    library: str, name: str, norms: str
) -> None:
    matrix = np.outer(direction(), [2.0, 0.0, -1.0])
    given = field(library, [matrix.T if name == EMBED else matrix], name=name)
    if norms == "column":
        np.testing.assert_allclose(edited(given, norms=norms), 0, atol=1e-14)
    assert np.isfinite(edited(given, norms=norms)).all()
    zero = field(library, [np.zeros((3, STREAM) if name == EMBED else (STREAM, 3))], name=name)
    assert not edited(zero, norms=norms).any()


def test_the_length_of_the_direction_does_not_matter(library: str) -> None:
    given = field(library, [normal(8, STREAM, 4)], name=OUT)
    np.testing.assert_allclose(edited(given, towards=-7 * direction()), edited(given), atol=1e-14)
    np.testing.assert_allclose(edited(given, towards=direction().astype("float32")), edited(given), atol=1e-6)


def test_a_second_edit_changes_nothing(library: str) -> None:
    once = edited(field(library, [normal(9, STREAM, 4)], name=OUT))
    np.testing.assert_allclose(edited(field(library, [once], name=OUT)), once, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (OUT, True),
        (EMBED, True),
        ("transformer.wte.weight", True),
        ("transformer.h.0.attn.c_proj.weight", True),
        ("model.layers.0.mlp.down_proj.weight", True),
        ("model.layers.0.mlp.shared_expert.down_proj.weight", True),
        ("model.layers.0.mlp.experts.7.down_proj.weight", True),
        ("model.layers.0.block_sparse_moe.experts.7.w2.weight", True),
        ("model.layers.0.mlp.experts.down_proj", True),
        ("model.layers.0.mlp.experts.down_proj_bias", True),
        ("model.layers.0.mlp.experts.7.up_proj.weight", False),
        ("model.layers.0.mlp.experts.gate_up_proj", False),
        ("model.layers.0.self_attn.q_proj.weight", False),
        ("model.layers.0.mlp.up_proj.weight", False),
        ("model.layers.0.input_layernorm.weight", False),
        ("model.norm.weight", False),
        ("lm_head.weight", False),
        ("visual.blocks.0.mlp.down_proj.weight", False),
    ],
)
def test_what_writes_to_the_stream_is_known_by_its_name(name: str, expected: bool) -> None:
    assert writes(name) == expected


def test_other_tensors_empty_ones_and_a_strength_of_zero_leave_all_as_it_is() -> None:
    for given, strength in (
        (field("numpy", [normal(10, 3, 5)], name="model.layers.0.mlp.up_proj.weight"), 1.0),
        (field("numpy", [np.zeros((0, STREAM))], name=EMBED), 1.0),
        (field("numpy", [normal(11, 5, 5)], name=OUT), 0.0),
    ):
        found = run(given, strength=strength)
        assert isinstance(found, Mixed)
        assert found.coefficients == (1.0,)


def test_the_edit_is_made_row_by_row() -> None:
    assert isinstance(run(field("numpy", [normal(12, STREAM, 4)], name=OUT), norms="row"), Rowwise)


def test_a_stream_of_another_size_is_refused_with_the_layout_to_try() -> None:
    given = field("numpy", [normal(13, 4, STREAM)], name=OUT)
    expected = (
        r"the direction has 6 elements, and 'model.*o_proj\.weight' of shape \(4, 6\) writes to a resid"
    )
    with pytest.raises(RecipeError, match=expected) as error:
        run(given)
    assert 'layout="conv1d"' in error.value.hint
    with pytest.raises(RecipeError, match=r"stream of 4\n"):
        run(field("numpy", [normal(14, STREAM, 4)], name=OUT), layout="conv1d")
    with pytest.raises(RecipeError, match=r"stream of 5\n"):
        run(field("numpy", [normal(15, 9, 5)], name=EMBED))
    with pytest.raises(RecipeError, match=r"stream of 5\n"):
        run(field("numpy", [normal(15, 5)], name="model.layers.0.mlp.down_proj.bias"))
    with pytest.raises(RecipeError, match=r"stream of 4\n"):
        run(field("numpy", [normal(15, 2, 4, 5)], name="model.layers.0.mlp.experts.down_proj"))


def test_square_fused_experts_are_refused_by_name() -> None:
    given = field("numpy", [normal(16, 2, STREAM, STREAM)], name="model.layers.0.mlp.experts.down_proj")
    with pytest.raises(UnsupportedError, match="holds fused experts, and either side may be the") as error:
        run(given)
    assert "strength 0" in error.value.hint


@pytest.mark.parametrize("wrong", [np.zeros(STREAM), np.full(STREAM, np.nan), np.ones((2, 3))])
def test_a_direction_that_is_none_is_refused(wrong: Doubles) -> None:
    with pytest.raises(RecipeError, match=r"abliterate\(direction=…\) is one finite vector other than 0"):
        run(field("numpy", [normal(17, STREAM, 4)], name=OUT), towards=wrong)


def test_the_operator_takes_one_model() -> None:
    assert (ABLITERATE.takes, ABLITERATE.fewest, ABLITERATE.most) == ("checkpoint", 1, 1)
    assert ABLITERATE.defaults == {"strength": 1.0, "norms": "", "layout": "linear"}
