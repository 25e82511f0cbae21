"""How tests of operators run one: on numpy or torch, in blocks of any size, against mergekit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from weightarith.operators.field import Array, Tensors, computed
from weightarith.operators.operator import Operator

LIBRARIES = pytest.mark.parametrize("library", [np.asarray, torch.tensor], ids=["numpy", "torch"])
BLOCKS = pytest.mark.parametrize("block", [7, 1 << 15])
SHAPES = pytest.mark.parametrize("shape", [(), (1,), (5,), (40,), (6, 9), (7, 1, 3), (4, 1, 1)], ids=str)


class Model:
    """Several fields, one after the other: what `prepare` goes over."""

    def __init__(self, fields: Sequence[Tensors]) -> None:
        self.fields = fields
        self.count = sum(field.count for field in fields)

    def blocks(self) -> Iterator[tuple[int, Array]]:
        for field in self.fields:
            yield from field.blocks()

    def sample(self) -> Array:
        return np.concatenate([field.sample() for field in self.fields], axis=1)


def settings(operator: Operator, operands: int, options: dict[str, Any]) -> dict[str, Any]:
    """Return all the options `run` is given: what is not set by default, what is one for each as a tuple."""
    found = {**operator.defaults, **options}
    for option in operator.options:
        if option.each and not isinstance(found[option.name], tuple):
            found[option.name] = (float(found[option.name]),) * operands
    return found


def run(operator: Operator, operands: Sequence[Any], block: int = 1 << 15, **options: Any) -> Any:
    """Return what an operator makes of arrays: numpy's in, numpy's out, else the library's own."""
    field = Tensors([_array(one) for one in operands], block=block)
    return computed(operator.run(field, **settings(operator, len(operands), options)), field)


def run_over(operator: Operator, tensors: Sequence[Sequence[Any]], **options: Any) -> list[Any]:
    """Return what an operator makes of the tensors of a model, measured over all of them."""
    fields = [Tensors(one, block=7) for one in tensors]
    given = settings(operator, len(tensors[0]), {"over": "model", **options})
    assert operator.prepare is not None
    state = operator.prepare(Model(fields), **given)
    return [computed(operator.run(field, **given, state=state), field) for field in fields]


def mergekit(method: str, base: Any, models: Sequence[Any], **parameters: Any) -> NDArray[np.float64]:
    """Return the change that mergekit makes to a base."""
    from mergekit.merge_methods import merge_tensors

    merged = merge_tensors(
        [torch.tensor(each) for each in (base, *models)],
        method,
        parameters=parameters,
        base_index=0,
        dtype=torch.float64,
        out_dtype=torch.float64,
    )
    return np.asarray(merged.numpy() - np.asarray(base))


def _array(one: Any) -> Any:
    return one if isinstance(one, torch.Tensor) else np.asarray(one, np.float64)
