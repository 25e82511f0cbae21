"""Lines that begin with a slash: what they may say, and what they do.

A command without its value shows what is set. A question that begins with a slash is written with two.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from weightarith.algebra import Vector
from weightarith.conversing.manner import LONGEST, SEEDS, check
from weightarith.conversing.talk import SIDES, Exchange, Talk
from weightarith.errors import RecipeError, StorageError, TargetError, quoted

Opener = Callable[[str], Vector]
"""Opens the vector that a text names."""

OFF = "off"
FORMS = {
    "strength": ("K", "multiply the vector by K; below 0 suppresses, 0 is the base"),
    "vector": ("FILE", "steer by another vector"),
    "system": ("TEXT", f"put a system prompt before both conversations; {OFF} takes it away"),
    "same": ("", "both go on from the base's answers, or each from its own again"),
    "sample": ("T", "draw tokens at temperature T; 0 takes the likeliest"),
    "seed": ("N", "of what is drawn"),
    "limit": ("N", "tokens of an answer, at most"),
    "kl": ("", "how far the steered model is from the base at the base's last answer"),
    "save": ("FILE", "write the conversation as JSON Lines"),
    "reset": ("", "forget the conversation"),
    "help": ("", "this list"),
    "quit": ("", "leave, as Ctrl+D does; Ctrl+C ends an answer"),
}


@dataclass(frozen=True)
class Order:
    """A command and its value, "" where it has none."""

    name: str
    value: str


def order_in(line: str) -> Order | str:
    """Return the command in a line, or the question that it is.

    Raises:
        RecipeError: there is no such command; the message names the nearest.
    """
    if not line.startswith("/"):
        return line
    if line.startswith("//"):
        return line[1:]
    name, _, value = line[1:].strip().partition(" ")
    if name not in FORMS:
        near = get_close_matches(name, FORMS, 1)
        known = ", ".join(f"/{known}" for known in FORMS)
        raise RecipeError(
            f"no command {quoted('/' + name)}, expected {known}",
            hint=f"did you mean /{near[0]}?" if near else "a question that begins with / is written with //",
        )
    return Order(name, value.strip())


def obey(talk: Talk, order: Order, open_vector: Opener) -> str:
    """Carry out a command other than /quit, and return what to tell the user.

    Raises:
        WeightArithError: the value means nothing, or a file cannot be read or written; nothing is changed.
    """
    if order.value and not FORMS[order.name][0]:
        raise RecipeError(f"/{order.name} takes no value, found {quoted(order.value)}")
    return _ACTS[order.name](talk, order.value, open_vector)


def _strength(talk: Talk, value: str, _open: Opener) -> str:
    if value:
        talk.manner = replace(talk.manner, strength=_number(value, "/strength 1.5"))
    return f"strength {talk.manner.strength:g}"


def _vector(talk: Talk, value: str, open_vector: Opener) -> str:
    if value:
        talk.steer_by(open_vector(value))
    return f"vector {talk.vector.label}" if talk.vector is not None else "no vector"


def _system(talk: Talk, value: str, _open: Opener) -> str:
    if value:
        talk.manner = replace(talk.manner, system=None if value == OFF else value)
    system = talk.manner.system
    return "no system prompt of ours" if system is None else f"system prompt: {system}"


def _same(talk: Talk, _value: str, _open: Opener) -> str:
    talk.manner = replace(talk.manner, shared=not talk.manner.shared)
    return "both go on from the base's answers" if talk.manner.shared else "each goes on from its own answers"


def _sample(talk: Talk, value: str, _open: Opener) -> str:
    if value:
        talk.manner = check(replace(talk.manner, temperature=_number(value, "/sample 0.7")))
    drawn = talk.manner.temperature
    return f"temperature {drawn:g}, seed {talk.manner.seed}" if drawn else "greedy: the likeliest token"


def _seed(talk: Talk, value: str, _open: Opener) -> str:
    if value:
        talk.manner = replace(talk.manner, seed=_whole(value, 0, SEEDS - 1, "/seed 1"))
    return f"seed {talk.manner.seed}" + (
        "" if talk.manner.temperature else ", which nothing is drawn from yet"
    )


def _limit(talk: Talk, value: str, _open: Opener) -> str:
    if value:
        talk.manner = replace(talk.manner, limit=_whole(value, 1, LONGEST, "/limit 200"))
    return f"at most {talk.manner.limit} tokens"


def _kl(talk: Talk, _value: str, _open: Opener) -> str:
    nats, tokens = talk.divergence()
    return (
        f"KL(base ‖ steered) {nats:.4g} nats a token over the {tokens} of the base's last answer, "
        f"at strength {talk.manner.strength:g}"
    )


def _save(talk: Talk, value: str, _open: Opener) -> str:
    if not value:
        raise RecipeError("/save needs a file to write", hint="/save conversation.jsonl")
    path = Path(value).expanduser()
    lines = "".join(as_line(one) + "\n" for one in talk.exchanges)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(lines)
    except FileExistsError:
        raise TargetError(f"{quoted(value)} exists", hint="give another name") from None
    except OSError as error:
        raise StorageError(f"cannot write {quoted(value)}: {error.strerror}") from None
    return f"{value}: {len(talk.exchanges)} question{'s' * (len(talk.exchanges) != 1)} with both answers"


def _reset(talk: Talk, _value: str, _open: Opener) -> str:
    talk.reset()
    return "begun anew"


def _help(_talk: Talk, _value: str, _open: Opener) -> str:
    forms = {name: f"/{name} {value}".rstrip() for name, (value, _) in FORMS.items()}
    width = max(map(len, forms.values()))
    return "\n".join(f"{form:<{width}}  {FORMS[name][1]}" for name, form in forms.items())


_ACTS: dict[str, Callable[[Talk, str, Opener], str]] = {
    "strength": _strength, "vector": _vector, "system": _system, "same": _same, "sample": _sample,
    "seed": _seed, "limit": _limit, "kl": _kl, "save": _save, "reset": _reset, "help": _help,
}  # fmt: skip


def as_line(one: Exchange) -> str:
    """Return an exchange as a line of JSON."""
    manner = one.manner
    found: dict[str, Any] = {
        "prompt": one.prompt,
        **{side: one.said(side).text for side in SIDES},
        "ends": {side: one.said(side).end for side in SIDES},
        "tokens": {side: one.said(side).tokens for side in SIDES},
        "vector": one.vector,
        "strength": manner.strength,
        "system": manner.system,
        "temperature": manner.temperature,
        "seed": manner.seed,
        "limit": manner.limit,
        "same": manner.shared,
    }
    return json.dumps(found, ensure_ascii=True)


def _number(value: str, like: str) -> float:
    try:
        number = float(value.replace("−", "-"))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RecipeError(f"{quoted(value)} is no number", hint=like)
    return number


def _whole(value: str, least: int, most: int, like: str) -> int:
    if not value.isascii() or not value.isdigit() or not least <= int(value[:20]) <= most:
        raise RecipeError(f"{quoted(value)} is no whole number from {least} to {most}", hint=like)
    return int(value)
