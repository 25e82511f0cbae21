"""A vector's jobs where its matrices are to be stored in fewer bits: a job for every part of each. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from weightarith.engine.form import Group, Operand
from weightarith.engine.plan import Job
from weightarith.tensorfile.dtypes import DTYPES
from weightarith.tensorfile.encoded import Kind, Shape, parts_of, tensor_name


def encoded(jobs: Iterable[Job], kind: Kind, kept: Mapping[str, int] | None) -> list[Job]:
    """Return the jobs of a vector, those of matrices and beyond replaced by those of their parts.

    Args:
        jobs: of a vector.
        kind: the encoding.
        kept: how many elements of each tensor are not zero, for a sparse one; None where that is not known,
            and room is made for all of them.
    """
    found: list[Job] = []
    for job in jobs:
        if job.action in ("compute", "copy") and len(job.shape) > 1 and job.count:
            found += _parts(job, kind, job.count if kept is None else kept[job.name])
        else:
            found.append(job)
    return found


def _parts(job: Job, kind: Kind, kept: int) -> list[Job]:
    whole = replace(job, action="encode", product=job.shape, encoding=kind, kept=False)
    if job.action == "copy" and job.anchor is not None:
        whole = replace(whole, anchor=None, groups=(Group(1.0, (Operand(job.anchor, 1),)),))
    parts = parts_of(kind, job.shape, kept=kept, values=job.dtype.code)
    return [
        replace(whole, name=tensor_name(job.name, part), dtype=dtype, shape=shape)
        for part, (dtype, shape) in parts.items()
    ]


def encodings(jobs: Iterable[Job]) -> dict[str, tuple[Kind, Shape]]:
    """Return encoding and shape of each tensor that is stored in parts, by name."""
    return {job.tensor: (job.encoding, job.tensor_shape) for job in jobs if job.encoding and job.is_main}


def as_values(job: Job) -> Job:
    """Return the job that makes the numbers of an encoded tensor, of its main part: those that are packed.

    Numbers that are stored sparsely are rounded to their dtype first: those that vanish are left out.
    """
    dtype = job.dtype if job.encoding == "sparse" else DTYPES["F64"]
    return replace(
        job, name=job.tensor, action="compute", dtype=dtype, shape=job.product, product=(), encoding=None
    )
