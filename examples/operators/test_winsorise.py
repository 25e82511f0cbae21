"""The operator beside a version that sorts: the same numbers, whatever the blocks."""

from __future__ import annotations

import numpy as np
from winsorise import winsorise

from weightarith import Tensors
from weightarith.operators.field import computed


def test_it_agrees_with_a_version_that_sorts() -> None:
    """None, some and all but one of the elements are pulled in."""
    values = np.random.default_rng(0).standard_normal((5, 7))
    for share in (0, 0.1, 0.5, 1):
        ranked = sorted(abs(values).flat, reverse=True)
        limit = ranked[min(int(share * 35), 34)]
        naive = [max(-limit, min(limit, value)) for value in values.flat]
        for block in (3, 1 << 15):
            field = Tensors([values], block=block)
            assert computed(winsorise(field, share=share), field).ravel().tolist() == naive


def test_a_vector_of_zeros_stays_one() -> None:
    """Tensors that nothing moves are not even asked for."""
    field = Tensors([np.zeros(4)])
    assert not computed(winsorise(field, share=0.5), field).any()
