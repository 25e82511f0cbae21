"""The commands that are timed, on models of one size: ours, `cp`, and mergekit where it is installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.benchmarks.checkpoints import ADAPTER, BASE, TUNINGS
from tests.benchmarks.measure import Case

WEIGHTARITH = (sys.executable, "-m", "weightarith")
COEFFICIENTS = {"a": "1.0", "b": "1.5"}
"""They leave −1.5 of the base, so that three models must be read."""

CP, MERGE = "cp of one model", "weightarith merge, three models"
MERGEKIT = "mergekit task_arithmetic, float32"
BARE_PYTHON = "python -c pass"
MANY = "weightarith merge --dry-run, 3 × 20,000 tensors"

_RECIPE = """weightarith: 1
inputs: {models}
expression: base + {terms}
"""


def write_recipe(path: Path, inputs: Path) -> Path:
    """Write the recipe of the merge, its models those in the folder `inputs`; return its path."""
    models = json.dumps({model: str(inputs.resolve() / model) for model in (BASE, *TUNINGS)})
    terms = " + ".join(f"{coefficient}*({model} - base)" for model, coefficient in COEFFICIENTS.items())
    path.write_text(_RECIPE.format(models=models, terms=terms), encoding="utf-8")
    return path


def write_mergekit(path: Path, inputs: Path, dtype: str) -> Path:
    """Write the same merge for mergekit, which sums in `dtype`; return its path."""
    config = {
        "merge_method": "task_arithmetic",
        "base_model": str(inputs.resolve() / BASE),
        "models": [
            {"model": str(inputs.resolve() / model), "parameters": {"weight": float(coefficient)}}
            for model, coefficient in COEFFICIENTS.items()
        ],
        "dtype": dtype,
        "out_dtype": "bfloat16",
    }
    path.write_text(json.dumps(config, indent=1), encoding="utf-8")  # JSON is YAML
    return path


def main_cases(inputs: Path, work: Path) -> list[Case]:
    """Return `cp` and the commands of weightarith; results go to the folder `work`."""
    base, tuned = inputs / BASE, inputs / "a"
    recipe = write_recipe(work / "merge.yaml", inputs)
    references = (CP, MERGEKIT)

    def command(name: str, output: str, *arguments: str | Path) -> Case:
        path = work / output
        words = (*WEIGHTARITH, *map(str, arguments), "-o", str(path))
        return Case(name, words, path, against=references)

    copied = work / "copied"
    return [
        Case(CP, ("cp", "-r", str(base), str(copied)), copied),
        command(MERGE, "merged", "merge", recipe),
        command("weightarith diff, to float32", "v32.safetensors", "diff", tuned, base),
        command(
            "weightarith diff, to bfloat16", "v16.safetensors", "diff", tuned, base, "--dtype", "bfloat16"
        ),
        command("weightarith apply, adapter of rank 16", "applied", "apply", base, inputs / ADAPTER),
    ]


def mergekit_cases(inputs: Path, work: Path) -> list[Case]:
    """Return the same merge by mergekit, summed exactly and as most people do; none if it is missing."""
    script = Path(sys.executable).with_name("mergekit-yaml")
    if not script.exists():
        return []
    # Spinning threads would charge mergekit for other people's work on shared cores.
    environment = {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "passive"}

    def case(name: str, output: str, dtype: str) -> Case:
        config = write_mergekit(work / f"{output}.yaml", inputs, dtype)
        words = (str(script), str(config), str(work / output), "--no-copy-tokenizer", "--quiet")
        return Case(name, words, work / output, environment, against=(CP, MERGEKIT))

    return [
        case(MERGEKIT, "mergekit32", "float32"),
        case("mergekit task_arithmetic, bfloat16", "mergekit16", "bfloat16"),
    ]


def start_cases(many: Path, work: Path) -> list[Case]:
    """Return commands that read no weights; `many` holds models of 20,000 tensors."""
    recipe = write_recipe(work / "many.yaml", many)
    planned = (*WEIGHTARITH, "merge", str(recipe), "-o", str(work / "never"), "--dry-run")
    return [
        Case(BARE_PYTHON, (sys.executable, "-c", "pass")),
        Case("weightarith --help", (*WEIGHTARITH, "--help"), against=(BARE_PYTHON,)),
        Case(MANY, planned, against=(BARE_PYTHON,)),
    ]
