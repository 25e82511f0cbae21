"""A recipe's result on the Hub: kept here and pushed, or sent file by file and never kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from weightarith.algebra import collect
from weightarith.cli.options import Writing
from weightarith.cli.publishing import pinned, pushed_shown, say_push_plan, say_pushed
from weightarith.cli.talk import (
    counted_in,
    plan_shown,
    receipt_shown,
    say_plan,
    say_receipt,
    with_overrides,
)
from weightarith.cli.terminal import print_json, printable, progress, size, tell, warn
from weightarith.engine.settings import UNNAMED
from weightarith.errors import WeightArithError
from weightarith.publish import Wish, carry_out, carry_out_made, draw, draw_made, room
from weightarith.publish.plan import as_json as push_shown
from weightarith.saving import Run
from weightarith.saving import carry_out as write
from weightarith.saving import draw as draw_merge

if TYPE_CHECKING:
    from weightarith.publish import Made, Pushed
    from weightarith.receipt import Asked, Receipt
    from weightarith.recipe import Recipe
    from weightarith.recipe.destination import Destination

_KEYS = {"--license ID": "license: ID", "--create-pr": "create_pr: true", "--public": "private: false"}
"""What a recipe says in place of an option of push."""


def deliver(read: Recipe, destination: Destination, writing: Writing, asked: Asked) -> None:
    """Run a recipe and push its result; whether it may be pushed is settled before a weight is read."""
    output = read.output
    if output is None:  # a destination stands in the recipe's output
        raise click.UsageError("the recipe names no output")
    kept = output.path != UNNAMED
    wish = Wish(**vars(destination), overwrite=writing.overwrite)
    where: AbstractContextManager[Path] = nullcontext(output.path) if kept else room()
    with where as path:
        plan = draw_merge(
            collect(read.total.terms), with_overrides(replace(output, path=path), writing), policy=read.policy
        )
        warn(*plan.warnings)
        if not writing.dry_run:
            plan = counted_in(plan, writing)
        with _as_recipes_say():
            made = draw_made(plan, wish, asked)
        warn(*made.push.warnings)
        if writing.dry_run:
            _say_plans(made, kept=kept, as_json=writing.as_json)
        elif kept:
            _keep_and_push(made, writing)
        else:
            _push_as_made(made, writing)


@contextmanager
def _as_recipes_say() -> Iterator[None]:
    """Let what an error advises be written as a recipe has it: merge has no such options."""
    try:
        yield
    except WeightArithError as error:
        hint = error.hint
        for option, key in _KEYS.items():
            hint = hint.replace(option, f"{key} (under hub:)")
        raise type(error)(error.message, hint=hint) from error


def _say_plans(made: Made, *, kept: bool, as_json: bool) -> None:
    shown = plan_shown(made.merge)
    if as_json:
        print_json({**shown, "output": shown["output"] if kept else "", "push": push_shown(made.push)})
        return
    say_plan(made.merge, where="" if kept else f"hf://{made.push.wish.repo}")
    say_push_plan(made.push)


def _keep_and_push(made: Made, writing: Writing) -> None:
    plan = made.merge
    with progress(plan.read_bytes + plan.write_bytes) as moved:
        receipt = write(plan, Run(writing.device, writing.threads, moved), asked=made.asked)
    say_receipt(plan, receipt)
    try:
        push = draw(plan.output.path, made.push.wish)
        done = carry_out(push, progress)
    except WeightArithError:
        place = printable(str(plan.output.path))
        tell(f"Note: {place} is whole, and not pushed: weightarith push {place} {made.push.wish.repo}")
        raise
    _say_done(replace(made, push=push), receipt, done, writing, str(plan.output.path))


def _push_as_made(made: Made, writing: Writing) -> None:
    plan = made.merge
    with progress(plan.read_bytes + plan.write_bytes) as moved:
        done, receipt = carry_out_made(made, Run(writing.device, writing.threads, moved), _say_sent)
    say_receipt(plan, receipt, where=f"hf://{done.repo}")
    _say_done(made, receipt, done, writing, "")


def _say_sent(name: str, count: int) -> None:
    tell(f"  sent {printable(name)}, {size(count)}")


def _say_done(made: Made, receipt: Receipt, done: Pushed, writing: Writing, place: str) -> None:
    warn(*done.notes)
    if writing.as_json:
        told: dict[str, Any] = {**receipt_shown(made.merge, receipt), "output": place}
        print_json({**told, "push": pushed_shown(made.push, done)})
    else:
        click.echo(pinned(done))
    say_pushed(made.push, done)
