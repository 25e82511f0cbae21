"""A vector file that says how it was trained, written by the engine like any other sum."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weightarith.algebra import Linear, collect
from weightarith.engine.build import build_plan
from weightarith.engine.settings import Output
from weightarith.provenance import space_of, vector_metadata
from weightarith.receipt import Asked, to_bytes
from weightarith.saving import carry_out
from weightarith.store.stage import receipt_path
from weightarith.train.start import Start

TRAINING = "weightarith.training"
"""The key of a vector's metadata that says, in JSON, how it was trained."""


def write_vector(total: Linear, path: Path, *, start: Start, training: Mapping[str, Any]) -> None:
    """Write a vector, which says what it was measured from and how it was trained, and its receipt.

    Inputs are called in the receipt by their labels: where they lie while a run is under way is no matter.

    Raises:
        WeightArithError: nothing is left behind.
    """
    whole = collect(total.terms)
    base = start.to_json() | {"space": space_of(start.checkpoint.source)}
    metadata = {
        "format": "pt",
        **vector_metadata(whole, None),
        "weightarith.base": json.dumps(base, sort_keys=True),
        TRAINING: json.dumps(training, sort_keys=True),
    }
    receipt = carry_out(build_plan(whole, Output(path), metadata=metadata), asked=Asked())
    for given in receipt["inputs"]:
        given["path"] = given["label"]
    receipt_path(path).write_bytes(to_bytes(receipt))
