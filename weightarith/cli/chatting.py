"""chat: the base and the steered model side by side, on a terminal or over a pipe.

On a terminal both answers grow in two columns, each line printed for good once it stands on both sides. Over
a pipe there are plain lines, and an error ends the run as in any other command.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from types import FrameType
from typing import TYPE_CHECKING

import click

from weightarith.cli.options import Coefficient
from weightarith.errors import InvalidFileError, WeightArithError

if TYPE_CHECKING:
    from weightarith.algebra import Vector
    from weightarith.conversing import Talk

PROMPT = "> "
NO_COLUMNS = ("dumb", "")
"""Values of TERM whose terminals cannot go back to a line."""


@click.command()
@click.argument("base")
@click.option("--vector", metavar="V", help="Steer by this vector or adapter; /vector sets one later, too.")
@click.option(
    "--strength", type=Coefficient(), default="1", show_default=True, metavar="K",
    help="Multiply the vector by it.",
)  # fmt: skip
@click.option("--system", metavar="TEXT", help="A system prompt before both conversations.")
@click.option(
    "--limit",
    type=click.IntRange(1, 32_768),
    default=200,
    show_default=True,
    help="Tokens of an answer, at most.",
)
@click.option(
    "--temperature", type=click.FloatRange(0, max=100), default=0.0, show_default=True,
    help="Draw tokens at this temperature; 0 takes the likeliest.",
)  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(0, (1 << 63) - 1), default=0, show_default=True, help="Of what is drawn."
)
@click.option(
    "--dtype", type=click.Choice(["auto", "float32", "bfloat16", "float16"]), default="auto",
    show_default=True, help="Load the model as this; auto is how it is stored.",
)  # fmt: skip
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="Where to compute: cpu or cuda; auto takes a GPU where there is one.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print each question with both answers as a line of JSON."
)
def chat(
    base: str, vector: str | None, strength: Fraction, dtype: str, device: str, as_json: bool, **manner: float
) -> None:  # fmt: skip
    """Talk to a model as it is and as a vector steers it.

    BASE is a transformers folder of a chat model. Every line is a question, and both sides get it with the
    same seed; each goes on from its own answers. /strength 1.5 changes the strength, /help lists what else
    there is.

    On a terminal the answers come in two columns, on a narrow one below each other. Over a pipe each line of
    stdin is answered by two of stdout, `base: …` and `steered: …`.
    """
    from weightarith.cli.terminal import escaped
    from weightarith.conversing import Manner, Talk, check
    from weightarith.lm import load

    asked = check(Manner(strength=float(strength), **manner))  # type: ignore[arg-type]
    open_vector = _opener(base)
    first = open_vector(vector) if vector is not None else None
    with Talk(load(base, dtype=dtype, device=device), asked) as talk:
        if first is not None:
            talk.steer_by(first)
        if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
            _over_pipe(talk, open_vector, as_json=as_json)
            return
        steered = (
            f"{escaped(first.label)} at strength {asked.strength:g}"
            if first
            else "no vector yet: /vector FILE"
        )
        click.echo(f"{escaped(base)} and, steered, {steered}; /help lists the commands")
        _on_terminal(talk, open_vector)


def _opener(base: str) -> Callable[[str], Vector]:
    """Return what opens a vector, the base beside it where the vector needs it."""
    from weightarith.cli.opening import labels_for, opened_model, opened_vector

    def open_vector(text: str) -> Vector:
        [label] = labels_for([text])
        found = opened_vector(text, label)
        return opened_vector(text, label, opened_model(base, "base")) if found.source.replaced else found

    return open_vector


def _over_pipe(talk: Talk, open_vector: Callable[[str], Vector], *, as_json: bool) -> None:
    """Answer line after line; blank ones ask nothing."""
    from weightarith.cli.terminal import printable, tell
    from weightarith.conversing import SIDES, Order, as_line, obey, order_in

    for line in _lines():
        if not line.strip():
            continue
        order = order_in(line)
        if isinstance(order, Order):
            if order.name == "quit":
                return
            tell(printable_lines(obey(talk, order, open_vector)))
            continue
        said = dict(talk.ask(order, together=False))
        if as_json:
            click.echo(as_line(talk.exchanges[-1]))
        else:
            click.echo("\n".join(f"{side}: {printable(said[side].text)}" for side in SIDES))
        sys.stdout.flush()


def _lines() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        try:
            line = sys.stdin.readline()
        except UnicodeDecodeError:
            raise InvalidFileError(f"line {number} of what is asked is not UTF-8") from None
        if not line:
            return
        yield line.rstrip("\r\n")


def _on_terminal(talk: Talk, open_vector: Callable[[str], Vector]) -> None:
    """Ask for a line, answer it, and so on; what goes wrong is said, and the conversation goes on."""
    with suppress(ImportError):  # a Python without it has no history of lines
        import readline  # noqa: F401  (input edits lines by it, and puts its prompt on stdout)

    from weightarith.cli.terminal import tell
    from weightarith.conversing import Order, obey, order_in

    while True:
        try:
            line = input(PROMPT)
        except EOFError:
            click.echo()
            return
        except KeyboardInterrupt:
            click.echo("\nCtrl+D or /quit leaves")
            continue
        if not line.strip():
            continue
        try:
            order = order_in(line)
            if not isinstance(order, Order):
                _answer(talk, order)
            elif order.name == "quit":
                return
            else:
                click.echo(printable_lines(obey(talk, order, open_vector)))
        except WeightArithError as error:
            tell(f"Error: {printable_lines(str(error))}")


def _answer(talk: Talk, prompt: str) -> None:
    """Print both answers as they come, in columns where the terminal is wide enough for two."""
    import os

    from rich.console import Console

    from weightarith.conversing import width_of

    console = Console(highlight=False, markup=False)
    width = None if os.environ.get("TERM", "") in NO_COLUMNS else width_of(console.width)
    with _stopping() as stop:
        if width is None:
            _below_each_other(talk, prompt, stop)
        else:
            _in_columns(talk, prompt, stop, width)


def _in_columns(talk: Talk, prompt: str, stop: Callable[[], bool], width: int) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from weightarith.conversing import SIDES, Columns, beside

    console = Console(highlight=False, markup=False)
    columns = Columns(width)
    console.print(Text(beside("base", "steered", width), style="bold"))
    with Live(console=console, auto_refresh=False, transient=True, vertical_overflow="ellipsis") as live:
        for side, said in talk.ask(prompt, stop=stop):
            shown = printable_lines(said.text) + _end(said.end)
            standing = columns.grow(SIDES.index(side), shown, ended=bool(said.end))
            live.update(Text("\n".join(columns.pending()), no_wrap=True), refresh=not standing)
            if standing:  # above what is live, which is drawn again below it
                console.print(Text("\n".join(standing), no_wrap=True))


def _below_each_other(talk: Talk, prompt: str, stop: Callable[[], bool]) -> None:
    shown, last = "", ""
    for side, said in talk.ask(prompt, together=False, stop=stop):
        if side != last:
            click.echo(f"{side}:")
            shown, last = "", side
        text = printable_lines(said.text)
        click.echo(text.removeprefix(shown), nl=False)
        shown = text
        if said.end:
            click.echo(_end(said.end))
        sys.stdout.flush()


def _end(end: str) -> str:
    """Return a mark behind an answer that did not end by itself."""
    return {"limit": " […]", "stopped": " [stopped]"}.get(end, "")


def printable_lines(text: str) -> str:
    """Return a text of several lines, all other control characters escaped."""
    from weightarith.cli.terminal import printable

    return "\n".join(printable(line.expandtabs(4)) for line in text.split("\n"))


@contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Yield what tells whether Ctrl+C was pressed, which ends an answer between two tokens.

    Pressed twice it interrupts whatever is under way.
    """
    pressed = False

    def press(_number: int, _frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)
