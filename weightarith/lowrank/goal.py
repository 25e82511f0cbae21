"""What is to be made of a vector, checked from headers before a number is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from weightarith.adapter.portable import Portable, plan_portable
from weightarith.algebra import ZERO, Checkpoint, Linear, Number, collect
from weightarith.engine.frame import leaves_read
from weightarith.engine.plan import Plan
from weightarith.engine.settings import SHARD_BYTES
from weightarith.engine.visit import plan_of
from weightarith.errors import RecipeError, TargetError, quoted
from weightarith.export import plan_gguf
from weightarith.lowrank.model import Model, check_fits, laid_onto, model_of, warnings_of
from weightarith.operators.compress import COMPRESS
from weightarith.operators.made import Made
from weightarith.saving import dtype_named
from weightarith.store.stage import check_target
from weightarith.tensorfile.dtypes import DType

Format = Literal["vector", "peft", "gguf"]
FORMATS: tuple[Format, ...] = get_args(Format)
SAFETENSORS, GGUF = ".safetensors", ".gguf"


@dataclass(frozen=True)
class Goal:
    """Where a vector goes, as what, and how far it is compressed.

    Attributes:
        path: a folder, or a single file: ending in `.safetensors` for a vector, in `.gguf` for that format.
        format: `vector`, `peft` or `gguf`.
        rank: directions of a matrix that are kept, at most; 0 is any number.
        energy: the share of a matrix's squared norm that suffices, 0 to 1; 0 is all that `rank` allows.
        dtype: of the factors, `float32` by default.
        shard_bytes: no file of a vector's folder holds more bytes of tensors, unless one tensor alone does.
        overwrite: replace an earlier output.
    """

    path: Path
    format: Format = "vector"
    rank: int = 0
    energy: Number = ZERO
    dtype: str | None = None
    shard_bytes: int = SHARD_BYTES
    overwrite: bool = False


@dataclass(frozen=True, eq=False)
class Job:
    """A goal that can be reached, as far as headers tell.

    Attributes:
        goal: what is asked for.
        made: the call that is carried out, `compress(v, rank=32)`.
        plan: of the vector; how each of its tensors is read.
        model: what an adapter is for; None for a vector.
        whole: why a tensor is not taken apart, by name.
        dtype: of the factors; None where each is stored as the vector would be.
        warnings: about the inputs.
    """

    goal: Goal
    made: Made
    plan: Plan
    model: Model | None
    whole: Mapping[str, str]
    dtype: DType | None
    warnings: tuple[str, ...]

    @property
    def read_bytes(self) -> int:
        """Bytes that are read to look at every tensor once."""
        return sum(job.read_bytes for job in self.plan.jobs if job.action not in ("right", "compare"))

    @property
    def residual(self) -> Path:
        """Where that goes which no adapter carries: outside its folder, which some loaders read whole."""
        path = self.goal.path
        stem = path.stem if self.goal.format == "gguf" else path.name
        return path.with_name(f"{stem}-residual{SAFETENSORS}")


def prepare(vector: Linear, goal: Goal, base: Checkpoint | None = None) -> Job:
    """Return the job that reaches a goal; headers are read, and nothing is written.

    Raises:
        RecipeError: the goal contradicts itself, or for an adapter the model is not known.
        IncompatibleError: the vector does not fit the model, or a LoRA could carry nothing of it.
        UnsupportedError: there is no GGUF for this kind of model, or no gguf package.
        TargetError: the target must not be written.
    """
    total = collect(vector.terms)
    _check_goal(goal)
    model = model_of(total, base) if goal.format != "vector" else None
    if model is not None:
        total = laid_onto(total, model)
    made = COMPRESS(total, rank=goal.rank, energy=goal.energy)
    plan = plan_of(total)
    shapes = shapes_of(plan)
    whole: dict[str, str] = {}
    if model is not None:
        check_fits(shapes, model)
        whole = {name: why for name in shapes if (why := model.base.obstacle(name))}
        ranks = {name: 1 for name in shapes if name not in whole}
        plan_adapter(goal, plan_portable(model.base, ranks, dtype=dtype_code(goal)))
    dtype = dtype_named(goal.dtype)
    job = Job(goal, made, plan, model, whole, dtype, warnings_of(total, model) if model else ())
    _check_targets(job)
    return job


def shapes_of(plan: Plan) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of a plan's vector, of one in two factors that of the product."""
    jobs = (job for file in plan.files for job in file.jobs if job.action != "right")
    return {job.name.removesuffix("::B") if job.product else job.name: job.tensor_shape for job in jobs}


def plan_adapter(goal: Goal, portable: Portable, metadata: Mapping[str, str] | None = None) -> object:
    """Return the GGUF file of a portable adapter where one is asked for, else the adapter itself."""
    return plan_gguf(portable, metadata=metadata) if goal.format == "gguf" else portable


def dtype_code(goal: Goal) -> str:
    """Return the code of the dtype of an adapter's factors."""
    named = dtype_named(goal.dtype)
    return named.code if named is not None else "F32"


def _check_goal(goal: Goal) -> None:
    if goal.format not in FORMATS:
        raise RecipeError(f"unknown format {quoted(goal.format)}; known are {', '.join(FORMATS)}")
    if not goal.rank and not goal.energy:
        raise RecipeError(
            "how far to compress is not said", hint="a rank, such as 32, or an energy, such as 0.95"
        )
    shown = quoted(str(goal.path))
    if (goal.format == "gguf") != (goal.path.suffix == GGUF):
        if goal.format == "gguf":
            raise TargetError(f"{shown} is no name of a GGUF file", hint="end it in .gguf")
        raise TargetError(f"{shown} is the name of a GGUF file", hint="add --format gguf, or format=")
    if goal.format == "peft" and goal.path.suffix == SAFETENSORS:
        raise TargetError(f"{shown} is the name of a file, and an adapter is a folder", hint="name a folder")


def _check_targets(job: Job) -> None:
    leaves = [*leaves_read(collect(job.made.terms)), *([job.model.leaf] if job.model else [])]
    sources = [leaf.source for leaf in leaves]
    inputs = [source.path for source in sources] + [file.path for each in sources for file in each.files]
    check_target(job.goal.path, inputs, overwrite=job.goal.overwrite)
    if job.model is not None:
        check_target(job.residual, inputs, overwrite=job.goal.overwrite)
