"""Activation vectors: what the residual stream holds on average where a behaviour is shown, less where not.

Layer 0 is the embedding and layer L what the L-th block puts out, blocks counted from 1: the index of
`hidden_states` in transformers, but for the last layer, which is taken here before the final norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from weightarith.data import Example
from weightarith.errors import InvalidFileError, RecipeError, quoted
from weightarith.lm import LanguageModel
from weightarith.lm.hidden import response_means
from weightarith.store.stage import check_target, write_small
from weightarith.tensorfile.dtypes import DTYPES
from weightarith.tensorfile.header import read_header
from weightarith.tensorfile.layout import lay_out
from weightarith.tensorfile.model import Stored
from weightarith.tensorfile.reader import read_bytes

FORMAT = "weightarith_activations"
TENSOR = "activations"


@dataclass(frozen=True, eq=False)
class ActivationVectors:
    """A direction in the residual stream at every layer.

    Attributes:
        layers: mean over positive answers minus mean over negative ones, (layers + 1, width), float32.
        positive: answers that show the behaviour.
        negative: answers that show its opposite.
        model: what the model was called.
    """

    layers: torch.Tensor
    positive: int
    negative: int
    model: str

    @property
    def count(self) -> int:
        """Decoder blocks of the model."""
        return len(self.layers) - 1

    @property
    def steps(self) -> torch.Tensor:
        """What each layer adds to the one before it, a^l − a^(l−1) for l = 1 …, (layers, width)."""
        return self.layers[1:] - self.layers[:-1]

    def save(self, path: Path, *, overwrite: bool = False) -> None:
        """Write a safetensors file; equal vectors give equal bytes.

        Raises:
            TargetError: the path exists, without `overwrite`, or must not be written.
            StorageError: the disk said no.
        """
        check_target(path, (), overwrite=overwrite)
        said = {
            FORMAT: "1", "positive": str(self.positive), "negative": str(self.negative), "model": self.model,
        }  # fmt: skip
        layout = lay_out({TENSOR: (DTYPES["F32"], tuple(self.layers.shape))}, said)
        made = path.with_name(f".{path.name}.partial")
        made.unlink(missing_ok=True)
        write_small(made, layout.header + self.layers.numpy().astype("<f4").tobytes())
        made.replace(path)

    @classmethod
    def open(cls, path: Path) -> ActivationVectors:
        """Return the vectors that `save` wrote.

        Raises:
            InvalidFileError: the file is not what `save` writes.
        """
        file = read_header(path)
        said, info = file.metadata, file.tensors.get(TENSOR)
        counts = [said.get(key, "") for key in ("positive", "negative")]
        if said.get(FORMAT) != "1" or info is None or len(file.tensors) != 1:
            raise InvalidFileError(f"{quoted(str(path))} holds no activation vectors")
        if info.dtype.code != "F32" or len(info.shape) != 2 or not all(map(str.isdecimal, counts)):
            raise InvalidFileError(f"{quoted(str(path))} holds no activation vectors of this version")
        values = torch.frombuffer(bytearray(read_bytes(Stored(file, info))), dtype=torch.float32)
        if not values.isfinite().all():
            raise InvalidFileError(f"{quoted(str(path))} holds NaN or infinity")
        return cls(values.reshape(info.shape), int(counts[0]), int(counts[1]), said.get("model", ""))


def train_activation(
    model: LanguageModel, positive: Sequence[Example], negative: Sequence[Example]
) -> ActivationVectors:
    """Return the difference of mean response-token activations.

    Each answer counts once: the mean over its tokens, its end mark left out, then the mean over answers.
    Persona vectors, arXiv 2507.21509 (`response_avg_diff`); the baseline of arXiv 2511.05408.

    Args:
        model: whose activations; the network must be unsteered.
        positive: conversations with answers that show the behaviour, one or more.
        negative: conversations with answers that show its opposite, one or more.

    Raises:
        RecipeError: a side is empty, or an answer.
        UnsupportedError: the network has no list of decoder blocks.
    """
    means = []
    for side, examples in (("positive", positive), ("negative", negative)):
        if not examples:
            raise RecipeError(f"there are no {side} answers to take activations from")
        if not all(example.answer.strip() for example in examples):
            raise RecipeError(f"a {side} answer is empty, and has no activations")
        each = response_means(model, examples)  # (examples, layers + 1, width)
        means.append(each.double().mean(dim=0))
    return ActivationVectors((means[0] - means[1]).float(), len(positive), len(negative), model.label)
