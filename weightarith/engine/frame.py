"""What a sum is laid over: the checkpoint it is measured from, the names of the result, each input aligned.

The order in which a sum is written plays no part here, so it cannot change a byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from weightarith.algebra import Checkpoint, Leaf, Sum, Vector
from weightarith.engine.align import Aligned, align_checkpoint, align_vector, named, names_of, piece_at
from weightarith.engine.settings import Policy
from weightarith.errors import IncompatibleError
from weightarith.names import layer_of
from weightarith.operators.anchor import Stacked, anchor_of
from weightarith.operators.made import Made
from weightarith.tensorfile.dtypes import DType
from weightarith.weighting import Weighting


@dataclass(frozen=True, eq=False)
class Frame:
    """The names of a result, and every input laid over them.

    Attributes:
        anchor: the checkpoint that changes are measured from; None where only vectors are combined.
        model: the checkpoint whose dtypes, config and tokenizer the result takes.
        names: the tensors of the result, sorted.
        depth: its layers.
        policy: what may happen where inputs disagree.
        aligned: inputs by key, bases of adapters among them.
        leaves: the inputs of the sum itself, under the names of the result.
    """

    anchor: Leaf | None
    model: Leaf | None
    names: tuple[str, ...]
    depth: int
    policy: Policy
    aligned: Mapping[str, Aligned]
    leaves: tuple[Leaf, ...]

    @property
    def own_names(self) -> bool:
        """Whether the names are those of files for other programs, and no base's."""
        return any(leaf.source.own_names for leaf in self.leaves)

    def shape(self, name: str) -> tuple[tuple[int, ...], str]:
        """Return the shape of the result at `name`, and the label of the input that sets it."""
        leaves = [self.anchor] if self.anchor is not None else self.leaves
        found = ((leaf, piece) for leaf in leaves if (piece := piece_at(leaf.source, name)) is not None)
        leaf, piece = next(found)
        return piece.shape, leaf.label

    def dtype(self, name: str) -> DType | None:
        """Return the dtype that the model stores `name` in, None where it has no arithmetic."""
        stored = self.model.source.tensors.get(name) if self.model is not None else None
        return stored.info.dtype if stored is not None and stored.info.dtype.arithmetic else None


def frame_of(total: Sum, policy: Policy) -> Frame:
    """Return the frame of a sum.

    Raises:
        DegreeError: the sum is neither a checkpoint nor a vector.
        IncompatibleError: the tensors of an input do not fit.
        RecipeError: a selection or a schedule touches nothing of what it weighs.
    """
    anchor = anchor_of(total)
    summed = {leaf.key for leaf in _framed(total)}
    origin = _origin(total, anchor)
    leaves = [named(leaf, origin) for leaf in _with_bases(_framed(total))]
    inputs = tuple(leaf for leaf in leaves if leaf.key in summed)
    _check_names(inputs)
    if anchor is not None:
        names = names_of(anchor.source)
    else:
        names = {name for leaf in inputs for name in names_of(leaf.source)}
    layers = [layer for name in names if (layer := layer_of(name)) is not None]
    _check_weightings(total)
    return Frame(
        anchor, _model(total, anchor), tuple(sorted(names)), max(layers, default=-1) + 1, policy,
        {leaf.key: _align(leaf, anchor, policy) for leaf in (*_skeletons(total), *leaves)}, inputs,
    )  # fmt: skip


def leaves_read(total: Sum) -> list[Leaf]:
    """Return every input of a sum once, by label, the bases that its adapters are measured from included."""
    return _with_bases(leaf for term in total.terms for leaf in term.leaf.leaves)


def _framed(total: Sum) -> Iterator[Leaf]:
    """Yield the inputs that have the names of the whole: those of the parts of a stack have other layers."""
    for atom in (term.leaf for term in total.terms):
        if isinstance(atom, Made):
            for operand in (*atom.operands, *atom.beside):
                yield from _framed(operand)
        elif not isinstance(atom, Stacked):
            yield from atom.leaves


def _skeletons(total: Sum) -> Iterator[Leaf]:
    """Yield what stands for each stack of a sum: it is laid over the names of the whole as a model is."""
    for atom in (term.leaf for term in total.terms):
        if isinstance(atom, Stacked):
            yield atom.skeleton
        elif isinstance(atom, Made):
            for operand in (*atom.operands, *atom.beside):
                yield from _skeletons(operand)


def _with_bases(inputs: Iterable[Leaf]) -> list[Leaf]:
    leaves = list(inputs)
    vectors = [leaf for leaf in leaves if isinstance(leaf, Vector)]
    bases = [leaf.base for leaf in vectors if leaf.base and (leaf.source.replaced or leaf.source.own_names)]
    unique = {leaf.key: leaf for leaf in (*bases, *leaves)}
    return sorted(unique.values(), key=lambda leaf: (leaf.label, leaf.key))


def _origin(total: Sum, anchor: Leaf | None) -> Leaf | None:
    """Return the checkpoint whose names count: the anchor, else one that cancels out of the sum."""
    models = [leaf for leaf in _framed(total) if isinstance(leaf, Checkpoint)]
    return anchor or min(models, key=lambda leaf: (leaf.label != "base", leaf.label, leaf.key), default=None)


def _check_names(inputs: Iterable[Leaf]) -> None:
    """Refuse names of a base beside names of other programs: which of them mean the same is not known."""
    sides: dict[bool, str] = {}
    for leaf in inputs:
        sides.setdefault(leaf.source.own_names, leaf.label)
    if len(sides) > 1:
        raise IncompatibleError(
            f"{sides[True]} names its tensors as other programs do, and {sides[False]} as its base does: "
            "which of them are the same is only known beside the base",
            hint=f"say the base of {sides[True]}: {{adapter: PATH, base: NAME}} in a recipe, base= in Python",
        )


def _model(total: Sum, anchor: Leaf | None) -> Leaf | None:
    """Return the checkpoint whose dtypes, config and tokenizer the result takes.

    It is the one called `base` even where it cancels out of the sum, as in `base + (ft - base)`, unless its
    tensors are other ones, so that its config would not fit; else the anchor.
    """
    for leaf in leaves_read(total):
        if anchor is not None and isinstance(leaf, Checkpoint) and leaf.label == "base":
            same = _shapes(leaf) == _shapes(anchor) and leaf.source.tied == anchor.source.tied
            return leaf if same else anchor
    return anchor


def _shapes(leaf: Leaf) -> dict[str, tuple[int, ...]]:
    return {name: stored.info.shape for name, stored in leaf.source.tensors.items()}


def _align(leaf: Leaf, anchor: Leaf | None, policy: Policy) -> Aligned:
    if anchor is None or leaf.key == anchor.key:
        return Aligned(leaf, {}, frozenset(), ())
    if isinstance(leaf, Checkpoint):
        return align_checkpoint(leaf, anchor, policy)
    return align_vector(leaf, anchor, policy)


def _check_weightings(total: Sum) -> None:
    """Refuse a weighting that touches nothing of what it weighs: it is most likely a slip of the pen."""
    weighed: dict[Weighting, set[str]] = {}
    _weigh(total, _origin(total, anchor_of(total)), weighed)
    for weighting, names in weighed.items():
        weighting.check(names)


def _weigh(total: Sum, origin: Leaf | None, weighed: dict[Weighting, set[str]]) -> None:
    for term in total.terms:
        leaves = (*_framed(Sum((term,))), *_skeletons(Sum((term,))))
        names = {name for leaf in leaves for name in names_of(named(leaf, origin).source)}
        for weighting in term.weightings:
            weighed.setdefault(weighting, set()).update(names)
        inner: tuple[Sum, ...] = term.leaf.parts if isinstance(term.leaf, Stacked) else ()
        if isinstance(term.leaf, Made):
            inner = (*term.leaf.operands, *term.leaf.beside)
            for weighting in term.leaf.weightings:
                weighed.setdefault(weighting, set()).update(names)
        for part in inner:
            own = _origin(part, anchor_of(part)) if isinstance(term.leaf, Stacked) else origin
            _weigh(part, own, weighed)
