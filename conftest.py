"""Documentation that runs: every fenced block of README.md and docs/, page by page, beside tiny models.

`python` blocks are executed; those of one page share their names. `yaml` blocks are recipes: each is saved as
the file its first line names (`# steer.yaml`) and merged; it must fail where that line ends in `(refused)`.
In `console` and `bash` blocks the commands after `$ weightarith` are run: they must exit with 0, or with the
number that a following `$ echo $?` shows, and print what stands below them, if anything does, where `...` is
any text. A block that cannot run has a line `<!--- skip: next "reason" -->` above it.
"""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Iterator
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from pathlib import Path
from tempfile import TemporaryDirectory
from traceback import format_exc
from typing import Any
from unittest.mock import patch

from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, SkipParser

from tests import tiny
from tests.tinychat import instruct

ROOT = Path(__file__).parent
DEPTH = 24  # as many layers as the recipes shown speak of
CACHED = Path("hub", "models--HuggingFaceTB--SmolLM2-135M-Instruct")
COMMIT = "7e27bd9f9532".ljust(40, "0")

collect_ignore = ["docs/conf.py"]  # Sphinx's, and no test


def make_models() -> None:
    """Write what the pages use into the working folder: a base, fine-tunes of it, adapters on it."""
    base = tiny.weights(depth=DEPTH)
    for folder in (Path("base"), CACHED / "snapshots" / COMMIT):
        tiny.checkpoint(folder, base)
    for seed, name in enumerate(("finetuned", "math-finetune", "code-finetune"), start=1):
        tiny.checkpoint(Path(name), tiny.finetuned(base, seed=seed))
    for seed, name in enumerate(("refusal-positive", "refusal-negative", "honest", "terse"), start=1):
        tiny.adapter(Path("runs", name), depth=DEPTH, seed=seed)
    instruct(Path("instruct"))
    (CACHED / "refs").mkdir()
    (CACHED / "refs" / "main").write_text(COMMIT, encoding="utf-8")


def enter(namespace: dict[str, Any]) -> None:
    """Go to a new folder with tiny models in it, and one in the Hub's cache, for one page."""
    from huggingface_hub import constants

    with ExitStack() as stack:
        scratch = stack.enter_context(TemporaryDirectory())
        stack.enter_context(chdir(scratch))
        stack.enter_context(patch.object(constants, "HF_HUB_CACHE", str(Path(scratch, CACHED.parent))))
        stack.enter_context(patch.object(constants, "HF_HUB_OFFLINE", True))
        make_models()
        namespace["_leave"] = stack.pop_all()


def leave(namespace: dict[str, Any]) -> None:
    """Go back, and remove the folder."""
    namespace["_leave"].close()


def run_python(example: Example) -> str | None:
    """Execute a block; return the traceback of what it raised.

    As text: of an exception with another in its context, Sybil's own report fails.
    """
    try:
        PythonEvaluator()(example)
    except Exception:
        return format_exc()
    return None


def weightarith(arguments: list[str]) -> tuple[int, str]:
    """Run a command line in this process; return its exit status and all it printed."""
    from weightarith.cli import main

    shown = io.StringIO()
    typed = patch.object(sys, "argv", ["weightarith", *arguments])
    status: int | str | None = 0
    with redirect_stdout(shown), redirect_stderr(shown), typed:
        try:
            main()
        except SystemExit as stop:
            status = stop.code
    return int(status or 0), shown.getvalue()


def steps(block: str) -> Iterator[tuple[str, str]]:
    """Yield each `$ command` of a console block with the output that stands below it."""
    for step in ("\n" + block.replace("\\\n", " ")).split("\n$ ")[1:]:
        command, _, output = step.partition("\n")
        yield command, output


def run_console(example: Example) -> str | None:
    """Run the commands of a console block; return what went otherwise than shown."""
    found = list(steps(str(example.parsed)))
    if not found or not found[0][0].startswith("weightarith "):
        return None
    for index, (command, expected) in enumerate(found):
        if command == "echo $?":
            continue
        program, *arguments = shlex.split(command, comments=True)
        if program != "weightarith":
            return f"only weightarith is run here: {command}"
        status, printed = weightarith(arguments)
        after = found[index + 1] if index + 1 < len(found) else ("", "")
        wanted = int(after[1]) if after[0] == "echo $?" else 0
        if status != wanted:
            return f"exit status {status}, not {wanted}: {command}\n{printed}"
        same = OutputChecker().check_output(expected, printed, ELLIPSIS | NORMALIZE_WHITESPACE)
        if expected.strip() and not same:
            return f"{command}\nshown:\n{expected}\nprinted:\n{printed}"
    return None


def run_recipe(example: Example) -> str | None:
    """Save a recipe under its name and merge it into a folder of its own; return what went wrong."""
    text = str(example.parsed)
    first, _, refused = text.partition("\n")[0].partition(" (")
    if not (first.startswith("# ") and first.endswith(".yaml") and refused in ("", "refused)")):
        return "the first line of a recipe names its file: # NAME.yaml"
    recipe = Path(first[2:])
    recipe.write_text(text, encoding="utf-8")
    output = Path("checked", f"{recipe.stem}-{example.line}")
    output.parent.mkdir(exist_ok=True)
    status, printed = weightarith(["merge", str(recipe), "-o", str(output)])
    right = (status != 0) == bool(refused)
    return None if right else f"exit status {status}: weightarith merge {recipe}\n{printed}"


pytest_collect_file = Sybil(
    parsers=[
        SkipParser(),
        CodeBlockParser("python", run_python),
        CodeBlockParser("console", run_console),
        CodeBlockParser("bash", run_console),
        CodeBlockParser("yaml", run_recipe),
    ],
    path=str(ROOT),
    patterns=["README.md", "docs/*.md"],
    setup=enter,
    teardown=leave,
).pytest()
