"""PEFT: knows every setting, and drops without a word what finds no module.

Checked against peft 0.21.2, `peft/utils/save_and_load.py` and `peft/peft_model.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

from weightarith.adapter.trained import PREFIX
from weightarith.errors import quoted, some
from weightarith.loaders.finding import Finding, Verdict
from weightarith.loaders.folder import Factors, Folder

NAME = "peft"


def check(folder: Folder) -> Iterator[Finding]:
    """Yield what PEFT will do with the folder, as far as it is not what it should."""
    if folder.bare:
        yield Finding(
            NAME, "misreads", some(list(folder.bare), 2),
            f"PEFT looks for names that begin with {quoted(PREFIX)} and drops {len(folder.bare)} others "
            "without a word: nothing changes there",
            "put the prefix before the names, or save the adapter with PEFT",
        )  # fmt: skip
    yield from ranks(NAME, folder)
    yield from misplaced(NAME, folder)
    yield from shapes(NAME, folder)
    yield from _not_targeted(folder)


def ranks(loader: str, folder: Folder) -> Iterator[Finding]:
    """Yield a finding where A and B do not fit each other, or their rank is not the one configured."""
    broken = [pair for pair in folder.factors.values() if pair.a[0] != pair.b[-1]]
    if broken:
        yield Finding(
            loader, "refuses", _named(broken), "A and B are of different ranks", "save the adapter again"
        )
    rank = folder.config.get("r")
    if not folder.config.get("rank_pattern") and isinstance(rank, int):
        wrong = [pair for pair in folder.factors.values() if pair.rank != rank and len(pair.a) == 2]
        if wrong:
            yield Finding(
                loader, "refuses", _named(wrong),
                f"its factors are of rank {wrong[0].rank}, and adapter_config.json says r {rank}",
                "the two files may be of different adapters",
            )  # fmt: skip


def misplaced(loader: str, folder: Folder, verdict: Verdict = "misreads") -> Iterator[Finding]:
    """Yield a finding where the base has no such module; `misreads` where nobody says so."""
    lacking = list(folder.lacking())
    if lacking:
        does = "leaves out" if verdict == "misreads" else "stops at"
        silently = " without a word" if verdict == "misreads" else ""
        yield Finding(
            loader, verdict, _named(lacking),
            f"the base has no such module: {loader} {does} {len(lacking)} of {len(folder.factors)} pairs"
            f"{silently}",
            "check the names, or the base: weightarith inspect BASE --headers --tensors",
        )  # fmt: skip


def shapes(loader: str, folder: Folder) -> Iterator[Finding]:
    """Yield a finding where a pair does not fit the weight it moves."""
    wrong = []
    for pair in folder.factors.values():
        shape = folder.shape(pair)
        if shape is not None and len(pair.a) == 2 and shape != (pair.b[0], pair.a[1]):
            wrong.append((pair, shape))
    if wrong:
        pair, shape = wrong[0]
        yield Finding(
            loader, "refuses", _named([pair for pair, _ in wrong]),
            f"it makes {[pair.b[0], pair.a[1]]}, and the base's weight is {list(shape)}",
            "the adapter may be for another base",
        )  # fmt: skip


def _not_targeted(folder: Folder) -> Iterator[Finding]:
    """Yield a finding where target_modules, a list, does not select a module that has a pair."""
    targets = folder.config.get("target_modules")
    if not isinstance(targets, list):
        return
    missed = [
        pair
        for pair in folder.factors.values()
        if not any(pair.module == target or pair.module.endswith(f".{target}") for target in targets)
    ]
    if missed:
        yield Finding(
            NAME, "misreads", _named(missed),
            f"target_modules does not select it: PEFT drops {len(missed)} of {len(folder.factors)} pairs "
            "without a word",
            "add the last part of the path to target_modules in adapter_config.json",
        )  # fmt: skip


def _named(pairs: list[Factors]) -> str:
    return some([pair.module for pair in pairs], 2)
