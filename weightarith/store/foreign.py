"""Weights in layouts that are recognised and not read: pickles, GGUF, and other frameworks' files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from weightarith.errors import UnsupportedError
from weightarith.store.gguf import refuse_gguf
from weightarith.tensorfile.sniff import shown

_CONVERT = "load it once with transformers, in an isolated place, and save_pretrained() it as safetensors"
_PICKLE = ("a pickle, which can run code when it is read", _CONVERT)
_OTHER = ("of another framework", _CONVERT)
_ENDINGS = {
    ".bin": _PICKLE,
    ".bin.index.json": _PICKLE,
    ".pt": _PICKLE,
    ".pth": _PICKLE,
    ".ckpt": _PICKLE,
    ".pkl": _PICKLE,
    ".gguf": ("GGUF, whose weights are mostly quantised", "use the safetensors model it was converted from"),
    ".h5": _OTHER,
    ".msgpack": _OTHER,
    ".onnx": _OTHER,
    ".npz": _OTHER,
}
# Beside weights a trainer leaves these; they hold no weights and so explain nothing.
_BYSTANDERS = (
    "training_args.bin",
    "optimizer.pt",
    "scheduler.pt",
    "scaler.pt",
    "optimizer.bin",
    "scheduler.bin",
)


def refuse_foreign(folder: Path, names: Iterable[str]) -> None:
    """Raise UnsupportedError if one of the file `names` holds weights in a layout that is not read here."""
    for name in sorted(set(names) - set(_BYSTANDERS)):
        if name.startswith("consolidated") and name.endswith(".safetensors"):
            raise UnsupportedError(
                f"{shown(folder / name)} has Mistral's own tensor names, expected those of transformers",
                hint="use the files model*.safetensors of the same repository",
            )
        ending = next((e for e in _ENDINGS if name.endswith(e) and not name.startswith("rng_state")), None)
        if ending is not None:
            refuse_gguf(folder / name)
            what, remedy = _ENDINGS[ending]
            raise UnsupportedError(f"{shown(folder / name)} is {what}, expected safetensors", hint=remedy)
