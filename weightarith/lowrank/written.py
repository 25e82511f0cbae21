"""Compression in one call each, for Python."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from weightarith.algebra import Checkpoint, Linear, Number
from weightarith.engine.settings import SHARD_BYTES
from weightarith.lowrank.decompose import decompose
from weightarith.lowrank.goal import Goal, prepare
from weightarith.lowrank.layout import lay_out, write
from weightarith.lowrank.record import record
from weightarith.lowrank.scratch import Scratch
from weightarith.receipt import Receipt


def save_compressed(
    vector: Linear,
    path: str | Path,
    *,
    rank: int = 0,
    energy: Number = 0,
    dtype: str | None = None,
    shard_size: int = SHARD_BYTES,
    overwrite: bool = False,
    threads: int = 0,
) -> Receipt:
    """Write a vector to `path` with its matrices in two factors each, and return what was kept of it.

    What is no matrix stays whole, and so does a matrix that its factors would not make smaller.

    Args:
        vector: a sum of degree 0, such as `finetuned - base`.
        path: a folder, or a single file ending in `.safetensors`.
        rank: singular directions that are kept of a matrix, at most; 0 is any number.
        energy: the share of a matrix's squared norm that suffices, 0 to 1; 0 is all that `rank` allows.
        dtype: `float32`, `bfloat16`, `float16` or `float64`; None is float32.
        shard_size: bytes of tensors in one file of a folder, at most.
        overwrite: replace an earlier output of weightarith.
        threads: at work at once; 0 is one a core.

    Raises:
        WeightArithError: see `weightarith.errors`; nothing is left behind and an old output stays whole.
    """
    goal = Goal(Path(path), "vector", rank, energy, dtype, shard_size, overwrite)
    return _reached(vector, goal, None, threads)


def export_adapter(
    vector: Linear,
    path: str | Path,
    *,
    rank: int = 0,
    energy: Number = 0,
    base: Checkpoint | None = None,
    format: Literal["peft", "gguf"] = "peft",  # noqa: A002  (what the command calls it)
    dtype: str | None = None,
    overwrite: bool = False,
    threads: int = 0,
) -> Receipt:
    """Write a vector as a LoRA adapter to `path`, and return what was kept of it.

    The folder is one that PEFT, vLLM, SGLang and llama.cpp's converter read alike: a single rank, a scale of
    1, linear modules only. What no LoRA carries (norms, biases, embeddings, the head, matrices without a
    low-rank form) goes to a vector file beside it, `<path>-residual.safetensors`.

    Args:
        vector: a sum of degree 0. Adapters, and sums of them, are kept exactly where `rank` allows.
        path: a folder; a file ending in `.gguf` for that format.
        rank: singular directions that are kept of a matrix, at most; 0 is any number.
        energy: the share of a matrix's squared norm that suffices, 0 to 1; 0 is all that `rank` allows.
        base: the model; needed where neither the sum holds it nor its vectors name one in the Hub's cache.
        format: `peft`, or `gguf` for llama.cpp and Ollama.
        dtype: `float32`, `bfloat16` or `float16`; None is float32. The residual is float32 in any case.
        overwrite: replace an earlier output of weightarith.
        threads: at work at once; 0 is one a core.

    Raises:
        WeightArithError: see `weightarith.errors`; nothing is left behind and an old output stays whole.
    """
    goal = Goal(Path(path), format, rank, energy, dtype, overwrite=overwrite)
    return _reached(vector, goal, base, threads)


def _reached(vector: Linear, goal: Goal, base: Checkpoint | None, threads: int) -> Receipt:
    job = prepare(vector, goal, base)
    with Scratch.beside(goal.path) as scratch:
        done = decompose(job, scratch, threads=threads)
        laid = lay_out(job, done)
        return write(job, done, laid, record(job, done, laid), threads=threads)
