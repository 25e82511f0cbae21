"""Random numbers by position: an element's depends on the seed, the vector, the tensor and its place alone.

So it depends on neither the order of the work, nor threads, blocks, shards or the device. The generator is
SplitMix64: a counter times an odd constant, mixed. Steele, Lea and Flood (2014), "Fast splittable
pseudorandom number generators", section 5, https://doi.org/10.1145/2660193.2660195

Numbers of 64 bits are worked on as signed integers, which every array library has; products wrap around.
"""

from __future__ import annotations

from array_api_compat import array_namespace, device

from weightarith.operators.field import Array

_GAMMA = 0x9E3779B97F4A7C15
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_LAST = 31
_DIGITS = 53  # bits of a float64's significand


def mixed_key(key: int, seed: int) -> int:
    """Return the key of a stream: that of a vector at a tensor, and the user's seed."""
    return _mix((key + _GAMMA * (seed + 1)) & (1 << 64) - 1)


def uniform(key: int, seed: int, start: int, like: Array) -> Array:
    """Return numbers drawn evenly from [0, 1), float64, for the elements `start …` of a tensor.

    Args:
        key: of the vector at the tensor, `field.keys[i]`.
        seed: the user's.
        start: number of the first element in the tensor.
        like: an array (elements,) that says how many, and on which device.
    """
    xp, where = array_namespace(like), device(like)
    state = xp.arange(start + 1, start + 1 + like.shape[0], dtype=xp.int64, device=where)
    state *= _signed(_GAMMA)
    state += _signed(mixed_key(key, seed))
    for shift, factor in _MIX:
        state ^= _shifted(state, shift)
        state *= _signed(factor)
    state ^= _shifted(state, _LAST)
    drawn = xp.astype(_shifted(state, 64 - _DIGITS), xp.float64)
    drawn *= 2.0**-_DIGITS
    return drawn


def _shifted(state: Array, bits: int) -> Array:
    """Return the state moved right, zeros coming in from the left."""
    moved = state >> bits
    moved &= (1 << (64 - bits)) - 1
    return moved


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _mix(state: int) -> int:
    for shift, factor in _MIX:
        state = ((state ^ state >> shift) * factor) & (1 << 64) - 1
    return state ^ state >> _LAST
