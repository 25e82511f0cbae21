"""The machine code of the kernels: kept, trusted only where it is ours, harmless to other users of LLVM."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

USE = """
import numpy as np
from weightarith.kernels.linear import encode

row = np.zeros(8, np.uint8)
encode(np.array([1.5]), row, 2, 0, 1)
assert row.view(np.float32)[0] == 1.5
"""
NUMBA = """
import numba, numpy as np

@numba.njit
def halves(count):
    if count < 0:
        raise ValueError("negative")
    return np.arange(count) / 2

assert halves(3)[1] == 0.5
try:
    halves(-1)
except ValueError:
    print("raised")
"""


def run(program: str, cache: Path) -> str:
    environment = {**os.environ, "WEIGHTARITH_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which one run has left its machine code."""
    folder = tmp_path_factory.mktemp("cache")
    run(USE, folder)
    return folder


def test_the_second_run_imports_no_numba(cache: Path) -> None:
    assert run(USE + "import sys; print('numba' in sys.modules)", cache) == "False\n"


@pytest.mark.parametrize("program", [NUMBA + USE + NUMBA, USE + NUMBA], ids=["before and after", "after"])
def test_other_functions_compiled_in_the_process_still_allocate_and_raise(cache: Path, program: str) -> None:
    assert run(program, cache).splitlines()[-1] == "raised"


def test_compiling_leaves_the_settings_of_numba_as_they_were(tmp_path: Path) -> None:
    program = "from numba import config; before = config.CPU_FEATURES" + USE + NUMBA
    assert run(program + "assert config.CPU_FEATURES == before", tmp_path) == "raised\n"


def test_the_kept_code_is_the_users_alone_and_a_damaged_one_is_made_anew(cache: Path) -> None:
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    assert kept.stat().st_mode & 0o777 == 0o600

    kept.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    run(USE, cache)

    assert kept.stat().st_size == len(whole)
    assert run(USE + "import sys; print('numba' in sys.modules)", cache) == "False\n"


def test_code_that_others_could_have_written_is_not_loaded(cache: Path) -> None:
    (kept,) = cache.iterdir()
    kept.chmod(0o666)

    assert run(USE + "import sys; print('numba' in sys.modules)", cache) == "True\n"
