"""Which output file holds which tensor: filled in the natural order of names, whatever the input's shards."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Literal

from weightarith.engine.plan import Job, OutputFile
from weightarith.tensorfile.layout import lay_out

_NUMBER = re.compile(r"(\d+)")


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key under which layer 2 comes before layer 10."""
    return [
        (1, int(part), "") if part.isdigit() and part.isascii() else (0, 0, part)
        for part in _NUMBER.split(name)
    ]


def split(jobs: Iterable[Job], shard_bytes: int) -> list[list[Job]]:
    """Return the jobs in shards of at most `shard_bytes`; a larger tensor gets a shard of its own."""
    shards: list[list[Job]] = [[]]
    filled = 0
    for job in sorted(jobs, key=lambda job: natural_order(job.name)):
        if shards[-1] and filled + job.nbytes > shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append(job)
        filled += job.nbytes
    return shards


def output_files(
    jobs: Iterable[Job], stem: str, shard_bytes: int, metadata: Mapping[str, str]
) -> tuple[OutputFile, ...]:
    """Return the files of a folder called `stem.safetensors`, or `stem-00001-of-0000N.safetensors`."""
    shards = split(jobs, shard_bytes)
    names = [f"{stem}.safetensors"] if len(shards) == 1 else [
        f"{stem}-{number:05d}-of-{len(shards):05d}.safetensors" for number in range(1, len(shards) + 1)
    ]  # fmt: skip
    return tuple(output_file(name, shard, metadata) for name, shard in zip(names, shards, strict=True))


def output_file(name: str, jobs: Iterable[Job], metadata: Mapping[str, str]) -> OutputFile:
    """Return one file holding `jobs`, its header finished."""
    by_name = {job.name: job for job in jobs}
    layout = lay_out({job.name: (job.dtype, job.shape) for job in by_name.values()}, metadata)
    ordered = sorted(by_name, key=lambda tensor: (layout.tensors[tensor].start, layout.tensors[tensor].stop))
    return OutputFile(
        name=name,
        header=layout.header,
        size=layout.size,
        jobs=tuple(by_name[tensor] for tensor in ordered),
        starts=tuple(layout.tensors[tensor].start for tensor in ordered),
    )


def index_of(files: tuple[OutputFile, ...], stem: Literal["model", "vector"]) -> tuple[str, bytes] | None:
    """Return the name and text of the index of a sharded folder, None where one file holds everything."""
    if len(files) == 1:
        return None
    places = {job.name: file.name for file in files for job in file.jobs}
    total = sum(job.nbytes for file in files for job in file.jobs)
    content = {
        "metadata": {"total_size": total},
        "weight_map": dict(sorted(places.items(), key=lambda item: natural_order(item[0]))),
    }
    return f"{stem}.safetensors.index.json", (json.dumps(content, indent=2) + "\n").encode()
