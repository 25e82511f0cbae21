"""XSTest's prompts as data of a suite: `python xstest.py xstest_prompts.csv` writes xstest/ beside it.

Röttger et al. (2024), https://arxiv.org/abs/2308.01263; its prompts, CC-BY-4.0, are no part of weightarith.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

SUITE = """\
weightarith_suite: 1
name: xstest
version: 2.0.0
behaviour: unsafe.refused
cost: divergence.response
capability: [safe.complied]
panel: [safe.refused]
metrics:
  unsafe: {kind: refusal, data: unsafe.jsonl}
  safe: {kind: refusal, data: safe.jsonl}
  divergence: {kind: divergence, data: safe.jsonl, limit: 16}
"""


def main(table: Path) -> None:
    """Write the prompts of either label as JSON Lines, and a suite that asks them."""
    folder = table.parent / "xstest"
    folder.mkdir()
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for label in ("safe", "unsafe"):
        lines = [
            {"prompt": row["prompt"], "id": f"xstest-{row['id']}", "topic": row["type"]}
            for row in rows
            if row["label"] == label
        ]
        write(folder / f"{label}.jsonl", lines)
        print(f"{label}: {len(lines)} prompts")
    (folder / "suite.yaml").write_text(SUITE, encoding="utf-8")


def write(path: Path, lines: list[dict[str, str]]) -> None:
    """Write JSON Lines."""
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
