"""The conversation itself: what was asked, what each side said, and the model between them.

One network serves both sides: before a side takes a step the strength is set, to 0 for the base.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import product
from types import TracebackType
from typing import Literal, get_args

from weightarith.algebra import Vector
from weightarith.conversing.manner import SEEDS, Manner
from weightarith.data import Conversation, Turn
from weightarith.errors import RecipeError
from weightarith.lm import LanguageModel
from weightarith.lm.score import look_at_answers
from weightarith.lm.stream import Heard, stream
from weightarith.steer.live import Steering, steered

DENSE, DENSE_TURN = 1 << 20, 16
"""Elements of a dense vector from which on a change of strength costs, and tokens of a turn then."""

Side = Literal["base", "steered"]
SIDES: tuple[Side, ...] = get_args(Side)


@dataclass(frozen=True)
class Said:
    """An answer, or what there is of it so far."""

    text: str = ""
    tokens: int = 0
    end: Literal["", "ended", "limit", "stopped"] = ""  # "" while it goes on


@dataclass(frozen=True)
class Exchange:
    """A question, both answers, and how they were asked for."""

    prompt: str
    base: Said
    steered: Said
    manner: Manner
    vector: str  # its label, "" where there is none

    def said(self, side: Side) -> Said:
        """Return the answer of one side."""
        return self.base if side == "base" else self.steered


class Talk:
    """A conversation that goes on; a context, which leaves the network as it was.

    Attributes:
        model: who talks.
        manner: how it is asked next.
        exchanges: what was said since the last reset.
    """

    def __init__(self, model: LanguageModel, manner: Manner) -> None:
        self.model, self.manner = model, manner
        self.exchanges: tuple[Exchange, ...] = ()
        self.vector: Vector | None = None
        self._dial: Steering | None = None
        self._held = ExitStack()
        self._turn = 1

    def __enter__(self) -> Talk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def steer_by(self, vector: Vector) -> None:
        """Steer by another vector from now on.

        Raises:
            WeightArithError: it does not fit the model; the one before stays.
        """
        with ExitStack() as held:
            self._dial = held.enter_context(
                steered(self.model, vector, 0.0)
            )  # beside the one before, at 0 too
            self._held.close()
            self._held = held.pop_all()
        self.vector = vector
        dense = (*vector.source.tensors.values(), *vector.source.replaced.values())
        self._turn = DENSE_TURN if sum(one.info.count for one in dense) > DENSE else 1

    def reset(self) -> None:
        """Forget what was said."""
        self.exchanges = ()

    def conversation(self, side: Side, prompt: str) -> Conversation:
        """Return what a side has behind it, and the question that comes next."""
        return self._told("base" if self.manner.shared else side, self.exchanges, prompt)

    def ask(
        self, prompt: str, *, together: bool = True, stop: Callable[[], bool] = lambda: False
    ) -> Iterator[tuple[Side, Said]]:
        """Yield what each side has said so far, after each of its tokens; the last of each has an `end`.

        Args:
            prompt: the question.
            together: whether the sides take turns after every token; else the base ends before the other
                begins.
            stop: asked before every token; where it says so both answers end there.

        Raises:
            IncompatibleError: the conversation is longer than the model takes.
        """
        manner = self.manner
        drawn = (manner.seed + len(self.exchanges)) % SEEDS
        heard = {side: self._stream(side, prompt, drawn) for side in SIDES}
        said = {side: Said() for side in SIDES}
        with self._at_rest_after():
            for group in [SIDES] if together else [(side,) for side in SIDES]:
                while going := [side for side in group if not said[side].end]:
                    for side, _ in product(going, range(self._turn)):
                        if not said[side].end:
                            said[side] = self._next(side, heard[side], said[side], stop)
                            yield side, said[side]
        if any(one.text or one.end != "stopped" for one in said.values()):  # else nothing came of it
            label = "" if self.vector is None else self.vector.label
            self.exchanges += (Exchange(prompt, said["base"], said["steered"], manner, label),)

    def divergence(self) -> tuple[float, int]:
        """Return KL(base ‖ steered) in nats a token over the last answer of the base, and its tokens.

        Both are given the base's conversation and its answer, the end mark included, at the strength set now.

        Raises:
            RecipeError: nothing was said yet.
        """
        if not self.exchanges or not self.exchanges[-1].base.text:
            raise RecipeError("the base has said nothing yet", hint="ask something first")
        *before, last = self.exchanges
        asked = [(self._told("base", before, last.prompt), [last.base.text])]
        logs = {}
        with self._at_rest_after():
            for side in SIDES:
                self._set(side)
                [[logs[side]]] = look_at_answers(
                    self.model, asked, lambda logits, _tokens: logits.double().log_softmax(dim=-1)
                )  # each (tokens, vocabulary)
        base, steered = logs["base"], logs["steered"]
        # What the base rules out counts 0, even as 0·(−∞ + ∞); NaN of a model that has come apart stays NaN.
        each = (base.exp() * (base - steered).masked_fill(base.isneginf(), 0.0)).sum(dim=-1)
        return max(float(each.mean()), 0.0), len(each)

    def _told(self, heard: Side, exchanges: Sequence[Exchange], prompt: str) -> Conversation:
        turns = [] if self.manner.system is None else [Turn("system", self.manner.system)]
        for one in exchanges:
            turns += [Turn("user", one.prompt), Turn("assistant", one.said(heard).text)]
        return Conversation((*turns, Turn("user", prompt)))

    def _stream(self, side: Side, prompt: str, seed: int) -> Iterator[Heard]:
        told = self.conversation(side, prompt)
        return stream(
            self.model, told, limit=self.manner.limit, temperature=self.manner.temperature, seed=seed
        )

    def _next(self, side: Side, heard: Iterator[Heard], before: Said, stop: Callable[[], bool]) -> Said:
        if stop():
            return replace(before, end="stopped")
        self._set(side)
        now = next(heard)
        at_limit = now.tokens == self.manner.limit
        return Said(now.text, now.tokens, "ended" if now.ended else "limit" if at_limit else "")

    @contextmanager
    def _at_rest_after(self) -> Iterator[None]:
        """Leave the network as the base's."""
        try:
            yield
        finally:
            self._set("base")

    def _set(self, side: Side) -> None:
        """Make the network the one of a side, from its next step on."""
        strength = self.manner.strength if side == "steered" else 0.0
        if self._dial is not None and self._dial.strength != strength:
            self._dial.strength = strength
