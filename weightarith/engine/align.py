"""Finding each tensor of a result in each input, and refusing what does not fit.

The one place that decides what a missing name, a tied head or another number of rows means. Nothing is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from weightarith.algebra import Leaf, Vector
from weightarith.engine.settings import Policy
from weightarith.errors import IncompatibleError, quoted, some
from weightarith.names import role_of
from weightarith.store import Encoded, Factored, Source, onto
from weightarith.tensorfile.model import Stored

EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight")
HEADS = ("lm_head.weight", "embed_out.weight")


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """What one input holds at one name: a tensor dense or encoded, factors, a fully trained replacement."""

    dense: Stored | None = None
    factored: Factored | None = None
    replaced: Stored | None = None
    encoded: Encoded | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the weight it is or moves."""
        shaped = self.factored or self.encoded
        if shaped is not None:
            return shaped.shape
        stored = self.dense or self.replaced
        return stored.info.shape if stored is not None else ()


def names_of(source: Source) -> set[str]:
    """Return every tensor name a source holds or moves."""
    return {*source.tensors, *source.factors, *source.replaced, *source.encoded}


def piece_at(source: Source, name: str) -> Piece | None:
    """Return what `source` holds at `name`, or None."""
    piece = Piece(
        source.tensors.get(name),
        source.factors.get(name),
        source.replaced.get(name),
        source.encoded.get(name),
    )
    return piece if piece.dense or piece.factored or piece.replaced or piece.encoded else None


def named(leaf: Leaf, origin: Leaf | None) -> Leaf:
    """Return an input under the names of a base, where those it came with are of other programs.

    The base is `origin`, else the one that the input itself is given; without either its names stay its own.

    Raises:
        IncompatibleError: the base has no tensor, or more than one, that a name can mean.
    """
    base = origin if origin is not None or not isinstance(leaf, Vector) else leaf.base
    if base is None or not leaf.source.own_names:
        return leaf
    return replace(leaf, source=onto(leaf.source, names_of(base.source), base.label))


def head_of(names: Iterable[str]) -> str | None:
    """Return the name of the output head among `names`, if it is stored."""
    return next((name for name in names if name.endswith(HEADS)), None)


def embedding_of(names: Iterable[str]) -> str | None:
    """Return the name of the token embedding among `names`, if it is stored."""
    return next((name for name in names if name.endswith(EMBEDDINGS)), None)


@dataclass(frozen=True, eq=False)
class Aligned:
    """One input laid over the names of a result: `aliases` say where a tied head is really stored."""

    leaf: Leaf
    aliases: Mapping[str, str]
    lacking: frozenset[str]  # names of the result it does not hold
    left_out: tuple[tuple[str, str], ...]  # (name, reason): what it holds and the result has no place for

    def at(self, name: str) -> Piece | None:
        """Return what the input holds at a name of the result."""
        return piece_at(self.leaf.source, self.aliases.get(name, name))


def align_checkpoint(leaf: Leaf, anchor: Leaf, policy: Policy) -> Aligned:
    """Return checkpoint `leaf` laid over the names of `anchor`.

    A head that one side does not store is taken from its embedding where its config says they are tied.

    Raises:
        IncompatibleError: names differ otherwise and `policy.names` refuses, or a head has no place.
    """
    wanted, held = names_of(anchor.source), names_of(leaf.source)
    aliases, left_out = {}, []
    missing, extra = wanted - held, held - wanted
    head, embedding = head_of(wanted), embedding_of(held)
    if head in missing and leaf.source.tied and embedding is not None and head is not None:
        aliases[head] = embedding
        missing.discard(head)
    _check_ties(leaf, anchor, head if head in held else None)
    own_head = head_of(extra)
    if own_head is not None and leaf.source.tied and anchor.source.tied:
        left_out.append((own_head, f"{leaf.label} stores a tied copy of its embedding"))
        extra.discard(own_head)
    if policy.names == "refuse" and (missing or extra):
        raise IncompatibleError(
            _difference(leaf.label, anchor.label, missing, extra),
            hint="if these tensors may stay as they are in the base: policy: {names: base}",
        )
    left_out += [(name, f"only {leaf.label} holds it (policy names: base)") for name in sorted(extra)]
    return Aligned(leaf, aliases, frozenset(missing), tuple(left_out))


def _check_ties(leaf: Leaf, anchor: Leaf, head: str | None) -> None:
    """Refuse a head of its own where the result's config will say that the head is the embedding."""
    if head is not None and anchor.source.tied and leaf.source.config is not None and not leaf.source.tied:
        raise IncompatibleError(
            f"{leaf.label} has a head of its own, {quoted(head)}, "
            f"and {anchor.label} ties its head to the embedding",
            hint=f"take {leaf.label} as the base: it is the one with room for both",
        )


def align_vector(leaf: Leaf, anchor: Leaf, policy: Policy) -> Aligned:
    """Return vector `leaf` laid over the names of `anchor`; it is zero wherever it holds nothing.

    Raises:
        IncompatibleError: it moves a tensor that `anchor` lacks, and `policy.names` refuses.
    """
    wanted, held = names_of(anchor.source), names_of(leaf.source)
    extra, aliases = held - wanted, {}
    head, embedding = head_of(wanted), embedding_of(held)
    if anchor.source.tied and head is not None and head not in held and embedding is not None:
        aliases[head] = embedding
    if extra and policy.names == "refuse":
        raise IncompatibleError(
            _foreign(leaf, anchor, extra, wanted), hint=_foreign_hint(anchor, extra, wanted)
        )
    left_out = [
        (name, f"{leaf.label} moves it and {anchor.label} lacks it (policy names: base)")
        for name in sorted(extra)
    ]
    return Aligned(leaf, aliases, frozenset(wanted - held - aliases.keys()), tuple(left_out))


def check_shape(
    name: str,
    piece: Piece,
    leaf: Leaf,
    expected: tuple[int, ...],
    owner: str,
    policy: Policy,
    *,
    whole: bool = False,
) -> None:
    """Refuse a piece whose shape differs, unless only rows of a vocabulary do and the policy says so.

    What is wanted `whole`, as operators and stacks want their models, is never cut or filled up.

    Raises:
        IncompatibleError: names the tensor, both shapes and both inputs.
    """
    if piece.shape == expected:
        return
    same_columns = len(piece.shape) == len(expected) > 0 and piece.shape[1:] == expected[1:]
    rows_only = same_columns and role_of(name) in ("embed", "head")
    if rows_only and policy.vocabulary == "base" and piece.factored is None and not whole:
        return
    raise IncompatibleError(
        f"tensor {quoted(name)}: expected shape {list(expected)} as in {owner}, "
        f"found {list(piece.shape)} in {leaf.label}",
        hint=_shape_hint(rows_only=rows_only, factored=piece.factored is not None, whole=whole),
    )


def _shape_hint(*, rows_only: bool, factored: bool, whole: bool) -> str:
    if not rows_only:
        return "these are different architectures, or one is transposed"
    if whole:
        return "the vocabularies differ, and operators and stacks take models of one vocabulary only"
    if factored:
        return "the vocabularies differ, and a low-rank change of one cannot be cut to the other"
    return "the vocabularies differ; to combine the rows in common: policy: {vocabulary: base}"


def _difference(label: str, anchor: str, missing: set[str], extra: set[str]) -> str:
    parts = []
    if missing:
        parts.append(f"{label} lacks {len(missing)} tensors that {anchor} holds: {some(sorted(missing))}")
    if extra:
        parts.append(f"{label} holds {len(extra)} tensors that {anchor} lacks: {some(sorted(extra))}")
    return "; ".join(parts)


def _foreign(leaf: Leaf, anchor: Leaf, extra: set[str], wanted: set[str]) -> str:
    shown = some(sorted(extra))
    near = get_close_matches(min(extra), wanted, n=1)
    nearest = f" (nearest name there: {quoted(near[0])})" if near else ""
    return f"{leaf.label} moves {len(extra)} tensors that {anchor.label} lacks: {shown}{nearest}"


def _foreign_hint(anchor: Leaf, extra: set[str], wanted: set[str]) -> str:
    if head_of(extra) and anchor.source.tied and head_of(wanted) is None:
        return f"{anchor.label} ties its head to the embedding and stores no head to move"
    return "was it made from another base? to leave these out: policy: {names: base}"
