"""Locks: every input of a recipe pinned to the bytes it had, and inputs held against them."""

from weightarith.lock.document import Lock, Pin, Pinned, read_lock, to_bytes, write_lock
from weightarith.lock.drift import Held, bytes_held, drift_between, held
from weightarith.lock.make import bytes_to_hash, lock_of, lock_path
from weightarith.lock.recipes import load_locked, lock_recipe

__all__ = [
    "Held",
    "Lock",
    "Pin",
    "Pinned",
    "bytes_held",
    "bytes_to_hash",
    "drift_between",
    "held",
    "load_locked",
    "lock_of",
    "lock_path",
    "lock_recipe",
    "read_lock",
    "to_bytes",
    "write_lock",
]
