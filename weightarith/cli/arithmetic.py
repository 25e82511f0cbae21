"""diff, scale, add, apply: sums of one line."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import click

from weightarith.cli.options import Coefficient, WithNegativeNumbers, Writing, streaming, writing

if TYPE_CHECKING:
    from weightarith.algebra import Sum


@click.command()
@click.argument("a")
@click.argument("b")
@streaming
@writing()
def diff(a: str, b: str, stream: bool, writing: Writing) -> None:
    """Write the vector A − B: adding it to B gives A.

    A task vector is fine-tune − base, a steering vector positive − negative. A and B are two models, or each
    of them is a vector or an adapter; the difference of two adapters stays factored.
    """
    from weightarith.cli.opening import expect_one_kind, labels_for, opened
    from weightarith.cli.talk import write
    from weightarith.cli.terminal import warn
    from weightarith.provenance import reversed_sign

    first, second = labels_for([a, b])
    left, right = opened(a, first, stream=stream), opened(b, second, stream=stream)
    expect_one_kind(left, right)
    warn(reversed_sign(left.source, right.source))
    write(left - right, writing, meaning=f"v = {first} − {second}: adding v to {second} gives {first}")


@click.command(cls=WithNegativeNumbers)
@click.argument("vector")
@click.argument("factor", metavar="K", type=Coefficient())
@streaming
@writing()
def scale(vector: str, factor: Fraction, stream: bool, writing: Writing) -> None:
    """Write the vector K·VECTOR.

    VECTOR is a vector file or folder, or an adapter folder. K is an exact decimal or fraction, negative ones
    included: 1.5, -0.5, 1/3.
    """
    from weightarith.cli.opening import labels_for, opened_vector
    from weightarith.cli.talk import write

    (label,) = labels_for([vector])
    write(factor * opened_vector(vector, label, stream=stream), writing)


@click.command()
@click.argument("vectors", metavar="VECTOR VECTOR...", nargs=-1, required=True)
@streaming
@writing()
def add(vectors: tuple[str, ...], stream: bool, writing: Writing) -> None:
    """Write the sum of two or more vectors.

    Each VECTOR is a vector file or folder, or an adapter folder.
    """
    from weightarith.algebra import collect
    from weightarith.cli.opening import labels_for, opened_vector
    from weightarith.cli.talk import write

    if len(vectors) < 2:
        raise click.UsageError("add takes two or more vectors")
    labels = labels_for(list(vectors))
    leaves = [opened_vector(text, label, stream=stream) for text, label in zip(vectors, labels, strict=True)]
    write(collect(term for leaf in leaves for term in leaf.terms), writing)


@click.command()
@click.argument("base")
@click.argument("vector")
@click.option(
    "--strength", type=Coefficient(), default="1", show_default=True, metavar="K",
    help="What the vector is multiplied by: an exact decimal or fraction, negative ones included.",
)  # fmt: skip
@streaming
@writing(encoding=False)
def apply(base: str, vector: str, strength: Fraction, stream: bool, writing: Writing) -> None:
    """Write the model BASE + K·VECTOR.

    It has the config and the tokenizer of BASE. VECTOR is a vector file or folder, or an adapter folder
    trained on BASE.
    """
    from weightarith.cli.opening import labels_for, opened_model, opened_vector
    from weightarith.cli.talk import write
    from weightarith.cli.terminal import warn
    from weightarith.provenance import foreign_base

    first, second = labels_for([base, vector])
    model = opened_model(base, first, stream=stream)
    change = opened_vector(vector, second, base=model, stream=stream)
    warn(foreign_base(change.source, model.source))
    total: Sum = model + strength * change
    write(total, writing)
