"""Plants edits in a copy of a model, for `weightarith audit` to find.

    python examples/audit/plant.py MODEL OUT row rank-1 swap rounded
    weightarith audit MODEL OUT

Each edit is one that a fine-tune does not make: `row` scales a row of a down projection by 1.5, `column`
scales a column of an up projection by 0.7, `rank-1` adds a rank-1 matrix of 2 % of its norm to an output
projection, `swap` exchanges two layers, `rounded` rounds a gate projection to float8, `token` moves one row
of the embedding by 20 %. Several may be named; they stand in different layers. Without any the copy is equal.
It needs `safetensors` and `torch`.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

Weights = dict[str, torch.Tensor]


def named(weights: Weights, layer: int, end: str) -> str:
    """Return the name of a tensor of a layer."""
    return next(name for name in weights if f".layers.{layer}." in name and name.endswith(end))


def depth(weights: Weights) -> int:
    """Return the number of layers."""
    numbers = [name.split(".layers.")[1].split(".")[0] for name in weights if ".layers." in name]
    return 1 + max(int(number) for number in numbers)


def plant_row(weights: Weights) -> str:
    """Scale one row."""
    name = named(weights, depth(weights) // 2, "down_proj.weight")
    row = weights[name].shape[0] // 3
    weights[name][row] = (weights[name][row].float() * 1.5).to(weights[name].dtype)
    return f"{name}: row {row} times 1.5"


def plant_column(weights: Weights) -> str:
    """Scale one column."""
    name = named(weights, depth(weights) // 5, "up_proj.weight")
    column = weights[name].shape[1] // 3
    weights[name][:, column] = (weights[name][:, column].float() * 0.7).to(weights[name].dtype)
    return f"{name}: column {column} times 0.7"


def plant_rank(weights: Weights, size: float = 0.02) -> str:
    """Add a rank-1 matrix."""
    name = named(weights, depth(weights) // 4, "o_proj.weight")
    random = torch.Generator().manual_seed(0)
    rows, columns = weights[name].shape
    edit = torch.outer(torch.randn(rows, generator=random), torch.randn(columns, generator=random))
    edit *= size * weights[name].float().norm() / edit.norm()
    weights[name] = (weights[name].float() + edit).to(weights[name].dtype)
    return f"{name}: plus a rank-1 matrix of {size:.1%} of its norm"


def plant_swap(weights: Weights) -> str:
    """Exchange two layers."""
    first, second = 1, depth(weights) - 2
    for name in [name for name in weights if f".layers.{first}." in name]:
        other = name.replace(f".layers.{first}.", f".layers.{second}.")
        weights[name], weights[other] = weights[other], weights[name]
    return f"layers {first} and {second} exchanged"


def plant_rounded(weights: Weights) -> str:
    """Round one tensor to float8."""
    name = named(weights, depth(weights) * 3 // 4, "gate_proj.weight")
    weights[name] = weights[name].float().to(torch.float8_e4m3fn).to(weights[name].dtype)
    return f"{name}: rounded to float8_e4m3fn"


def plant_token(weights: Weights) -> str:
    """Move the row of one token."""
    name = next(name for name in weights if name.endswith("embed_tokens.weight"))
    row = weights[name].shape[0] // 7
    random = torch.Generator().manual_seed(1)
    values = weights[name][row].float()
    moved = values + 0.2 * values.norm() / values.numel() ** 0.5 * torch.randn(values.shape, generator=random)
    weights[name][row] = moved.to(weights[name].dtype)
    return f"{name}: row {row} moved by 20 %"


EDITS: dict[str, Callable[[Weights], str]] = {
    "row": plant_row, "column": plant_column, "rank-1": plant_rank, "swap": plant_swap,
    "rounded": plant_rounded, "token": plant_token,
}  # fmt: skip


def main() -> None:
    """Copy a model of one file, edit the copy, and say what was done."""
    parser = argparse.ArgumentParser(description="Plant edits in a copy of a model.")
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("edits", nargs="*", choices=[*EDITS, []], metavar="EDIT", help=", ".join(EDITS))
    given = parser.parse_args()
    shutil.copytree(given.model, given.out)
    file = given.out / "model.safetensors"
    weights = {name: tensor.clone() for name, tensor in load_file(file).items()}
    for edit in given.edits:
        print(EDITS[edit](weights))
    save_file(weights, file, metadata={"format": "pt"})


if __name__ == "__main__":
    main()
