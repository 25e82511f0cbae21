"""Inner products of vectors: those of the changes multiplied out, whatever the vectors are stored in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import tiny as models
from tests.conftest import Tiny
from tests.geometry.vectors import (
    Doubles,
    adapter_changes,
    dense_vector,
    differences,
    naive_gram,
    opened,
)  # fmt: skip
from weightarith.algebra import Checkpoint
from weightarith.engine.settings import Policy
from weightarith.errors import IncompatibleError, NonFiniteError, RecipeError
from weightarith.geometry import OUTSIDE, Gram, apart, gram

Q = "model.layers.0.self_attn.q_proj.weight"


def close(found: Mapping[str, Doubles], expected: Mapping[str, Doubles], within: float = 1e-12) -> None:
    assert found.keys() == expected.keys()
    for name, matrix in found.items():
        scale = np.sqrt(np.outer(np.diagonal(expected[name]), np.diagonal(expected[name])))
        assert np.all(abs(matrix - expected[name]) <= within * scale + 1e-300), name


def test_adapters_have_the_products_of_their_changes_multiplied_out(tiny: Tiny) -> None:
    found = gram([opened(tiny.positive), opened(tiny.negative)])

    assert found.labels == ("positive", "negative")
    close(found.tensors, naive_gram([adapter_changes(tiny.positive), adapter_changes(tiny.negative)]))


@settings(max_examples=25)
@given(
    ranks=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    numbers=st.lists(st.integers(-3, 3), min_size=4, max_size=4),
    seed=st.integers(0, 2**16),
)
def test_factored_cosines_equal_dense_ones(
    tmp_path_factory: pytest.TempPathFactory, ranks: list[int], numbers: list[int], seed: int
) -> None:
    folder = tmp_path_factory.mktemp("law")
    paths = [models.adapter(folder / str(n), rank=rank, alpha=2 * rank, seed=seed + n)
             for n, rank in enumerate(ranks)]  # fmt: skip
    given_, dense = [opened(path) for path in paths], [adapter_changes(path) for path in paths]
    mixed = numbers[0] * given_[0] + numbers[1] * given_[1]
    multiplied = {name: numbers[0] * dense[0][name] + numbers[1] * dense[1][name] for name in dense[0]}

    found = gram([*given_, mixed])

    total = sum(naive_gram([*dense, multiplied]).values())
    sizes = np.sqrt(np.diagonal(total))
    product = np.outer(sizes, sizes)
    expected = np.divide(total, product, out=np.zeros_like(product), where=product > 0)
    assert np.allclose(found.cosines(), expected, rtol=0, atol=1e-6)
    assert np.allclose(found.norms(), sizes, rtol=1e-12, atol=0)


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32", "F64"])
def test_models_less_their_base_are_compared_in_every_format(tmp_path: Path, dtype: str) -> None:
    base = models.weights()
    folders = [models.checkpoint(tmp_path / "base", base, dtype=dtype)]
    folders += [
        models.checkpoint(tmp_path / str(seed), models.finetuned(base, seed=seed), dtype=dtype)
        for seed in (1, 2, 3)
    ]
    start, *others = (Checkpoint.open(folder, label=folder.name) for folder in folders)
    expected = [differences(folder, folders[0]) for folder in folders[1:]]

    for count in (1, 2, 3):
        found = gram([other - start for other in others[:count]])
        close(found.tensors, naive_gram(expected[:count]))


@pytest.mark.parametrize("numbers", [(-1, -1), (-2, 1), (3, 0.5), (0, 1)])
def test_multiples_and_opposites_are_compared_as_such(tiny: Tiny, numbers: tuple[float, float]) -> None:
    base = Checkpoint.open(tiny.base, label="base")
    folders = [tiny.finetuned, tiny.other]
    given_ = [number * (Checkpoint.open(each) - base) for number, each in zip(numbers, folders, strict=True)]
    expected = [
        {name: number * change for name, change in differences(each, tiny.base).items()}
        for number, each in zip(numbers, folders, strict=True)
    ]

    close(gram(given_).tensors, naive_gram(expected))


def test_formats_that_differ_are_compared_too(tmp_path: Path, tiny: Tiny) -> None:
    wide = models.checkpoint(tmp_path / "wide", models.load(tiny.finetuned), dtype="F32")
    base, other = Checkpoint.open(tiny.base, label="base"), Checkpoint.open(tiny.other)

    found = gram([Checkpoint.open(wide) - base, other - base])

    close(found.tensors, naive_gram([differences(wide, tiny.base), differences(tiny.other, tiny.base)]))


def test_adapters_dense_vectors_and_sums_of_both_go_together(tmp_path: Path, tiny: Tiny) -> None:
    changes = {name: change / 10 for name, change in differences(tiny.finetuned, tiny.base).items()}
    vector = dense_vector(tmp_path / "v.safetensors", changes)
    stored = {name: change.astype(np.float64) for name, change in models.load(vector.source.path).items()}
    adapter, dense = opened(tiny.positive), adapter_changes(tiny.positive)
    both = {name: stored[name] - 0.5 * dense.get(name, np.zeros(())) for name in stored}

    found = gram([vector, adapter, vector - 0.5 * adapter, 3 * vector])

    tripled = {name: 3 * change for name, change in stored.items()}
    close(found.tensors, naive_gram([stored, dense, both, tripled]), within=1e-9)


def test_a_tensor_that_a_vector_lacks_is_zero_there(tmp_path: Path) -> None:
    one = dense_vector(tmp_path / "one.safetensors", {Q: np.ones((16, 16))})
    other = dense_vector(tmp_path / "other.safetensors", {"lm_head.weight": np.full((40, 16), 2.0)})

    found = gram([one, other])

    assert found.tensors[Q].tolist() == [[256, 0], [0, 0]]
    assert found.total().tolist() == [[256, 0], [0, 2560]]
    assert found.share("embed", "head").tolist() == [0, 1]


def test_threads_change_no_digit(tiny: Tiny) -> None:
    base = Checkpoint.open(tiny.base, label="base")
    vectors = [Checkpoint.open(tiny.finetuned) - base, opened(tiny.positive)]

    one, many = (gram(vectors, threads=threads).tensors for threads in (1, 4))

    assert all(np.array_equal(one[name], many[name]) for name in one)


def test_groups_are_in_the_order_of_layers_and_add_up(tmp_path: Path) -> None:
    base = models.weights(depth=12)
    folder, other = (
        models.checkpoint(tmp_path / "base", base),
        models.checkpoint(tmp_path / "tuned", models.finetuned(base, seed=1)),
    )
    found = gram([Checkpoint.open(other) - Checkpoint.open(folder, label="base")])

    assert list(found.by_layer()) == [OUTSIDE, *map(str, range(12))]
    assert list(found.by_role()) == sorted(found.by_role())
    assert list(found.by_module())[:2] == ["lm_head", "model.embed_tokens"]
    for groups in (found.by_layer(), found.by_role(), found.by_module()):
        assert sum(groups.values()) == pytest.approx(found.total(), rel=1e-12)


def test_a_vector_of_no_length_has_no_cosine_and_no_nan(tiny: Tiny) -> None:
    adapter = opened(tiny.positive)

    found = gram([adapter, adapter - adapter])

    assert found.norms()[1] == 0
    assert found.cosines().tolist() == [[1, 0], [0, 0]]


def test_the_difference_of_two_models_is_exact_however_small(tmp_path: Path) -> None:
    base = models.weights()
    moved = {name: weights.copy() for name, weights in base.items()}
    moved[Q][3, 5] += np.float32(2.0**-12)
    folders = [models.checkpoint(tmp_path / name, each, dtype="F32")
               for name, each in (("one", moved), ("other", base))]  # fmt: skip

    found = apart(*(Checkpoint.open(folder) for folder in folders), labels=("one", "other"))

    assert found.labels == ("one", "other", "one − other")
    assert found.norms()[2] == abs(float(moved[Q][3, 5]) - float(base[Q][3, 5])) > 0
    assert [name for name, matrix in found.tensors.items() if matrix[2, 2]] == [Q]
    sizes = [np.sqrt(sum(float((w.astype(np.float64) ** 2).sum()) for w in each.values()))
             for each in (moved, base)]  # fmt: skip
    assert found.norms()[:2] == pytest.approx(sizes, rel=1e-12)


def test_models_are_compared_as_they_are_in_every_format(tmp_path: Path, tiny: Tiny) -> None:
    wide = models.checkpoint(tmp_path / "wide", models.load(tiny.other), dtype="F64")
    paths = [tiny.finetuned, wide]
    one, other = ({name: w.astype(np.float64) for name, w in models.load(path).items()} for path in paths)

    found = apart(*(Checkpoint.open(path) for path in paths))

    less = {name: one[name] - other[name] for name in one}
    close(found.tensors, naive_gram([one, other, less]), within=1e-10)


def test_nothing_to_compare_and_labels_that_do_not_fit_are_refused(tiny: Tiny) -> None:
    with pytest.raises(RecipeError, match="there is nothing to compare"):
        gram([])
    with pytest.raises(RecipeError, match="1 labels for 2 vectors"):
        gram([opened(tiny.positive), opened(tiny.negative)], labels=["a"])
    with pytest.raises(RecipeError, match="takes models, and positive is a vector"):
        gram([Checkpoint.open(tiny.base), opened(tiny.positive)])


def test_shapes_that_do_not_fit_are_refused_by_name(tmp_path: Path) -> None:
    one = dense_vector(tmp_path / "one.safetensors", {Q: np.ones((16, 16))})
    other = dense_vector(tmp_path / "other.safetensors", {Q: np.ones((8, 16))})

    with pytest.raises(IncompatibleError, match="q_proj"):
        gram([one, other])


@pytest.mark.parametrize("vectors", [1, 2])
def test_a_number_that_is_not_finite_is_refused_by_name(tmp_path: Path, vectors: int) -> None:
    broken = np.ones((16, 16))
    broken[2, 3] = np.nan
    given_ = [dense_vector(tmp_path / "v.safetensors", {Q: broken})]
    given_ += [dense_vector(tmp_path / "w.safetensors", {Q: np.ones((16, 16))})][: vectors - 1]

    with pytest.raises(NonFiniteError, match="q_proj"):
        gram(given_)
    assert isinstance(gram(given_, policy=Policy(nonfinite="allow")), Gram)
