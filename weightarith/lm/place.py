"""The device a model is to compute on, told before a weight is read."""

from __future__ import annotations

import re

import torch

from weightarith.errors import RecipeError, quoted

AUTO = "auto"


def device_named(name: str) -> torch.device:
    """Return a device: `cpu`, `cuda` or `cuda:N`; `auto` is a GPU where there is one.

    Raises:
        RecipeError: no device is called so, or it is not there.
    """
    if name == AUTO:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d{1,3})?", name):
        raise RecipeError(f"the device is {quoted(name)}, expected auto, cpu, cuda or cuda:N")
    found = torch.device(name)
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found.type == "cuda" and (found.index or 0) >= there:
        raise RecipeError(
            f"device {name}: torch {torch.__version__} finds {there or 'no'} GPU{'s' * (there > 1)}",
            hint="--device auto takes what is there",
        )
    return found
