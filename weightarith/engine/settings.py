"""What a run may do where inputs disagree, and where its result goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from weightarith.algebra import Checkpoint
from weightarith.tensorfile.dtypes import DType
from weightarith.tensorfile.encoded import Kind

SHARD_BYTES = 5_000_000_000
UNNAMED = Path()
"""The path of an output that is still to be said."""


@dataclass(frozen=True)
class Policy:
    """What happens where inputs disagree. Every default refuses; every other choice is listed in the ledger.

    Attributes:
        names: a tensor that one checkpoint lacks; `base`: it counts as equal to the base's there.
        vocabulary: matrices that differ in rows only; `base`: rows in common are combined, the base's other
            rows are kept and other inputs' further rows left out.
        integers: integer buffers whose bytes differ between checkpoints; `base`: the base's are copied.
        nonfinite: NaN or infinity in a result; `allow`: written and counted.
    """

    names: Literal["refuse", "base"] = "refuse"
    vocabulary: Literal["refuse", "base"] = "refuse"
    integers: Literal["refuse", "base"] = "refuse"
    nonfinite: Literal["refuse", "allow"] = "refuse"


@dataclass(frozen=True)
class Output:
    """Where a result goes and in what form.

    Attributes:
        path: a folder, or a single file where it ends in `.safetensors`; `UNNAMED` where nothing is said yet.
        dtype: of every float tensor; None keeps the base's, tensor by tensor (F32 for a vector).
        shard_bytes: no file holds more bytes of tensors, unless one tensor alone does.
        like: label of the checkpoint whose config, tokenizer and chat template are copied; empty: the base's.
        overwrite: whether an output of ours that stands there may be replaced.
        encoding: what a vector's matrices are stored in, in fewer bits; None stores every number.
        tokenizer: label of the checkpoint whose tokenizer and chat template are copied; empty: as in `like`.
        chat_template: a text, or `auto`, the one that most of the models have; empty: the tokenizer's.
        others: checkpoints that `like` and `tokenizer` may name although they are no part of the sum.
    """

    path: Path
    dtype: DType | None = None
    shard_bytes: int = SHARD_BYTES
    like: str = ""
    overwrite: bool = False
    encoding: Kind | None = None
    tokenizer: str = ""
    chat_template: str = ""
    others: tuple[Checkpoint, ...] = ()
