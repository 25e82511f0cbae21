"""The choice of learning rate and step, from losses alone."""

from __future__ import annotations

import pytest

from weightarith.errors import NonFiniteError
from weightarith.train import Settings
from weightarith.train.choice import choose
from weightarith.train.fit import Fitted

PATIENT, TO_THE_END = Settings(patience=2), Settings(patience=0)


def fitted(rate: float, *looks: tuple[int, float | None], steps: int = 6) -> Fitted:
    taken = looks[-1][0] if looks else steps
    saved = tuple(step for step, _ in looks) or (steps,)
    return Fitted(rate, steps, (1.0,) * taken, looks, saved, 0.0)


def sides(*fits: Fitted) -> dict[float, Fitted]:
    return {one.learning_rate: one for one in fits}


def test_the_lowest_loss_is_chosen_over_rates_and_steps() -> None:
    found = choose([sides(fitted(0.1, (2, 3.0), (4, 1.0), (6, 2.0)), fitted(0.2, (6, 1.5)))], PATIENT)
    assert (found.learning_rate, found.step, found.validation) == (0.1, 4, (1.0,))


def test_without_patience_the_last_step_is_kept() -> None:
    found = choose([sides(fitted(0.1, (2, 0.1), (6, 2.0)), fitted(0.2, (6, 1.5)))], TO_THE_END)
    assert (found.learning_rate, found.step) == (0.2, 6)


def test_sides_share_a_rate_and_a_step_by_the_sum_of_their_losses() -> None:
    positive = sides(fitted(0.1, (2, 1.0), (4, 3.0)), fitted(0.2, (2, 2.0), (4, 2.0)))
    negative = sides(fitted(0.1, (2, 9.0), (4, 2.5)), fitted(0.2, (2, 9.0), (4, 3.0)))
    found = choose([positive, negative], PATIENT)
    assert (found.learning_rate, found.step, found.validation) == (0.2, 4, (2.0, 3.0))


def test_a_step_that_one_side_did_not_reach_is_no_choice() -> None:
    positive, negative = sides(fitted(0.1, (2, 2.0), (4, 1.0))), sides(fitted(0.1, (2, 2.0)))
    assert choose([positive, negative], PATIENT).step == 2


def test_a_step_at_which_one_side_diverged_is_no_choice() -> None:
    positive, negative = sides(fitted(0.1, (2, 2.0), (4, 0.1))), sides(fitted(0.1, (2, 2.0), (4, None)))
    assert choose([positive, negative], PATIENT).step == 2


def test_a_training_that_ended_in_no_number_is_not_kept_where_nothing_validates() -> None:
    ended = Fitted(0.1, 2, (1.0, None), (), (2,), 0.0)
    with pytest.raises(NonFiniteError):
        choose([sides(ended)], Settings(validation=0, patience=0, learning_rates=(0.1,)))


def test_a_rate_that_diverged_is_passed_over() -> None:
    found = choose([sides(fitted(0.1, (6, 5.0)), fitted(0.2, (6, None)))], PATIENT)
    assert found.learning_rate == 0.1


def test_equal_losses_choose_the_lower_rate_and_the_earlier_step() -> None:
    found = choose([sides(fitted(0.2, (2, 1.0)), fitted(0.1, (4, 1.0), (6, 1.0)))], PATIENT)
    assert (found.learning_rate, found.step) == (0.1, 4)


def test_a_training_that_only_diverged_is_an_error() -> None:
    settings = Settings(learning_rates=(0.1,))
    with pytest.raises(NonFiniteError) as caught:
        choose([sides(fitted(0.1, (6, None)))], settings)
    assert caught.value.message == "training came to no finite loss at any of the learning rates 0.1"


def test_without_validation_rows_the_only_rate_is_kept() -> None:
    settings = Settings(validation=0, patience=0, learning_rates=(0.1,))
    found = choose([sides(fitted(0.1))], settings)
    assert (found.step, found.validation) == (6, (None,))
