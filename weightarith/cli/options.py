"""Options that several commands share, each said once, and how their values are written."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from weightarith.errors import quoted
from weightarith.tensorfile.dtypes import ARITHMETIC, BY_NAME

DTYPES = ("base", *(name for name, dtype in BY_NAME.items() if dtype.code in ARITHMETIC))

_NEGATIVE = re.compile(r"-\.?[0-9].*")
_SET = re.compile(r"[a-z][a-z-]*")


class Size(click.ParamType[int]):
    """A number of bytes: `5GB`, `512MiB`, `1000000`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return `value` in bytes."""
        from weightarith.numbers import bytes_in

        count = bytes_in(str(value)) or 0
        if count < 1:
            self.fail(f"{quoted(str(value))} is no size; write it like 5GB or 512MiB", param, ctx)
        return count


class Coefficient(click.ParamType[Fraction]):
    """An exact number: `1.5`, `-0.5`, `1/3`, `2e-3`."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Fraction:
        """Return `value` as a fraction."""
        from weightarith.numbers import NUMBER, RANGE, decimal, in_range

        text = str(value).strip().replace("−", "-")
        sign = -1 if text.startswith("-") else 1
        parts = text.removeprefix("-" if sign < 0 else "+").split("/")
        if len(parts) > 2 or not all(NUMBER.fullmatch(part.strip()) for part in parts):
            self.fail(f"{quoted(text)} is no number; write it like 1.5, -0.5 or 1/3", param, ctx)
        over, under = (decimal(part.strip()) for part in (*parts, "1")[:2])
        if under == 0:
            self.fail(f"{quoted(text)} divides by zero", param, ctx)
        if over is None or under is None or not in_range(over / under):
            self.fail(f"{quoted(text)} is out of range; {RANGE} are read", param, ctx)
        return sign * over / under


class WithNegativeNumbers(click.Command):
    """A command whose arguments may be negative numbers, which click would take for options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse `args`, the minus of a number as U+2212, which means the same and starts no option."""
        options = [param for param in self.params if isinstance(param, click.Option) and not param.is_flag]
        takes_value = {spelling for option in options for spelling in option.opts}
        read = [
            f"−{arg[1:]}" if _NEGATIVE.fullmatch(arg) and before not in takes_value else arg
            for before, arg in zip(["", *args], args, strict=False)
        ]
        return super().parse_args(ctx, read)


_encoding = click.option(
    "--encoding", type=click.Choice(["sign", "int8", "sparse"]),
    help="Store the matrices of a vector in fewer bits; what is left of them is reported. A sparse vector is "
         "made twice: its elements that are not zero are counted first.",
)  # fmt: skip


@dataclass(frozen=True)
class Writing:
    """How a command writes: what every one of them can be told."""

    output: Path | None
    dtype: str | None
    encoding: str | None
    shard_size: int | None
    device: str
    threads: int
    overwrite: bool
    dry_run: bool
    as_json: bool


def writing(
    *, output_required: bool = True, encoding: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command the options of `Writing`, passed as one argument.

    A command that cannot write a vector whole, or none at all, takes no `encoding`.
    """
    options = (
        click.option("-o", "--output", type=click.Path(path_type=Path), required=output_required,
                     help="Where to write: a folder, or a single file where it ends in .safetensors."),
        click.option("--dtype", type=click.Choice(DTYPES), metavar="DTYPE",
                     help=f"Float type of the result, one of {', '.join(DTYPES)}. Without it, or with base, "
                          "a model keeps the base's and a vector is float32."),
        *[_encoding] * encoding,
        click.option("--shard-size", type=Size(),
                     help="Most bytes of tensors in one file of a folder, such as 512MiB.  [default: 5GB]"),
        click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "torch"]), default="auto",
                     show_default=True, help="Where to compute; torch is PyTorch on the CPU."),
        click.option("--threads", type=click.IntRange(0, 256), default=0, metavar="N",
                     help="Worker threads; by default one a core, at most 16."),
        click.option("--overwrite", is_flag=True,
                     help="Replace an earlier output of weightarith; it stays whole until the new one is."),
        click.option("--dry-run", is_flag=True,
                     help="Check everything, print what would be written, and write nothing."),
        click.option("--json", "as_json", is_flag=True, help="Print what was done, or would be, as JSON."),
    )  # fmt: skip

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def bundled(**given: Any) -> None:
            fields = {name: given.pop(name, None) for name in Writing.__dataclass_fields__}
            command(**given, writing=Writing(**fields))

        bundled.__name__, bundled.__doc__ = command.__name__, command.__doc__
        bundled.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
        for option in reversed(options):
            bundled = option(bundled)
        return bundled

    return decorate


streaming = click.option(
    "--stream", is_flag=True,
    help="Read what is on the Hub from there, as it is needed, and download no weights.",
)  # fmt: skip


class DataFile(click.ParamType[Path]):
    """A file of training data, or one that ships with the package: `arithmetic:train`."""

    name = "file|name:training"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,  # noqa: ARG002  (click's signature)
        ctx: click.Context | None,  # noqa: ARG002
    ) -> Path:
        """Return the file that `value` means; one that is there wins."""
        from weightarith.data.sets import open_set

        name, mark, training = str(value).partition(":")
        if isinstance(value, Path) or not mark or Path(value).exists() or not _SET.fullmatch(name):
            return Path(value)
        return open_set(name).trained_on(training)


class TraitFile(click.ParamType[Path]):
    """A file that describes a trait, or the name of a set that ships with one."""

    name = "file|name"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,  # noqa: ARG002  (click's signature)
        ctx: click.Context | None,  # noqa: ARG002
    ) -> Path:
        """Return the file that `value` means; one that is there wins."""
        from weightarith.data.sets import open_set, shipped

        path = Path(value)
        known = str(value) in shipped() and not path.exists()
        return (open_set(str(value)).trait if known else None) or path
