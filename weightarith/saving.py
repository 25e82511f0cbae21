"""From a sum to files: plan, run, receipt, publish. What every command and `wa.save` do in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from weightarith.algebra import Checkpoint, Linear, Sum, collect
from weightarith.engine.build import build_plan
from weightarith.engine.chat import checked_template
from weightarith.engine.config import config_with_dtype, without_place
from weightarith.engine.frame import leaves_read
from weightarith.engine.plan import Plan
from weightarith.engine.settings import SHARD_BYTES, Output, Policy
from weightarith.engine.shards import index_of
from weightarith.engine.sidecars import CONFIG
from weightarith.errors import RecipeError, TargetError, quoted
from weightarith.operators.anchor import anchor_of
from weightarith.provenance import vector_metadata
from weightarith.receipt import Asked, Receipt, to_bytes, write_receipt
from weightarith.recipe.written import recipe_of
from weightarith.store.stage import check_target, expect_room, receipt_path, staged, write_small
from weightarith.tensorfile.dtypes import ARITHMETIC, BY_NAME, DType
from weightarith.tensorfile.encoded import PARTS, Kind

PLACED = (CONFIG, "tokenizer_config.json")
"""Small files that transformers has written paths into."""
REALISED_ENOUGH = 0.95
"""Below this gain a result is worth a warning: rounding ate more than a twentieth of the change."""


@dataclass(frozen=True)
class Run:
    """How to carry out a plan: where, on how many threads, and whom to tell of the bytes moved."""

    device: str = "auto"
    threads: int = 0  # 0: one a core, at most 16
    progress: Callable[[int], None] = lambda _moved: None


def save(
    total: Linear,
    path: str | Path,
    *,
    dtype: str | None = None,
    encoding: str | None = None,
    shard_size: int = SHARD_BYTES,
    like: str | Checkpoint = "",
    tokenizer: str | Checkpoint = "",
    chat_template: str = "",
    policy: Policy | None = None,
    overwrite: bool = False,
    device: str = "auto",
    threads: int = 0,
) -> Receipt:
    """Write a checkpoint or a vector to `path` and return its receipt.

    Args:
        total: a sum of degree 1 or 0, such as `base + 1.5 * (positive - negative)`.
        path: a folder, or a single file ending in `.safetensors`.
        dtype: `float32`, `bfloat16`, `float16` or `float64`; None keeps the base's (float32 for a vector).
        encoding: of a vector's matrices, in fewer bits: `sign`, `int8`, `sparse`; the receipt tells the loss.
        shard_size: bytes of tensors in one file, at most.
        like: the checkpoint whose config and tokenizer are copied, or its label; the base's by default.
        tokenizer: the checkpoint whose tokenizer is copied instead, or its label; its tokens must be theirs.
        chat_template: the text of a Jinja template, or `auto`, the one that most of the models have.
        policy: what may happen where inputs disagree; None refuses every disagreement.
        overwrite: replace an earlier output of weightarith.
        device: `cpu`, `cuda`, `torch` (torch on the CPU) or `auto`.
        threads: worker threads on the CPU; 0 takes one a core.

    Raises:
        WeightArithError: see `weightarith.errors`; nothing is left behind and an old output stays whole.
    """
    output = Output(
        Path(path), dtype_named(dtype), shard_size, _label(like), overwrite, encoding_named(encoding),
        _label(tokenizer), checked_template(chat_template) if chat_template else "",
        others=tuple(one for one in (like, tokenizer) if isinstance(one, Checkpoint)),
    )  # fmt: skip
    return carry_out(draw(collect(total.terms), output, policy=policy), Run(device, threads))


def _label(model: str | Checkpoint) -> str:
    return model.label if isinstance(model, Checkpoint) else model


def dtype_named(name: str | None) -> DType | None:
    """Return the dtype called `name`, None for None or `base`.

    Raises:
        RecipeError: no float dtype is called so.
    """
    if name is None or name == "base":
        return None
    floats = sorted(known for known, dtype in BY_NAME.items() if dtype.code in ARITHMETIC)
    if name not in floats:
        raise RecipeError(f"unknown dtype {quoted(name)}; known are base, {', '.join(floats)}")
    return BY_NAME[name]


def encoding_named(name: str | None) -> Kind | None:
    """Return the encoding called `name`, None for None.

    Raises:
        RecipeError: none is called so.
    """
    found: Kind | None = next((kind for kind in PARTS if kind == name), None)
    if found is None and name is not None:
        raise RecipeError(f"unknown encoding {quoted(name)}; known are {', '.join(PARTS)}")
    return found


def draw(
    total: Sum, output: Output, *, policy: Policy | None = None, kept: Mapping[str, int] | None = None
) -> Plan:
    """Return the plan that writes `total` to `output`, the target checked; headers are read, nothing written.

    Of a sparse output the plan has room for every element, unless `kept` tells how many there are of each
    tensor: see `with_counts`.

    Raises:
        WeightArithError: the sum has no meaning, inputs do not fit, or the target must not be written.
    """
    metadata = {"format": "pt"}
    if total.kind == "vector":
        metadata |= vector_metadata(total, anchor_of(total))
    plan = build_plan(total, output, policy=policy, metadata=metadata, kept=kept)
    _refuse_misleading_name(plan)
    sources = [leaf.source for leaf in leaves_read(total)]
    inputs = [source.path for source in sources] + [file.path for each in sources for file in each.files]
    check_target(output.path, inputs, overwrite=output.overwrite)
    return plan


def _refuse_misleading_name(plan: Plan) -> None:
    """Refuse to write a sum where other programs would take it for something else."""
    path = plan.output.path
    if path.suffix == ".gguf":
        raise TargetError(
            f"{quoted(str(path))} is the name of a GGUF file, and a {plan.kind} is written as safetensors",
            hint="an adapter for llama.cpp: weightarith compress VECTOR --rank 32 --format gguf -o OUT.gguf",
        )
    # transformers would load it as the weights of a model
    if plan.kind == "vector" and path.name == "model.safetensors" and (path.parent / "config.json").exists():
        raise TargetError(
            f"{quoted(str(path))} is a vector's, and beside config.json it would load as a broken model",
            hint="give it another name, such as vector.safetensors",
        )


def with_counts(plan: Plan, run: Run | None = None) -> Plan:
    """Return a plan whose sparse tensors have room for just what is not zero in them; others as they are.

    It takes a pass over the inputs. What rounds to zero in the output's dtype counts as zero.

    Raises:
        WeightArithError: an input cannot be read, or holds what must not be written.
    """
    from weightarith.engine.devices import count_nonzeros

    if not plan.uncounted:
        return plan
    run = run or Run()
    kept = count_nonzeros(plan, device=run.device, threads=run.threads, progress=run.progress)
    return draw(plan.total, plan.output, policy=plan.policy, kept=kept)


def carry_out(plan: Plan, run: Run | None = None, *, asked: Asked | None = None) -> Receipt:
    """Run a plan, counted if need be, publish its output at once or not at all, and return the receipt.

    `asked` is what the receipt says the run was asked for; without it that is read off the sum.

    Raises:
        WeightArithError: nothing is left behind, and what stood at the target is whole.
    """
    from weightarith.engine.devices import execute

    run = run or Run()
    plan = with_counts(plan, run)
    with staged(plan.output.path, needed=plan.write_bytes, overwrite=plan.output.overwrite) as stage:
        outcome = execute(plan, stage, device=run.device, threads=run.threads, progress=run.progress)
        beside = sidecars_of(plan)
        for name, content in beside.items():
            write_small(stage / name, content)
        receipt = write_receipt(plan, outcome, asked=asked or asked_by(plan), beside=beside)
        write_small(stage / receipt_path(plan.output.path).name, to_bytes(receipt))
    return receipt


def asked_by(plan: Plan) -> Asked:
    """Return what a plan was asked for as far as its sum tells: a recipe that makes the same, if one does."""
    written = recipe_of(plan.total, plan.output, plan.policy)
    if written is None:
        return Asked()
    return Asked(written.text, names=written.names, inputs=written.inputs, directions=written.directions)


def carry_out_apart(
    plan: Plan, take: Callable[[str, Path], None], run: Run | None = None, *, asked: Asked | None = None
) -> Receipt:
    """Run a plan file by file beside its target, hand each to `take` and remove it, and return the receipt.

    At most one file is on the disk at a time, but for those that share a tensor. What is made is what
    `carry_out` makes, receipt included; an operator that looks over the whole model does so once.

    Args:
        plan: its target is never written; files are made in the folder that it would lie in.
        take: given the name of a finished file and its path; what it raises ends the run.
        run: where and on how many threads.
        asked: what the receipt says that the run was asked for; without it that is read off the sum.

    Raises:
        WeightArithError: nothing is left behind.
    """
    from tempfile import TemporaryDirectory

    from weightarith.engine.devices import choose, execute
    from weightarith.engine.parts import joined, parts_of

    run = run or Run()
    plan = with_counts(plan, run)
    device = choose(run.device, plan.dense_bytes)  # one for all: operators may differ in the last bit
    parts, outcomes, before = parts_of(plan), [], 0
    for part in parts:
        moved = _after(run.progress, before)
        with TemporaryDirectory(prefix="part-", dir=plan.output.path.parent) as name:
            folder = Path(name)
            expect_room(folder, part.write_bytes)
            outcomes.append(execute(part, folder, device=device, threads=run.threads, progress=moved))
            for file in part.files:
                take(file.name, folder / file.name)
        before += part.read_bytes + part.write_bytes
    return write_receipt(
        plan, joined(parts, outcomes), asked=asked or asked_by(plan), beside=sidecars_of(plan)
    )


def receipt_before(plan: Plan, asked: Asked, beside: Mapping[str, bytes]) -> Receipt:
    """Return the receipt of a plan that is not run yet: without checksums, and nothing in it is measured."""
    from weightarith.engine.parts import unknown

    return write_receipt(plan, unknown(plan), asked=asked, beside=beside)


def _after(progress: Callable[[int], None], before: int) -> Callable[[int], None]:
    return lambda moved: progress(before + moved)


def sidecars_of(plan: Plan) -> dict[str, bytes]:
    """Return the small files that go beside the weights, by name; none tells a path of this machine."""
    dtype = _config_dtype(plan)
    given = {path.name: path.read_bytes() for path in plan.copies} | dict(plan.written)
    given |= {name: without_place(given[name]) for name in PLACED if name in given}
    if dtype is not None and CONFIG in given:
        given[CONFIG] = config_with_dtype(given[CONFIG], dtype.name)
    if plan.output.path.suffix != ".safetensors":
        index = index_of(plan.files, "model" if plan.kind == "checkpoint" else "vector")
        if index is not None:
            given[index[0]] = index[1]
    return given


def _config_dtype(plan: Plan) -> DType | None:
    """Return the dtype that config.json must name, None where the copied one is that of the weights."""
    if plan.output.dtype is not None or not (plan.output.like or CONFIG in plan.written):
        return plan.output.dtype
    stored = {job.dtype for job in plan.jobs if job.dtype.arithmetic}
    return stored.pop() if len(stored) == 1 else None
