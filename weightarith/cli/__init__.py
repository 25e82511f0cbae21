"""The `weightarith` command: arguments in, one library call, a message out.

stdout carries data, stderr everything else. The one place where an error becomes a message and an exit code;
anything but a `WeightArithError` is a bug and keeps its traceback.
"""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
from types import FrameType

import click

from weightarith.cli.arithmetic import add, apply, diff, scale
from weightarith.cli.auditing import audit
from weightarith.cli.chatting import chat
from weightarith.cli.checking import check
from weightarith.cli.comparing import compare
from weightarith.cli.compressing import compress
from weightarith.cli.demoing import demo
from weightarith.cli.evaluating import evaluate
from weightarith.cli.interfering import interference
from weightarith.cli.locking import lock, pull, reproduce, verify
from weightarith.cli.looking import inspect
from weightarith.cli.making import data, generate
from weightarith.cli.monitoring import monitor
from weightarith.cli.operating import abliterate, dare, operators, project, reject, trim
from weightarith.cli.publishing import push
from weightarith.cli.recipes import convert, explain, merge
from weightarith.cli.reporting import report
from weightarith.cli.sweeping import sweep
from weightarith.cli.terminal import tell
from weightarith.cli.training import contrast, train
from weightarith.errors import Interrupted, StorageError, UnsupportedError, WeightArithError


class _InOrder(click.Group):
    """A group that lists its commands in the order they are given, the order of the work."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        """Return the names of the commands."""
        return list(self.commands)


_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_STEER = ("accelerate", "jinja2", "matplotlib", "peft", "safetensors", "torch", "transformers")
"""What the extra `steer` installs."""
_WHOLE = "no partial output was left, and an output that stood there is whole"


class _Terminated(Interrupted):
    exit_code = 143


@click.group(cls=_InOrder, context_settings=_SETTINGS)
@click.version_option(None, "--version", package_name="weightarith")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Arithmetic on the weights of language models.

    Subtract two fine-tunes and the difference is the behaviour, as a file: add it, scale it, merge it.
    A model is a transformers folder or a safetensors file; a vector is a file written by `diff`; an adapter
    is a PEFT LoRA folder, read as the change it makes. What is in the Hub's cache is named hf://org/name.

    Exit codes: 0 done, 2 usage or recipe, 3 damaged input, 4 inputs that do not fit, 5 unsafe or existing
    output, 6 disk, 7 locked, 8 Hub, 9 not what a receipt or a lock says, 10 unsupported input, 130 and 143
    interrupted, 1 a bug.
    """
    if ctx.invoked_subcommand not in _SHORT:
        gc.enable()


_SHORT = frozenset((
    "diff", "scale", "add", "project", "reject", "trim", "dare", "compress", "apply", "abliterate", "merge",
    "explain", "convert", "operators", "inspect", "compare", "check", "lock", "pull", "verify", "reproduce",
    "push",
))  # fmt: skip
"""Commands whose garbage lives to their end: what they make is no cycle, and looking for some takes time."""


for _command in (
    diff, scale, add, project, reject, trim, dare, compress, apply, abliterate, merge, explain, convert,
    operators, inspect, compare, check, audit, lock, push, pull, verify, reproduce, data, generate, train,
    contrast, evaluate, sweep, interference, monitor, chat, report, demo,
):  # fmt: skip
    cli.add_command(_command)


def main() -> None:
    """Run the command line and leave with its exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    gc.disable()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # ours do the work; numpy's would only spin
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # torch's spin too: 5 times slower on shared cores
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name may hold what no encoding has
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        cli.main(prog_name="weightarith", standalone_mode=False)
    except WeightArithError as error:
        tell(f"Error: {error}")
        sys.exit(error.exit_code)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(file=shown)
        tell(shown.getvalue().rstrip("\n"))
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        tell(f"Error: interrupted: {_WHOLE}")
        sys.exit(Interrupted.exit_code)
    except SystemExit as stop:  # click's, where whoever read our output has seen enough
        sys.exit(0 if stop.code == 1 else stop.code)
    except ModuleNotFoundError as error:
        if error.name not in _STEER:
            raise
        tell(f"Error: {error.name} is not installed\n  try: pip install 'weightarith[steer]'")
        sys.exit(UnsupportedError.exit_code)
    except OSError as error:
        if error.filename is not None:
            raise
        tell(f"Error: cannot write: {error.strerror}")
        sys.stdout = None  # not to try again on the way out
        sys.exit(StorageError.exit_code)


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise _Terminated(f"terminated: {_WHOLE}")
