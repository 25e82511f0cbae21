"""The names of a single-file adapter found among those of a base.

kohya's tools write a module's path with underscores for dots, so that `a_b` may be `a.b`, and most tools
leave out or add what stands in front of a model inside a larger file. So nothing is concluded from one name:
what stands in front must be the same for all names of a model, and each must then fit exactly one tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from weightarith.adapter.spelling import component_of, is_underscored
from weightarith.errors import IncompatibleError, quoted, some


@dataclass(frozen=True)
class _Group:
    """The names that belong to one model of a pipeline, and what each may be called there."""

    names: Mapping[str, tuple[str, ...]]
    spell: Callable[[str], str]


@dataclass(frozen=True)
class _Fit:
    """What the names of a group come to where each of the base's begins with one and the same text."""

    front: str
    found: Mapping[str, list[str]]

    @property
    def complete(self) -> bool:
        return all(self.found.values())

    @property
    def size(self) -> int:
        return sum(1 for held in self.found.values() if held)


def map_names(
    names: Iterable[str], held: Collection[str], label: str, base: str, *, dense: Collection[str] = ()
) -> dict[str, str]:
    """Return the name in the base of each of `names`, which are `<module>.weight` and `<module>.bias`.

    Args:
        names: names of a single-file adapter.
        held: the names of the base.
        label: what to call the adapter in messages.
        base: what to call the base.
        dense: those of `names` that hold a whole tensor: it may also be one that is not called `.weight`.

    Raises:
        IncompatibleError: the base has no tensor, or more than one, that a name can mean.
    """
    found: dict[str, str] = {}
    held = frozenset(held)
    for group in _groups(names, frozenset(dense)):
        fit = _fit_of(group, held, label)
        if not fit.complete:
            raise _absent(fit, group, held, label, base)
        for name, candidates in fit.found.items():
            if len(candidates) > 1:
                raise _ambiguous(name, candidates, label)
            found[name] = candidates[0]
    _expect_distinct(found, label)
    return found


def _groups(names: Iterable[str], dense: Collection[str]) -> list[_Group]:
    grouped: dict[tuple[str, bool], dict[str, tuple[str, ...]]] = {}
    for name in names:
        module, _, leaf = name.rpartition(".")
        component, path = component_of(module)
        bare = leaf == "weight" and name in dense
        underscored = is_underscored(module)
        targets = (f"{path}.{leaf}", path) if bare else (f"{path}.{leaf}",)
        spelt = tuple(_flat(target) for target in targets) if underscored else targets
        grouped.setdefault((component, underscored), {})[name] = spelt
    return [_Group(one, _flat if underscored else str) for (_, underscored), one in grouped.items()]


def _flat(name: str) -> str:
    return name.replace(".", "_")


def _fit_of(group: _Group, held: Collection[str], label: str) -> _Fit:
    """Return the best way to read all the names of a group: as they are, bare, or behind one other front."""
    if all(name in held for name in group.names):
        return _Fit("", {name: [name] for name in group.names})
    bare = _fit(group, held, "")
    if bare.complete:
        return bare
    fits = [_fit(group, held, front) for front in _fronts(group, held)]
    complete = [fit for fit in fits if fit.complete]
    if len(complete) > 1:
        name = next(iter(group.names))
        raise _ambiguous(name, [fit.found[name][0] for fit in complete], label)
    return complete[0] if complete else max([bare, *fits], key=lambda fit: fit.size)


def _fit(group: _Group, held: Iterable[str], front: str) -> _Fit:
    spelt: dict[str, list[str]] = {}
    for name in held:
        if name.startswith(front):
            spelt.setdefault(group.spell(name[len(front) :]), []).append(name)
    return _Fit(
        front,
        {
            name: sorted(one for target in targets for one in spelt.get(target, ()))
            for name, targets in group.names.items()
        },
    )


def _fronts(group: _Group, held: Iterable[str]) -> list[str]:
    """Return what stands, up to a dot, in front of a name that the first one of the group can mean."""
    targets = next(iter(group.names.values()))
    fronts = set()
    for name in held:
        flat = group.spell(name)
        for target in targets:
            at = len(name) - len(target)  # spelling keeps lengths
            if at > 0 and flat.endswith(target) and name[at - 1] == ".":
                fronts.add(name[:at])
    return sorted(fronts)


def _absent(fit: _Fit, group: _Group, held: Collection[str], label: str, base: str) -> IncompatibleError:
    absent = [name for name, candidates in fit.found.items() if not candidates]
    spelt = {group.spell(name.removeprefix(fit.front)): name for name in held}
    near = get_close_matches(group.names[absent[0]][0], spelt, n=1)
    nearest = f" (nearest name there: {quoted(spelt[near[0]])})" if near else ""
    return IncompatibleError(
        f"{label} moves {len(absent)} tensors that {base} lacks: {some(absent, 3)}{nearest}",
        hint="was it made for another base? a file for several models of a pipeline needs all of them, "
        "or is taken in parts",
    )


def _ambiguous(name: str, candidates: list[str], label: str) -> IncompatibleError:
    return IncompatibleError(
        f"{label} moves {quoted(name)}, which can mean {some(candidates, 4)}",
        hint="rename the tensor in the file to the one that is meant, dots and all",
    )


def _expect_distinct(found: Mapping[str, str], label: str) -> None:
    by_target: dict[str, str] = {}
    for name, target in found.items():
        if target in by_target:
            raise IncompatibleError(
                f"{label} moves {quoted(target)} twice, as {quoted(by_target[target])} and as {quoted(name)}"
            )
        by_target[target] = name
