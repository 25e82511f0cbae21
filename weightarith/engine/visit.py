"""Every tensor of a sum looked at once, as a field, nothing written: what reports and exports are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TypeVar

from weightarith.algebra import Sum
from weightarith.engine.bench import Bench
from weightarith.engine.build import build_plan
from weightarith.engine.cpu import keep_freed_memory, one_thread_each
from weightarith.engine.crew import share_out
from weightarith.engine.devices import cores
from weightarith.engine.files import Inputs
from weightarith.engine.form import Form, Group, Node, Operand
from weightarith.engine.plan import Job, Plan
from weightarith.engine.settings import Output, Policy
from weightarith.engine.settle import NodeField, States, settle
from weightarith.engine.survey import survey
from weightarith.operators.field import Field, Mixed
from weightarith.operators.operator import Operator

Seen = TypeVar("Seen")


def plan_of(total: Sum, policy: Policy | None = None) -> Plan:
    """Return the plan of a sum that is looked at and not written.

    Raises:
        WeightArithError: the sum has no meaning, or its inputs do not fit.
    """
    return build_plan(total, Output(Path("nowhere")), policy=policy)


def visit(
    plan: Plan,
    look: Callable[[Field], Seen],
    *,
    threads: int = 0,
    progress: Callable[[int], None] = lambda _moved: None,
) -> dict[str, Seen]:
    """Return what `look` finds at each tensor of a plan's vector, by name; the largest are looked at first.

    Args:
        plan: of a vector.
        look: asked once a tensor, from several threads; its field has one operand, the vector.
        threads: how many; 0 takes one a core.
        progress: called now and then with the bytes of the tensors done so far.

    Raises:
        WeightArithError: see the engines, and `look`.
    """

    def at(job: Job, bench: Bench, states: States) -> Seen:
        name = _name(job)
        settled = settle(_alone(job), name, job.tensor_shape, bench, states)
        return look(NodeField(_node(name), job.tensor_shape, (settled,), bench))

    return go_through(plan, lambda job: job.action != "right", at, threads, progress)


def go_through(
    plan: Plan,
    wanted: Callable[[Job], bool],
    at: Callable[[Job, Bench, States], Seen],
    threads: int,
    progress: Callable[[int], None],
) -> dict[str, Seen]:
    """Return what `at` finds at each job that is wanted, by name of the tensor, the largest first."""
    found: dict[str, Seen] = {}
    done = [0]
    keep_freed_memory()
    jobs = [job for file in plan.files for job in file.jobs if wanted(job)]
    jobs.sort(key=lambda job: -prod(job.tensor_shape))  # no thread is to be left alone with a large one
    needed = (job.stored for job in jobs)
    with Inputs(plan.inputs, needed) as inputs, one_thread_each():
        states = survey(plan, Bench(inputs, plan.policy))

        def worker(bench: Bench) -> Callable[[Job], None]:
            def work(job: Job) -> None:
                found[_name(job)] = at(job, bench, states)
                bench.clear()
                done[0] += job.read_bytes

            return work

        workers = [worker(Bench(inputs, plan.policy)) for _ in range(threads or cores())]
        share_out(iter(jobs), workers, lambda: progress(done[0]), inputs.abandon)
        inputs.check_unchanged()
    return {name: found[name] for name in sorted(found)}


def _name(job: Job) -> str:
    return job.name.removesuffix("::B")


def _alone(job: Job) -> Form:
    """Return what a job makes with the anchor as an operand among the others."""
    if job.anchor is None:
        return job.form
    if job.action == "copy":
        return Form((Group(1.0, (Operand(job.anchor, 1),)),))
    groups = []
    for group in job.groups:
        own = Operand(job.anchor, -1 if group.origin > 0 else 1)
        groups.append(replace(group, operands=(*group.operands, *(own,) * abs(group.origin)), origin=0))
    return Form(tuple(groups), job.factors)


_LOOKING = Operator("look", lambda _field: Mixed((1.0,)), "")


def _node(name: str) -> Node:
    return Node("", _LOOKING, name, (), {}, (0,), 0)
