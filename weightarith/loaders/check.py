"""Every loader asked what it will do with one adapter folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from weightarith.errors import RecipeError, quoted
from weightarith.loaders import llamacpp, ollama, peft, sglang, vllm
from weightarith.loaders.finding import Finding, worst
from weightarith.loaders.folder import Folder, read_folder

LOADERS: dict[str, Callable[[Folder], Iterator[Finding]]] = {
    module.NAME: module.check for module in (peft, vllm, sglang, llamacpp, ollama)
}
"""By the names they go by after `--for`."""

SIGNS = {"loads": "loads", "misreads": "MISREADS", "refuses": "REFUSES"}


def check(folder: Path, loaders: Iterable[str] = tuple(LOADERS), base: Path | None = None) -> list[Finding]:
    """Return what each loader will do with an adapter folder; one that just loads it has one finding.

    Args:
        folder: the adapter, of which headers are read and nothing else.
        loaders: names among `LOADERS`.
        base: the model it is for; with it names, shapes and the architecture are compared too.

    Raises:
        RecipeError: no loader is called so.
        InvalidFileError: a file is missing or damaged.
        UnsupportedError: the tensors are in a pickle.
    """
    named = [known(loader) for loader in loaders]
    read = read_folder(folder, base)
    return [
        finding for loader in named for finding in (list(LOADERS[loader](read)) or [Finding(loader, "loads")])
    ]


def known(loader: str) -> str:
    """Return a loader's name.

    Raises:
        RecipeError: no loader is called so.
    """
    if loader not in LOADERS:
        near = get_close_matches(loader, LOADERS, 1)
        raise RecipeError(
            f"unknown loader {quoted(loader)}; known are {', '.join(LOADERS)}",
            hint=f"did you mean {near[0]}?" if near else "",
        )
    return loader


def verdicts(findings: Sequence[Finding]) -> dict[str, str]:
    """Return the worst verdict of each loader, in the order they were asked."""
    loaders = dict.fromkeys(finding.loader for finding in findings)
    return {one: worst(each for each in findings if each.loader == one) for one in loaders}


def table(findings: Sequence[Finding]) -> str:
    """Return the findings as text: a line a loader, and below it why, and what to do."""
    overall = verdicts(findings)
    width = max(map(len, overall), default=0)
    lines = []
    for loader, verdict in overall.items():
        lines.append(f"{loader:<{width}}  {SIGNS[verdict]}")
        for finding in findings:
            if finding.loader == loader and finding.why:
                lines.append(f"{'':<{width}}    {finding.about}: {finding.why}")
                if finding.remedy:
                    lines.append(f"{'':<{width}}      try: {finding.remedy}")
    return "\n".join(lines)


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the findings as JSON has them, by loader."""
    return {
        loader: {
            "verdict": verdict,
            "findings": [
                {key: value for key, value in vars(finding).items() if key != "loader"}
                for finding in findings
                if finding.loader == loader and finding.why
            ],
        }
        for loader, verdict in verdicts(findings).items()
    }
