"""TIES, slerp and the extraction of a LoRA timed against mergekit, as whole commands in turns.

    python -m tests.benchmarks.operators --size M --rounds 1 --out FOLDER

Ends with status 1 where TIES takes more memory than its bound, or disagrees with mergekit.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.agreement import compare
from tests.benchmarks.cases import CP, WEIGHTARITH
from tests.benchmarks.checkpoints import BASE, TUNINGS
from tests.benchmarks.measure import Case, Cost, alternate, clear, read_through, table
from tests.benchmarks.run import _files, _inputs, _machine, _say, _workplace

OURS = {
    "ties": 'base + ties([a - base, b - base], density=0.5, compat="mergekit")',
    "slerp": 'slerp(base, a, t=0.5, compat="mergekit")',
    "extraction, rank 16": "compress(a - base, rank=16)",
}
MODELS = {"ties": (BASE, *TUNINGS), "slerp": (BASE, "a"), "extraction, rank 16": (BASE, "a")}
THEIRS = {
    "ties": "mergekit ties",
    "slerp": "mergekit slerp",
    "extraction, rank 16": "mergekit-extract-lora",
}
MERGEKIT_ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "passive"}


def our_case(name: str, expression: str, inputs: Path, work: Path) -> Case:
    """Return a recipe of ours; the result goes to `work`."""
    models = json.dumps({model: str(inputs.resolve() / model) for model in MODELS[name]})
    path = work / f"{name.split(',', maxsplit=1)[0]}.yaml"
    path.write_text(f"weightarith: 1\ninputs: {models}\nexpression: {expression}\n", encoding="utf-8")
    suffix = ".safetensors" if name.startswith("extraction") else ""
    output = work / f"ours-{path.stem}{suffix}"
    words = (*WEIGHTARITH, "merge", str(path), "-o", str(output))
    return Case(f"weightarith {name}", words, output, against=(CP, THEIRS[name]))


def their_case(name: str, inputs: Path, work: Path) -> Case | None:
    """Return what mergekit has for it, None where mergekit is missing."""
    tool = "mergekit-extract-lora" if name.startswith("extraction") else "mergekit-yaml"
    script = Path(sys.executable).with_name(tool)
    if not script.exists():
        return None
    output = work / f"theirs-{name.split(',', maxsplit=1)[0]}"
    base, tuned = (str(inputs.resolve() / model) for model in (BASE, "a"))
    if name.startswith("extraction"):
        words: tuple[str, ...] = (
            str(script), "--model", tuned, "--base-model", base, "--out-path", str(output),
            "--max-rank", "16",
        )  # fmt: skip
        return Case(THEIRS[name], words, output, MERGEKIT_ENVIRONMENT, against=(CP,))
    config: dict[str, object] = {"merge_method": name, "base_model": base, "dtype": "bfloat16"}
    if name == "ties":
        config["models"] = [
            {"model": str(inputs.resolve() / each), "parameters": {"weight": 1.0, "density": 0.5}}
            for each in TUNINGS
        ]
    else:
        config["models"] = [{"model": base}, {"model": tuned}]
        config["parameters"] = {"t": 0.5}
    path = work / f"theirs-{name}.yaml"
    path.write_text(json.dumps(config, indent=1), encoding="utf-8")  # JSON is YAML
    words = (str(script), str(path), str(output), "--no-copy-tokenizer", "--quiet")
    return Case(THEIRS[name], words, output, MERGEKIT_ENVIRONMENT, against=(CP,))


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.operators", description=__doc__)
    parser.add_argument("--size", choices=("XS", "S", "M"), default="S", help="of the models")
    parser.add_argument("--rounds", type=int, default=1, help="how often each command runs")
    parser.add_argument("--out", type=Path, help="keep inputs here, and use those found here")
    parser.add_argument("--only", choices=sorted({name.split(",")[0] for name in OURS}), help="one of them")
    parser.add_argument("--no-mergekit", action="store_true", help="leave mergekit out")
    given = parser.parse_args()
    with _workplace(given.out) as place:
        inputs, work = _inputs(place, given.size), place / f"operators-{given.size}"
        work.mkdir(exist_ok=True)
        names = [name for name in OURS if given.only in (None, name.split(",")[0])]
        timed = _cases(names, inputs, work, mergekit=not given.no_mergekit)
        costs = alternate(timed, given.rounds, before=lambda: read_through(_files(inputs)), report=_say)
        print(f"Size {given.size}, {given.rounds} rounds, {_machine()}\n")
        references = [CP, *(THEIRS[name] for name in names if THEIRS[name] in costs)]
        print(table(timed, costs, references), end="\n\n")
        sound = _memory(costs, inputs) and _agreement(work)
        for case in timed:
            if case.output is not None:
                clear(case.output)
    sys.exit(0 if sound else 1)


def _cases(names: Sequence[str], inputs: Path, work: Path, *, mergekit: bool) -> list[Case]:
    copied = work / "copied"
    found = [Case(CP, ("cp", "-r", str(inputs / BASE), str(copied)), copied)]
    for name in names:
        found.append(our_case(name, OURS[name], inputs, work))
        theirs = their_case(name, inputs, work) if mergekit else None
        found += [theirs] if theirs is not None else []
    return found


def _memory(costs: Mapping[str, Sequence[Cost]], inputs: Path) -> bool:
    """Compare the peak of TIES of two vectors with (2 + 3) times the largest tensor."""
    from weightarith.store import open_source

    runs = costs.get("weightarith ties", ())
    if not runs:
        return True
    largest = max(stored.info.nbytes for stored in open_source(inputs / BASE).tensors.values())
    peak, bound = max(cost.peak for cost in runs), 5 * largest
    print(f"Peak memory of TIES: {peak / 1e6:.0f} MB; 5 × the largest tensor is {bound / 1e6:.0f} MB.")
    return peak <= max(bound, 300_000_000)


def _agreement(work: Path) -> bool:
    sound = True
    for name in ("ties", "slerp"):
        ours, theirs = work / f"ours-{name}", work / f"theirs-{name}"
        if ours.exists() and theirs.exists():
            found = compare(ours, theirs)
            share = found.differing / found.elements
            print(f"{name}: {share:.2%} of {found.elements:,} elements differ from mergekit's.")
            sound &= share < 0.5  # mergekit computes in bfloat16, and breaks ties in magnitude as it comes
    return sound


if __name__ == "__main__":
    main()
