"""What a training leaves, made of a Trainer's checkpoint: an adapter, a vector of biases, or a model.

Every file can be read by whoever may read the folder, and none names a path of the machine.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from weightarith.adapter.trained import PREFIX
from weightarith.algebra import Vector
from weightarith.engine.config import config_with_dtype
from weightarith.engine.sidecars import CONFIG, OF_MODEL, OF_TOKENIZER
from weightarith.train.settings import Kind
from weightarith.train.start import Start
from weightarith.train.vectors import write_vector

ADAPTER, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"
_BIAS = ".lora_B.bias"
_READABLE = 0o644


def name_of(stem: str, kind: Kind) -> str:
    """Return how what is trained is called on disk: a folder, or a file of biases."""
    return f"{stem}.safetensors" if kind == "bias" else stem


def write_result(
    kind: Kind, checkpoint: Path, target: Path, start: Start, training: Mapping[str, Any]
) -> None:
    """Write the weights of a checkpoint as what a kind of training leaves, to a place where nothing is.

    Raises:
        WeightArithError: the vector of biases could not be written.
    """
    if kind == "lora":
        adapter_folder(checkpoint, target, start)
    elif kind == "bias":
        _biases(checkpoint, target, start, training)
    else:
        _model_folder(checkpoint, target, start)


def adapter_folder(checkpoint: Path, target: Path, start: Start) -> None:
    """Write a PEFT adapter folder of the adapter in a checkpoint."""
    target.mkdir(parents=True)
    _copy(checkpoint / ADAPTER, target / ADAPTER)
    config: dict[str, Any] = json.loads((checkpoint / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    config |= {"base_model_name_or_path": start.name, "revision": start.revision, "inference_mode": True}
    # PEFT keeps names of modules in sets, which have no order of their own.
    plain = {key: sorted(value) if _is_names(value) else value for key, value in config.items()}
    text = json.dumps(plain, indent=2, sort_keys=True) + "\n"
    (target / ADAPTER_CONFIG).write_text(text, encoding="utf-8")


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _biases(checkpoint: Path, target: Path, start: Start, training: Mapping[str, Any]) -> None:
    """Write the trained biases as a vector: parameters, which the base may lack, by their names."""
    found = {
        name.removeprefix(PREFIX).removesuffix(_BIAS) + ".bias": tensor
        for name, tensor in load_file(checkpoint / ADAPTER).items()
        if name.endswith(_BIAS)
    }
    plain = checkpoint / "biases.safetensors"
    save_file(found, plain, {"weightarith.kind": "vector"})
    write_vector(Vector.open(plain, label="bias"), target, start=start, training=training)
    plain.unlink()


def _model_folder(checkpoint: Path, target: Path, start: Start) -> None:
    target.mkdir(parents=True)
    for path in sorted(checkpoint.glob("model*")):
        if path.name.endswith((".safetensors", ".safetensors.index.json")):
            _copy(path, target / path.name)
    for path in _beside(start.folder):
        content = path.read_bytes()
        (target / path.name).write_bytes(
            config_with_dtype(content, "float32") if path.name == CONFIG else content
        )


def _beside(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_file() and any(fnmatch(path.name, pattern) for pattern in (*OF_MODEL, *OF_TOKENIZER)):
            yield path


def _copy(path: Path, target: Path) -> None:
    """Copy a file; safetensors lets no one but its owner read what it writes."""
    shutil.copyfile(path, target)
    target.chmod(_READABLE)
