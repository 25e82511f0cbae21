"""The table of dtypes, against the library that names them."""

from __future__ import annotations

import pytest

from weightarith.tensorfile.dtypes import BY_NAME, DTYPES, DType


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES.values() if dtype.bits >= 8])
def test_a_dtype_has_the_name_and_the_size_that_torch_gives_it(dtype: DType) -> None:
    import torch

    theirs = getattr(torch, dtype.name)

    assert theirs.itemsize * 8 == dtype.bits
    assert BY_NAME[dtype.name] is DTYPES[dtype.code] is dtype
    assert dtype.integer == (not theirs.is_floating_point and not theirs.is_complex)
    assert dtype.nbytes(6) == 6 * theirs.itemsize


def test_only_floats_of_16_bits_and_more_can_be_added() -> None:
    assert {code for code, dtype in DTYPES.items() if dtype.arithmetic} == {"F64", "F32", "F16", "BF16"}
