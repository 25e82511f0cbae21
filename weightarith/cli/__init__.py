"""The `weightarith` command: arguments in, one library call, a message out.

stdout carries data, stderr everything else. The one place where an error becomes a message and an exit code;
anything but a `WeightArithError` is a bug and keeps its traceback.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

import click

from weightarith.cli.arithmetic import add, apply, diff, scale
from weightarith.cli.looking import inspect
from weightarith.cli.recipes import explain, merge
from weightarith.errors import Interrupted, WeightArithError


class _InOrder(click.Group):
    """A group that lists its commands in the order they are given, the order of the work."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        """Return the names of the commands."""
        return list(self.commands)


_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=_InOrder, context_settings=_SETTINGS)
@click.version_option(None, "--version", package_name="weightarith")
def cli() -> None:
    """Arithmetic on the weights of language models.

    Subtract two fine-tunes and the difference is the behaviour, as a file: add it, scale it, merge it.
    A model is a transformers folder or a safetensors file; a vector is a file written by `diff`; an adapter is
    a PEFT LoRA folder, read as the change it makes.

    Exit codes: 0 done, 2 usage or recipe, 3 damaged input, 4 inputs that do not fit, 5 unsafe or existing
    output, 6 disk, 7 locked, 8 Hub, 10 unsupported input, 130 and 143 interrupted, 1 a bug.
    """


for _command in (diff, scale, add, apply, merge, explain, inspect):
    cli.add_command(_command)


def main() -> None:
    """Run the command line and leave with its exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        cli.main(standalone_mode=False)
    except WeightArithError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted: nothing was written, and an output that stood there is whole.", err=True)
        sys.exit(130)
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stdout = None
        sys.exit(0)


def _terminated(_number: int, _frame: FrameType | None) -> None:
    stop = Interrupted("terminated: nothing was written, and an output that stood there is whole")
    stop.exit_code = 143
    raise stop
