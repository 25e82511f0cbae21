"""What a compression was asked for, as its receipt says it: a recipe of the whole vector, and the goal."""

from __future__ import annotations

from weightarith.algebra import exact
from weightarith.engine.settings import Output, Policy
from weightarith.lowrank.goal import Job
from weightarith.receipt import Asked
from weightarith.recipe.written import recipe_of


def asked_of(job: Job) -> Asked:
    """Return what a compression was asked for; `goal` holds what `Goal` does, and the label of the base."""
    goal, (total,) = job.goal, job.made.operands
    aim = {
        "format": goal.format,
        "rank": goal.rank,
        "energy": str(exact(goal.energy)),
        "dtype": goal.dtype or "",
        "shard_size": goal.shard_bytes,
        "base": job.model.leaf.label if job.model is not None else "",
    }
    more = {"goal": {key: value for key, value in aim.items() if value not in ("", 0, "0")}}
    written = recipe_of(total, Output(goal.path), Policy())
    if written is None:
        return Asked(more=more)
    return Asked(
        written.text, names=written.names, inputs=written.inputs, directions=written.directions, more=more
    )
