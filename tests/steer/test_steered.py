"""A network steered by a number is the merged network, and afterwards the one it was."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import ExitStack
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.steer.networks import IDS, everything, left_as_it_was, merged, small, write
from weightarith.algebra import Vector
from weightarith.steer import steered

Everything = tuple[Vector, dict[str, torch.Tensor]]
STRENGTHS = st.floats(-3, 3).filter(lambda number: number == 0 or abs(number) > 1e-6)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Everything:
    return everything(tmp_path_factory.mktemp("one") / "v.safetensors")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Everything:
    return everything(tmp_path_factory.mktemp("other") / "v.safetensors", seed=1)


def close(found: torch.Tensor, expected: torch.Tensor, relative: float = 3e-7) -> bool:
    return bool((found - expected).norm() <= relative * expected.norm())


@given(strength=STRENGTHS)
def test_every_kind_of_weight_and_a_new_bias_move_as_a_merge_moves_them(
    one: Everything, strength: float
) -> None:
    network = small()

    with left_as_it_was(network), torch.no_grad(), steered(network, one[0], strength):
        assert close(network(IDS), merged(one[1], strength)(IDS))  # what is moved is summed in float32


def test_a_strength_of_zero_is_the_network_itself_bit_for_bit(one: Everything) -> None:
    network = small(torch.bfloat16)
    expected = network(IDS)

    with steered(network, one[0], 0.0) as dial:
        assert torch.equal(network(IDS), expected)
        dial.strength = 2
        assert not torch.equal(network(IDS), expected)
        dial.strength = -0.0
        assert torch.equal(network(IDS), expected)


def test_the_strength_can_be_set_between_passes_and_nothing_is_allocated_anew(one: Everything) -> None:
    network = small()

    with steered(network, one[0]) as dial, torch.no_grad():
        places = {name: tensor.data_ptr() for name, tensor in network.state_dict().items()}
        hooks = [id(hook) for module in network.modules() for hook in module._forward_hooks.values()]
        for strength in (0.5, Fraction(-1, 3), Decimal("1.25"), 0, 3):
            dial.strength = strength
            assert dial.strength == float(strength)
            assert close(network(IDS), merged(one[1], float(strength))(IDS))
        assert {name: tensor.data_ptr() for name, tensor in network.state_dict().items()} == places
        assert [id(hook) for module in network.modules() for hook in module._forward_hooks.values()] == hooks


def test_linear_weights_are_not_rewritten_and_a_shared_one_moves_at_both_ends(one: Everything) -> None:
    network = small()
    before = {name: id(parameter) for name, parameter in network.named_parameters()}

    with steered(network, one[0]):
        now = dict(network.named_parameters())
        kept = {name for name, parameter in now.items() if id(parameter) == before[name]}
        assert kept == {"plain.weight", "biased.weight", "biased.bias"}
        assert network.head.weight is network.embed.weight


@given(strengths=st.tuples(STRENGTHS, STRENGTHS))
def test_contexts_inside_one_another_add_up(
    one: Everything, other: Everything, strengths: tuple[float, float]
) -> None:
    network = small()
    both = {
        name: strengths[0] * one[1][name] + strengths[1] * other[1][name] for name in one[1]
    }  # fmt: skip

    with left_as_it_was(network), torch.no_grad(), steered(network, one[0], strengths[0]):
        with steered(network, other[0], strengths[1]):
            assert close(network(IDS), merged(both, 1.0)(IDS), 1e-6)
        assert close(network(IDS), merged(one[1], strengths[0])(IDS))


def test_a_weight_that_two_vectors_move_is_rounded_once(tmp_path: Path) -> None:
    network = small(torch.bfloat16)
    network.norm.weight.data.fill_(1.0)
    vector = write(tmp_path / "v.safetensors", {"norm.weight": torch.full((6,), 0.75 * 2.0**-8)})

    with steered(network, vector):
        assert torch.equal(network.norm.weight, torch.ones(6, dtype=torch.bfloat16))  # ¾ of half a step
        with steered(network, vector):
            assert (network.norm.weight == 1 + 2.0**-7).all()  # 1½ of it


def test_contexts_left_in_any_order_restore_the_network(one: Everything, other: Everything) -> None:
    network = small()

    for order in itertools.permutations(range(3)):
        with left_as_it_was(network), torch.no_grad():
            contexts = [steered(network, v, k) for v, k in ((one[0], 1), (other[0], -2), (one[0], 0))]
            for context in contexts:
                context.__enter__()
            for number in order[:2]:
                contexts[number].__exit__(None, None, None)
            alone = merged(*((one[1], 1.0), (other[1], -2.0), (one[1], 0.0))[order[2]])
            assert close(network(IDS), alone(IDS))
            contexts[order[2]].__exit__(None, None, None)


def test_an_exception_inside_restores_the_network(one: Everything, other: Everything) -> None:
    network = small()

    with left_as_it_was(network):
        inside = ExitStack()
        inside.enter_context(steered(network, one[0]))
        inside.enter_context(steered(network, other[0]))
        with pytest.raises(KeyboardInterrupt), inside:
            raise KeyboardInterrupt


def test_running_out_of_memory_half_way_restores_the_network(
    one: Everything, other: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = small()
    seen = itertools.count()

    def fails(call: Callable[..., Any]) -> Callable[..., Any]:
        def sometimes(*given: Any, **options: Any) -> Any:
            if next(seen) == 3:
                raise MemoryError
            return call(*given, **options)

        return sometimes

    monkeypatch.setattr("weightarith.steer.moved._in_rows", fails(lambda tensor: tensor.detach().view(-1, 6)))
    with left_as_it_was(network), pytest.raises(MemoryError), steered(network, one[0]):
        pass
    monkeypatch.undo()
    with left_as_it_was(network), steered(network, one[0]):
        expected = network(IDS)
        seen = itertools.count()
        monkeypatch.setattr("weightarith.steer.moved._in_rows", fails(lambda tensor: tensor.detach()))
        with pytest.raises(MemoryError), steered(network, other[0]):
            pass
        monkeypatch.undo()
        assert torch.equal(network(IDS), expected)


def test_a_network_steered_in_inference_mode_can_be_set_and_differentiated_outside(one: Everything) -> None:
    network = small()

    with ExitStack() as inside:
        with torch.inference_mode():
            dial = inside.enter_context(steered(network, one[0]))
        dial.strength = 2
        network(IDS).sum().backward()

    assert network.plain.weight.grad is not None
    assert network.embed.weight.grad is None  # it was put aside


def test_all_zero_tensors_move_nothing(tmp_path: Path) -> None:
    network = small()
    vector = write(tmp_path / "zero.safetensors", {"norm.weight": [0.0] * 6, "plain.bias": [0.0] * 8})

    with left_as_it_was(network), steered(network, vector), left_as_it_was(network):
        pass


def test_large_weights_are_computed_piece_by_piece(one: Everything, monkeypatch: pytest.MonkeyPatch) -> None:
    network = small()
    with torch.no_grad(), steered(network, one[0], 0.7):
        expected = network(IDS)

    for elements in (1, 13, 20):
        monkeypatch.setattr("weightarith.steer.moved.CHUNK", elements)
        with torch.no_grad(), steered(network, one[0], 0.7):
            assert close(network(IDS), expected)


def test_a_shared_weight_moved_alike_by_both_its_names_moves_once(tmp_path: Path) -> None:
    network = small()
    change = torch.full((11, 6), 0.25, dtype=torch.float64)
    vector = write(tmp_path / "v.safetensors", {"embed.weight": change, "head.weight": change})

    with steered(network, vector):
        assert torch.allclose(network.embed.weight, small().embed.weight + change, atol=1e-6)


def test_small_factors_do_not_vanish_in_float16(tmp_path: Path) -> None:
    network = small(torch.float16)
    left, right = torch.full((8, 1), 1e-9), torch.full((1, 6), 1e9)
    vector = write(tmp_path / "v.safetensors", {"plain.weight": (left, right)})

    with steered(network, vector):
        found = network.plain(torch.ones(6, dtype=torch.float16))

    assert torch.allclose(found, small().plain(torch.ones(6).double()).half() + 6, atol=0.01)


def test_a_strength_of_zero_computes_nothing_that_could_overflow(tmp_path: Path) -> None:
    network = small(torch.float16)
    given = torch.full((6,), 100.0, dtype=torch.float16)
    expected = network.plain(given)
    vector = write(tmp_path / "v.safetensors", {"plain.weight": torch.full((8, 6), 6e4)})

    with steered(network, vector, 0) as dial:
        assert torch.equal(network.plain(given), expected)
        dial.strength = 1
        assert network.plain(given).isinf().all()
