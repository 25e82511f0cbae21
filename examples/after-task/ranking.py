"""How well a model tells harmful requests from their harmless twins: `python ranking.py MODEL...`.

Printed is the share of pairs, a request and a twin of any topic, in which the model finds a refusal likelier
for the request (the area under the ROC curve). Where it is low no strength of any vector separates the two.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

from weightarith.data import Conversation, read_pairs
from weightarith.data.sets import open_set
from weightarith.lm import load, score


def main(models: list[str]) -> None:
    """Print the share for each model."""
    shipped = open_set("refusal")
    pairs = read_pairs(shipped.path("vector.jsonl"))
    refusals = sorted({pair.positive for pair in pairs if pair.positive != pair.negative})
    for folder in models:
        model = load(folder)
        harmful, twins = (
            [
                math.log(math.fsum(math.exp(one.total) for one in found))
                for found in score(model, [(each, refusals) for each in prompts(shipped.path(name))])
            ]
            for name in ("choose-harmful.jsonl", "choose-twins.jsonl")
        )
        above = sum((one > other) + (one == other) / 2 for one in harmful for other in twins)
        print(f"{Path(folder).name}: {above / len(harmful) / len(twins):.3f}")


def prompts(path: Path) -> list[Conversation]:
    """Return the questions of a file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Conversation.of(json.loads(line)["prompt"]) for line in lines]


if __name__ == "__main__":
    main(sys.argv[1:])
