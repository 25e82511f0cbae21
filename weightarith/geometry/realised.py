"""How much of `base + k·v` survives the rounding to a dtype, tensor by tensor, and nothing written.

A weight of 16 bits has 8 or 11 significant ones: a change much smaller than the last of them is rounded away,
or up to a whole one. What a merge writes in its receipt is said here before it is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from weightarith.algebra import Checkpoint, Linear, Number, collect
from weightarith.engine.build import build_plan
from weightarith.engine.plan import Plan
from weightarith.engine.rehearsal import rehearse
from weightarith.engine.settings import Output, Policy
from weightarith.geometry.products import Doubles, in_groups
from weightarith.kernels.accounts import CHANGED, CROSS, INTENDED, NONFINITE, REALISED
from weightarith.saving import dtype_named


@dataclass(frozen=True)
class Rounded:
    """What rounding leaves of a change.

    Attributes:
        intended: its norm.
        realised: the norm of what is left of it.
        gain: ⟨intended, realised⟩ / ⟨intended, intended⟩, 1 where all of it is left; None of no change.
        cosine: of the angle between the two; None where one of them is zero.
        changed: elements that differ from the base's.
        nonfinite: elements that are NaN or infinite.
    """

    intended: float
    realised: float
    gain: float | None
    cosine: float | None
    changed: int
    nonfinite: int


@dataclass(frozen=True, eq=False)
class Realised:
    """What rounding leaves of a change, tensor by tensor.

    Attributes:
        accounts: sums by name of the tensor, as `kernels.accounts` has them.
    """

    accounts: Mapping[str, Doubles]

    def total(self) -> Rounded:
        """Return it over all tensors."""
        return _rounded(list(self.accounts.values()))

    def by(self, key: Callable[[str], str]) -> dict[str, Rounded]:
        """Return it over the tensors of each group, in the order of layers."""
        groups = in_groups(self.accounts, key)
        return {group: _rounded([self.accounts[name] for name in names]) for group, names in groups.items()}


def realised(
    vector: Linear,
    base: Checkpoint,
    *,
    strength: Number = 1,
    dtype: str | None = None,
    policy: Policy | None = None,
    threads: int = 0,
    progress: Callable[[int], None] = lambda _moved: None,
) -> Realised:
    """Return what is left of `strength · vector` once it is added to `base` and stored as `dtype`.

    Args:
        vector: a vector, or an adapter.
        base: the model.
        strength: what the vector is multiplied by.
        dtype: such as `bfloat16`; None keeps the base's, tensor by tensor.
        policy: what may happen where inputs disagree; None refuses every disagreement.
        threads: how many; 0 takes one a core.
        progress: called now and then with the bytes of the tensors done so far.

    Raises:
        RecipeError: no float dtype is called so.
        WeightArithError: they do not fit together, or are damaged.
    """
    plan = plan_of_change(vector, base, strength=strength, dtype=dtype, policy=policy)
    return realised_of(plan, threads=threads, progress=progress)


def plan_of_change(
    vector: Linear, base: Checkpoint, *, strength: Number = 1, dtype: str | None = None,
    policy: Policy | None = None,
) -> Plan:  # fmt: skip
    """Return the plan of the sum that is to be rounded, for `realised_of`.

    Raises:
        WeightArithError: see `realised`.
    """
    total = collect((base + strength * vector).terms)
    return build_plan(total, Output(Path("nowhere"), dtype_named(dtype)), policy=policy)


def realised_of(
    plan: Plan, *, threads: int = 0, progress: Callable[[int], None] = lambda _moved: None
) -> Realised:
    """Return what `realised` does, of a plan whose `read_bytes` are known.

    Raises:
        WeightArithError: an input is damaged.
    """
    return Realised(rehearse(plan, threads=threads, progress=progress))


def _rounded(accounts: list[Doubles]) -> Rounded:
    intended, left, cross, changed, nonfinite = (
        math.fsum(float(one[place]) for one in accounts)
        for place in (INTENDED, REALISED, CROSS, CHANGED, NONFINITE)
    )
    both = math.sqrt(intended) * math.sqrt(left)
    return Rounded(
        intended=math.sqrt(intended),
        realised=math.sqrt(left),
        gain=cross / intended if intended else None,
        cosine=cross / both if both else None,
        changed=round(changed),
        nonfinite=round(nonfinite),
    )
