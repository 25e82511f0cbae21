"""Recipes as text for tests, and one made of an expression on the tiny models."""

from __future__ import annotations

from pathlib import Path

from weightarith.recipe import Recipe, parse_recipe

FLAGSHIP = """\
weightarith: 1
inputs:
  base: ./base
  task_ft: {model: ./finetuned, minus: base}             # the task vector of a fine-tune
  refusal+: ./positive                          # checkpoint or adapter folder
  refusal-: ./negative
expression: base + task_ft + 1.5·(refusal+ − refusal−)
output: {path: steered/, dtype: base, shard_size: 5GB}
"""
HEAD = "weightarith: 1\ninputs: {base: ./base, v: ./positive}\nexpression: base + v\n"


def recipe(expression: str, more: str = "", *, inputs: str = "", folder: Path, **params: str) -> Recipe:
    text = f"weightarith: 1\ninputs:\n  base: ./base\n  ft: ./finetuned\n  v: ./positive\n{inputs}"
    return parse_recipe(f"{text}expression: {expression}\n{more}", folder=folder, params=params)
