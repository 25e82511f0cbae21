"""What a card states: all of it read off receipts, headers and the Hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from weightarith.card.licence import Decision
from weightarith.card.parent import Parent
from weightarith.card.terms import Term, terms

Kind = Literal["vector", "adapter", "checkpoint", "recipe"]


@dataclass(frozen=True)
class Measured:
    """A table of what was measured, with words above and below it.

    Attributes:
        title: above it.
        head: of each column.
        rows: cells, Markdown already.
        notes: sentences below it.
        names: columns of words, before those of numbers.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    names: int = 1


@dataclass(frozen=True)
class Facts:
    """Everything that a card is rendered from.

    Attributes:
        repo: `org/name`.
        kind: what is published.
        receipt: the published one, which holds no path.
        parents: base first.
        decision: the licence.
        base: how commands name the model it belongs to; empty where nothing says.
        names: by label of an input what else it is called.
        config: config.json, or adapter_config.json.
        header: the metadata of a vector's file, without their prefix.
        training: what is known of a training: kind, data, rank, rate, step.
        loaders: programs that load an adapter as it is meant.
        measured: tables of results.
        pictures: names of files with pictures of them.
        files: names of the files of weights.
        notes: sentences on what the repository does not hold.
        given: the summands of a sum that is not flattened, as a recipe writes it.
    """

    repo: str
    kind: Kind
    receipt: Mapping[str, Any]
    parents: tuple[Parent, ...]
    decision: Decision
    base: str = ""
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    header: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    loaders: tuple[str, ...] = ()
    measured: tuple[Measured, ...] = ()
    pictures: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    given: tuple[Term, ...] = ()

    @property
    def terms(self) -> list[Term]:
        """The summands."""
        return list(self.given) or terms(self.expression)

    @property
    def expression(self) -> str:
        """The sum that was computed; empty for what training made and for a recipe."""
        return str(self.receipt.get("expression") or self.header.get("expression") or "")

    @property
    def is_gguf(self) -> bool:
        """Whether it is an adapter for llama.cpp."""
        return self.kind == "adapter" and self.receipt.get("format") == "gguf"

    @property
    def is_causal(self) -> bool:
        """Whether it is a model that writes text."""
        named = self.config.get("architectures")
        first = named[0] if isinstance(named, list) and named else ""
        return str(first).endswith(("ForCausalLM", "LMHeadModel"))
