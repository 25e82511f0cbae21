"""Options that several commands share, each said once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?", re.IGNORECASE)
UNITS = {"": 1, "b": 1} | {
    prefix + suffix: base**power
    for power, prefix in enumerate("kmgt", start=1)
    for suffix, base in (("b", 1000), ("ib", 1024))
}


class Size(click.ParamType[int]):
    """A number of bytes: `5GB`, `512MiB`, `1000000`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return `value` in bytes."""
        found = SIZE.fullmatch(str(value).strip())
        if found is None or float(found[1]) <= 0:
            self.fail(f"{value!r} is no size; write it like 5GB or 512MiB", param, ctx)
        return int(float(found[1]) * UNITS[(found[2] or "").lower()])


@dataclass(frozen=True)
class Writing:
    """How a command writes: what every one of them can be told."""

    output: Path | None
    dtype: str | None
    shard_size: int | None
    device: str
    threads: int
    overwrite: bool
    dry_run: bool
    as_json: bool


def writing(*, output_required: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command the options of `Writing`, passed as one argument."""
    options = (
        click.option("-o", "--output", type=click.Path(path_type=Path), required=output_required,
                     help="Where to write: a folder, or a file ending in .safetensors."),
        click.option("--dtype", help="Of the result: float32, bfloat16, float16, float64; base keeps the base's."
                                     " Vectors are float32 unless told otherwise."),
        click.option("--shard-size", type=Size(), help="Most bytes of tensors in one file, such as 5GB."),
        click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "torch"]), default="auto",
                     show_default=True, help="Where to compute; torch is torch on the CPU."),
        click.option("--threads", type=click.IntRange(0, 256), default=0, help="Worker threads; 0 is one a core."),
        click.option("--overwrite", is_flag=True, help="Replace an earlier output of weightarith."),
        click.option("--dry-run", is_flag=True, help="Check everything, say what would be written, write nothing."),
        click.option("--json", "as_json", is_flag=True, help="Print what was done (or would be) as JSON."),
    )  # fmt: skip

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def bundled(**given: Any) -> None:
            fields = {name: given.pop(name) for name in Writing.__dataclass_fields__}
            command(**given, writing=Writing(**fields))

        bundled.__name__, bundled.__doc__ = command.__name__, command.__doc__
        bundled.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
        for option in reversed(options):
            bundled = option(bundled)
        return bundled

    return decorate
