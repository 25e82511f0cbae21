"""Plans run by one engine or another, on models that hold what is hard: for tests that compare engines."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from weightarith.algebra import Checkpoint, Linear, collect
from weightarith.engine import cpu, torch_device
from weightarith.engine.blocks import Outcome
from weightarith.engine.build import build_plan
from weightarith.engine.files import Inputs, Outputs
from weightarith.engine.plan import Plan
from weightarith.engine.settings import Output, Policy
from weightarith.kernels.linear import CODES, decode
from weightarith.tensorfile.dtypes import BY_NAME

FLOATS = [torch.bfloat16, torch.float16, torch.float32, torch.float64]
SHAPES: list[tuple[int, ...]] = [(), (0,), (0, 4), (1,), (31,), (32,), (33,), (5, 13), (40, 17), (3, 4, 5)]


def peculiar(shape: tuple[int, ...], dtype: torch.dtype, seed: int, *, huge: bool = True) -> Tensor:
    """Return random numbers of every size, zeros of both signs, subnormals, and the largest there are."""
    random = torch.Generator().manual_seed(seed)
    info = torch.finfo(dtype)
    numbers = torch.randn(shape, generator=random, dtype=torch.float64)
    special = [0.0, -0.0, info.tiny, -info.tiny, info.smallest_normal / 4, -info.smallest_normal * 0.75, 1.0]
    special += [info.max, -info.max, info.max * 0.75] if huge else []
    chosen = torch.tensor(special, dtype=torch.float64)[
        torch.randint(len(special), shape, generator=random).reshape(shape)
    ]
    return torch.where(torch.rand(shape, generator=random) < 0.3, chosen, numbers).to(dtype)


def model(path: Path, seed: int, *, huge: bool = True) -> Checkpoint:
    """Write a model with every shape in every dtype, the dtypes another for each seed."""
    tensors = {
        f"t{index}.{number}": peculiar(
            shape, FLOATS[(index + seed) % 4], 1000 * seed + 10 * number, huge=huge
        )
        for number, shape in enumerate(SHAPES)
        for index in range(4)
    }
    save_file(tensors, path)
    return Checkpoint.open(path, label=path.stem)


def planned(total: Linear, dtype: str | None = None, policy: Policy | None = None) -> Plan:
    """Return the plan of a single file."""
    output = Output(Path("out.safetensors"), BY_NAME[dtype] if dtype else None)
    return build_plan(collect(total.terms), output, policy=policy)


def outcome_of(plan: Plan, device: str, *, threads: int = 2, **options: Any) -> tuple[bytes, Outcome]:
    """Run a plan; return the bytes of its only file, and what is reported."""
    with TemporaryDirectory() as folder:
        with Inputs(plan.inputs) as inputs, Outputs(Path(folder), plan.files) as outputs:
            common: dict[str, Any] = {"threads": threads, "progress": lambda _moved: None}
            if device == "cpu":
                outcome = cpu.run(plan, inputs, outputs, **common)
            else:
                outcome = torch_device.run(plan, inputs, outputs, device=device, **common, **options)
        return Path(folder, plan.files[0].name).read_bytes(), outcome


def numbers_of(plan: Plan, content: bytes) -> dict[str, NDArray[np.float64]]:
    """Return every tensor of a plan's file as float64."""
    found = {}
    for job, start in zip(plan.files[0].jobs, plan.files[0].starts, strict=True):
        raw = np.zeros(-(-job.nbytes // 8) * 8, np.uint8)
        raw[: job.nbytes] = np.frombuffer(content, np.uint8, job.nbytes, start)
        found[job.name] = np.empty(job.count)
        decode(raw, CODES[job.dtype.code], 0, job.count, found[job.name])
    return found
