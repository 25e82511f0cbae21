"""push: an output on the Hub, with a card that nobody had to write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from weightarith.publish import Plan, Pushed

ARTICLES = {"vector": "a vector", "adapter": "an adapter", "checkpoint": "a model", "recipe": "a recipe"}


@click.command()
@click.argument("output", metavar="X", type=click.Path(path_type=Path))
@click.argument("repo", metavar="REPO")
@click.option(
    "--private/--public", "private", default=None,
    help="Who sees a repository that is made; by default everybody, unless a parent is private or gated.",
)  # fmt: skip
@click.option("--create-pr", "as_request", is_flag=True, help="Open a pull request; the branch stays.")
@click.option("--revision", metavar="BRANCH", help="The branch, made where it is missing.  [default: main]")
@click.option("--tag", metavar="NAME", default="", help="Give the commit a name; one that is there stays.")
@click.option(
    "--license", "licence", metavar="ID", default="",
    help="The licence, where the parents do not share one or say nothing: an id of the Hub's list.",
)  # fmt: skip
@click.option(
    "--results", type=click.Path(path_type=Path), metavar="PATH",
    help="Results for the card: the folder of a sweep, or what evaluate -o wrote. Those in the folder of a "
         "run are found.",
)  # fmt: skip
@click.option(
    "--part", type=click.Choice(["vector", "positive", "negative"]), default=None,
    help="What of the run of a contrast is pushed.  [default: vector]",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace what weightarith did not write, or another kind.")
@click.option("--dry-run", is_flag=True, help="Print what would be pushed, the card included; send nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done, or would be, as JSON.")
def push(
    output: Path, repo: str, private: bool | None, as_request: bool, revision: str | None, tag: str,
    licence: str, results: Path | None, part: str | None, overwrite: bool, dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Publish an output on the Hub.

    X is a vector, an adapter (a folder, or in GGUF), a model folder, the run of a contrast, or a recipe. REPO
    is org/name, made where it is missing. The card is rendered from the receipt: parents, licence, recipe,
    numbers, results, how to use it and how to check it. No path, user name or token gets into what is
    published.

    All becomes visible in one commit, or nothing does. Interrupted, the same command goes on; what is there
    already is not sent. Afterwards every file's hash on the Hub is compared with the one here.
    """
    from weightarith.cli.terminal import print_json, progress, warn
    from weightarith.hub.address import DEFAULT_REVISION
    from weightarith.publish import Wish, carry_out, draw

    wish = Wish(
        repo, private, as_request, revision or DEFAULT_REVISION, tag, licence, results, part or "", overwrite
    )
    plan = draw(output, wish)
    warn(*plan.warnings)
    if dry_run:
        say_push_plan(plan, as_json=as_json)
        return
    done = carry_out(plan, progress)
    warn(*done.notes)
    if as_json:
        print_json(pushed_shown(plan, done))
    else:
        click.echo(pinned(done))
    say_pushed(plan, done)


def pushed_shown(plan: Plan, done: Pushed) -> dict[str, Any]:
    """Return what a push came to as JSON has it."""
    return {**vars(done), "private": plan.private, "licence": plan.decision.licence.id}


def pinned(done: Pushed) -> str:
    """Return the address of what was pushed, which never means anything else."""
    return f"hf://{done.repo}@{done.commit}"


def say_pushed(plan: Plan, done: Pushed) -> None:
    """Tell what a push came to."""
    from weightarith.cli.terminal import counted, printable, size, tell

    if not done.changed:
        tell(f"nothing to push: {done.reference} of {done.repo} holds all of it already")
    else:
        held = counted(len(plan.items), "file")
        tell(f"{done.repo}: {held}, {size(plan.size)}, {plan.visibility}")
        tell(f"  {done.reference} is commit {done.commit}")
        tell(f"  licence {plan.decision.licence}, {plan.decision.why}")
        tell("  every hash on the Hub is the one here")
    if done.tag:
        tell(f"  tagged {printable(done.tag)}")
    if done.url:
        tell(f"  {printable(done.url)}")


def say_push_plan(plan: Plan, *, as_json: bool = False) -> None:
    """Print what would be pushed."""
    from weightarith.cli.terminal import counted, print_json, printable, size
    from weightarith.publish.plan import as_json as told

    found = told(plan)
    if as_json:
        print_json(found)
        return
    changes = found["changes"]
    asked = "" if plan.stand is not None else " (the Hub was not asked: HF_HUB_OFFLINE is set)"
    where = "a pull request to " if plan.wish.as_request else ""
    click.echo(
        f"would push {ARTICLES[plan.kind]} to {where}{plan.wish.repo}, branch {plan.wish.revision}{asked}"
    )
    click.echo(f"  {plan.visibility}")
    click.echo(f"  licence {plan.decision.licence}, {plan.decision.why}")
    click.echo(f"  {counted(len(plan.items), 'file')}, {size(plan.size)}")
    for item in plan.items:
        state = f", {changes[item.name]}" if item.name in changes else ""
        click.echo(f"  {printable(item.name)}  {size(item.size)}{state}")
    for name in found["removed"]:
        click.echo(f"  {printable(name)}  removed: the receipt there names it, and it is no more")
    for one in plan.left_out:
        click.echo(f"  left out: {printable(one.name)}  {one.why}")
    click.echo(f"\n{plan.card}", nl=False)
