"""Operators from a Python file: those of somebody who runs recipes and writes one of their own.

The file is run, so it is only ever taken from the command line or from Python, never from a recipe or from a
model.
"""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from weightarith.errors import RecipeError, quoted
from weightarith.operators.operator import Operator


def load_operators(path: str | Path) -> list[Operator]:
    """Return every `Operator` among the names of a Python file, in their order; the file is run.

    Raises:
        RecipeError: there is no such file, it fails, or it holds no operator.
    """
    path = Path(path)
    if not path.is_file():
        raise RecipeError(f"no file of operators at {quoted(str(path))}")
    name = f"weightarith_operators_{path.stem}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RecipeError(f"{quoted(str(path))} is no Python file", hint="its name ends in .py")
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look themselves up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise RecipeError(f"{quoted(str(path))} fails: {type(error).__name__}: {error}") from error
    found = [value for value in vars(module).values() if isinstance(value, Operator)]
    own = [operator for operator in found if operator.run.__module__ == name]
    if not own:
        raise RecipeError(
            f"{quoted(str(path))} holds no operator", hint="NAME = Operator(name=…, run=…, source=…)"
        )
    return own
