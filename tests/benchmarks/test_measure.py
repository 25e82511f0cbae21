from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.benchmarks.measure import Case, CommandError, Cost, alternate, clear, cost_of, ratio, table

MIB = 1 << 20


def _python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def _cost(wall: float, cpu: float = 1.0) -> Cost:
    return Cost(wall=wall, user=cpu, system=0.0, peak=20_000_000, load=1.5)


def test_peak_memory_is_that_of_the_command_and_not_of_the_process_that_measures() -> None:
    ours = bytes(256 * MIB)
    assert cost_of(_python("pass")).peak < 64 * MIB
    assert cost_of(_python(f"bytes({64 * MIB})")).peak < 128 * MIB
    del ours


def test_cpu_seconds_of_the_commands_own_children_count() -> None:
    work = "sum(range(3_000_000))"
    alone = cost_of(_python("pass"))
    child = cost_of(_python(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}])"))
    assert child.cpu > alone.cpu


def test_a_command_that_fails_is_an_error_with_what_it_printed() -> None:
    with pytest.raises(CommandError, match=r"exit status 3\n.*too bad"):
        cost_of(_python("print('too bad'); raise SystemExit(3)"))


def test_every_round_runs_every_case_with_a_fresh_output_and_begins_with_the_next(tmp_path: Path) -> None:
    program = "import pathlib, sys; pathlib.Path(sys.argv[1]).mkdir()"  # fails where it is there already
    cases = [
        Case(name, (*_python(program), str(tmp_path / name)), tmp_path / name) for name in ("one", "other")
    ]
    lines: list[str] = []
    costs = alternate(cases, 2, before=lambda: None, report=lines.append)
    assert {name: len(found) for name, found in costs.items()} == {"one": 2, "other": 2}
    assert [line.split(":")[:2] for line in lines] == [
        ["round 1", " one"], ["round 1", " other"], ["round 2", " other"], ["round 2", " one"],
    ]  # fmt: skip


def test_a_vector_is_cleared_with_its_receipt(tmp_path: Path) -> None:
    (tmp_path / "v.safetensors").touch()
    (tmp_path / "v.weightarith.json").touch()
    clear(tmp_path / "v.safetensors")
    clear(tmp_path / "v.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_ratio_is_the_median_of_those_within_the_rounds() -> None:
    own, other = [_cost(2.0), _cost(30.0), _cost(4.0)], [_cost(1.0), _cost(10.0), _cost(1.0)]
    assert ratio(own, other, lambda cost: cost.wall) == 3.0


def test_the_table_compares_only_with_the_references_a_case_names() -> None:
    cases = [Case("cp", ("cp",)), Case("merge", ("merge",), against=("cp",))]
    costs = {"cp": [_cost(1.0, 0.5)], "merge": [_cost(2.0, 1.0)]}
    assert table(cases, costs, ["cp"]).splitlines() == [
        "| case | wall s (range) | CPU s (user + system) | peak MB | × cp: CPU, wall | load |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| cp | 1.00 (1.00–1.00) | 0.50 (0.50 + 0.00) | 20 |  | 1.5–1.5 |",
        "| merge | 2.00 (2.00–2.00) | 1.00 (1.00 + 0.00) | 20 | 2, 2 | 1.5–1.5 |",
    ]
