"""Overlaps of factors in training with those of vectors, on the device they are on: small products only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
import torch

from weightarith.monitor.copies import Piece
from weightarith.monitor.network import Trained
from weightarith.monitor.overlap import Doubles, Side


@dataclass(frozen=True, eq=False)
class Near:
    """A `Side` on a device, in float32."""

    left: torch.Tensor
    right: torch.Tensor
    belongs: torch.Tensor


def near(side: Side, device: torch.device) -> Near:
    """Return a side on a device."""
    left, right, belongs = (
        torch.from_numpy(np.ascontiguousarray(each)).float().to(device)
        for each in (side.left, side.right, side.belongs)
    )
    return Near(left, right, belongs)


def small_pieces(trained: Trained, sides: Mapping[str, Near], count: int) -> dict[str, Piece]:
    """Return what factors in training and `count` vectors have in common at each weight.

    What is small comes to the host, of all weights at once: a device is waited for once a look.
    """
    shapes = trained.shapes
    found = [_summary(*pair.product(), sides.get(name), count) for name, pair in trained.factors.items()]
    numbers = torch.stack(found).cpu().double().numpy()
    return {
        name: _piece(row, prod(shapes[name]), count)
        for name, row in zip(trained.factors, numbers, strict=True)
    }


def _summary(left: torch.Tensor, right: torch.Tensor, side: Near | None, count: int) -> torch.Tensor:
    """Return ‖Δ‖², the inner products (V,), and those of rows and of columns with one another, as one row."""
    own = ((left.T @ left) * (right @ right.T)).sum().reshape(1)
    if side is None:
        return torch.cat([own, own.new_zeros(count + 2 * count * count)])
    rows = ((left @ (right @ side.right.T)) * side.left) @ side.belongs.T  # (rows, V)
    columns = side.belongs @ (((side.left.T @ left) @ right) * side.right)  # (V, columns)
    squares = (rows.T @ rows).reshape(-1), (columns @ columns.T).reshape(-1)
    return torch.cat([own, rows.sum(dim=0), *squares])


def _piece(row: Doubles, size: int, count: int) -> Piece:
    own, products, rows, columns = np.split(row, np.cumsum([1, count, count * count]))
    square = (count, count)
    none_drawn = np.zeros((2, 0, count))
    return Piece(float(own[0]), size, products, rows.reshape(square), columns.reshape(square), none_drawn)
