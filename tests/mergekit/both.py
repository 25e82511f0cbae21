"""One document through both tools: mergekit's own `run_merge`, and our command line.

The models are the same files, and what is compared is what lies in the two output folders.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import yaml

from tests.cli.conftest import Run
from tests.reference import Raw, read, step

LARGEST_OFF = {"F64": 1e-12, "F32": 1e-6}
"""How far results may be apart, relative to the largest number of the tensor."""


SAID = (
    "architectures", "model_type", "num_hidden_layers", "vocab_size", "hidden_size", "tie_word_embeddings",
    "dtype",
)  # fmt: skip
"""What config.json must say alike."""


@dataclass(frozen=True)
class Both:
    """What the tools wrote, tensors by name and config.json, and the folder that holds both."""

    ours: Mapping[str, Raw]
    theirs: Mapping[str, Raw]
    our_config: Mapping[str, Any]
    their_config: Mapping[str, Any]
    folder: Path


def placed(document: str, models: Path) -> str:
    """Return a document with `$name` replaced by the path of the model of that name."""
    return Template(document).substitute({each.name: str(each) for each in models.iterdir()})


def both(document: str, models: Path, folder: Path, run: Run, **options: Any) -> Both:
    """Return what the tools make of a document, written to `folder`; `options` are mergekit's."""
    text = placed(document, models)
    theirs = by_mergekit(text, folder, **options)
    ours = by_us(text, folder, run)
    return Both(read(ours), read(theirs), config_of(ours), config_of(theirs), folder)


def by_mergekit(text: str, folder: Path, **options: Any) -> Path:
    """Return the folder that mergekit writes."""
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    out = folder / "theirs"
    plain: dict[str, Any] = {"copy_tokenizer": False, "quiet": True, "write_model_card": False}
    plain["lora_merge_cache"] = str(folder / "cache")
    run_merge(
        MergeConfiguration.model_validate(yaml.safe_load(text)), str(out), MergeOptions(**plain | options)
    )
    return out


def config_of(folder: Path) -> Mapping[str, Any]:
    """Return what the config.json of a folder says."""
    found: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return found


def by_us(text: str, folder: Path, run: Run) -> Path:
    """Return the folder that `weightarith merge` writes."""
    document, out = folder / "mergekit.yaml", folder / "ours"
    document.write_text(text, encoding="utf-8")
    ran = run("merge", document, "-o", out)
    assert ran.status == 0, ran.stderr
    return out


def assert_same_layout(found: Both) -> None:
    """Check names, shapes, dtypes, and what the config says of them."""
    assert {name: (raw.code, raw.shape) for name, raw in found.ours.items()} == {
        name: (raw.code, raw.shape) for name, raw in found.theirs.items()
    }
    for key in SAID:
        assert found.our_config.get(key) == found.their_config.get(key), key


def assert_near(found: Both, *, off: float | None = None, but: Callable[[str], bool] | None = None) -> None:
    """Check that all numbers are the same but for rounding; of 16 bits, the last of them may differ."""
    assert_same_layout(found)
    for name, ours in found.ours.items():
        if but is not None and but(name):
            continue
        theirs = found.theirs[name]
        largest = np.max(np.abs(theirs.values), initial=0)
        if off is None and ours.code in LARGEST_OFF:
            allowed = np.asarray(LARGEST_OFF[ours.code] * largest)
        else:
            allowed = step(np.maximum(np.abs(ours.values), np.abs(theirs.values)), ours.code)
            allowed = np.maximum(allowed, (off or 1e-6) * largest)
        assert np.all(np.abs(ours.values - theirs.values) <= allowed), name


def different(found: Both, off: float = 1e-6) -> set[str]:
    """Return the tensors that differ by more than rounding."""
    return {
        name
        for name, ours in found.ours.items()
        if not np.allclose(ours.values, found.theirs[name].values, rtol=0, atol=off, equal_nan=True)
    }
