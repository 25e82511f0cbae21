"""What a user gets: a surface that resolves, a command line that starts at once, a wheel that is complete."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import weightarith

ROOT = Path(__file__).parents[1]
SLOW_TO_IMPORT = ["huggingface_hub", "numba", "numpy", "peft", "rich", "torch", "transformers", "yaml"]


def imported_by(statement: str) -> list[str]:
    """Return which of `SLOW_TO_IMPORT` a new interpreter has imported after `statement`."""
    code = (
        f"import sys\n{statement}\nprint(*(m for m in {SLOW_TO_IMPORT} if m in sys.modules), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return ran.stderr.split()


def test_every_public_name_resolves() -> None:
    missing = [name for name in weightarith.__all__ if not hasattr(weightarith, name)]

    assert not missing
    assert sorted(weightarith.__all__) == sorted(set(weightarith.__all__))


def test_public_names_that_do_not_exist_are_attribute_errors() -> None:
    name = "nonsense"

    with pytest.raises(AttributeError, match=name):
        getattr(weightarith, name)


def test_importing_the_package_imports_nothing_slow() -> None:
    assert imported_by("import weightarith") == []


def test_help_imports_nothing_slow() -> None:
    asked = "from weightarith.cli import main\nsys.argv = ['weightarith', '--help']\n"

    assert imported_by(f"{asked}try:\n    main()\nexcept SystemExit:\n    pass") == []


def test_torch_is_imported_at_the_top_of_the_torch_engine_and_of_what_holds_a_network_only() -> None:
    found = [path for path in (ROOT / "weightarith").rglob("*.py") if "torch" in _imported_at_the_top(path)]

    assert {path.parent.name for path in found} == {
        "demo",
        "engine",
        "evaluate",
        "lm",
        "monitor",
        "steer",
        "train",
    }
    assert all(path.name.startswith("torch_") for path in found if path.parent.name == "engine")


def _imported_at_the_top(path: Path) -> set[str]:
    """Return the packages that the unindented lines of a file import."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_the_wheel_is_complete_and_its_help_runs(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path)]
    subprocess.run([*build, "--no-build-isolation", str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        archive.extractall(tmp_path / "installed")

    files = (path for path in (ROOT / "weightarith").rglob("*") if path.is_file())
    sources = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    assert {"weightarith/py.typed", "weightarith/data/sets/shared/general.jsonl"} <= sources
    assert sources <= held
    assert not any(name.startswith(("tests/", "docs/", "examples/")) for name in held)
    command = [sys.executable, "-c", "from weightarith.cli import main; main()", "--help"]
    shown = subprocess.run(command, cwd=tmp_path / "installed", capture_output=True, text=True, check=True)
    assert "merge" in shown.stdout
