"""What operators find out over the whole model before any tensor is made: one more pass, on request only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from weightarith.engine.answers import decomposing
from weightarith.engine.form import Form, Node
from weightarith.engine.plan import Plan
from weightarith.engine.settle import Machine, NodeField, field_of
from weightarith.errors import RecipeError, quoted
from weightarith.operators.field import SAMPLE, Array

OVER = "over"  # the option that asks for it


def survey(plan: Plan, machine: Machine) -> dict[str, Any]:
    """Return what operators over the whole model found out, by `Node.call`; those inside others first.

    Parts of one plan share what is found: the first to run looks.

    Raises:
        RecipeError: an option of such an operator varies from tensor to tensor.
    """
    found: dict[str, Any] = {} if plan.seen is None else plan.seen
    # what a call is known by holds what those inside it are known by, so theirs is shorter
    for call, places in sorted(_calls(plan).items(), key=lambda item: len(item[0])):
        if call in found:
            continue
        node = places[0][0]
        for other, _ in places[1:]:
            if other.options != node.options:
                raise RecipeError(
                    f"{node.operator.name}(over={quoted('model')}) cannot vary from tensor to tensor, and it "
                    f"does at {quoted(other.name)}"
                )
        fields = [field_of(each, shape, machine, found) for each, shape in places]
        prepare = node.operator.prepare
        with decomposing(node.operator.name):
            found[call] = prepare(Chain(fields), **node.options) if prepare is not None else None
    return found


def _calls(plan: Plan) -> dict[str, list[tuple[Node, tuple[int, ...]]]]:
    found: dict[str, list[tuple[Node, tuple[int, ...]]]] = {}
    known: set[int] = set()
    for job in sorted(plan.surveyed or plan.jobs, key=lambda job: job.name):
        for node in _inside_out(job.form):
            if node.options.get(OVER) == "model" and id(node) not in known:
                known.add(id(node))
                found.setdefault(node.call, []).append((node, job.tensor_shape))
    return found


def _inside_out(form: Form) -> Iterator[Node]:
    for group in form.groups:
        for computed in group.made:
            for inner in computed.node.forms:
                yield from _inside_out(inner)
            yield computed.node


class Chain:
    """The fields of a whole model, one after the other: what a reduction over the model goes through."""

    def __init__(self, fields: list[NodeField]) -> None:
        self._fields = fields
        self.count = sum(field.count for field in fields)

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Yield the blocks of every field; where they start counts on from field to field."""
        before = 0
        for field in self._fields:
            for start, values in field.blocks():
                yield before + start, values
            field.release()
            before += field.count

    def sample(self) -> Array:
        """Return values from all fields, from each as many as its size makes its share."""
        from array_api_compat import array_namespace

        parts = []
        for field in self._fields:
            share = max(min(round(SAMPLE * field.count / max(self.count, 1)), field.count), 1)
            found = field.sample()
            field.release()
            parts.append(found[:, :: max(found.shape[1] // share, 1)])
        return array_namespace(*parts).concat(parts, axis=1)
