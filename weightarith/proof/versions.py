"""What of the tool is another one than when an output was made."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from weightarith.provenance import NUMERICS
from weightarith.receipt import CHECKSUM, Receipt


def other_versions(receipt: Receipt) -> list[str]:
    """Return what differs between the tool that wrote a receipt and this one: its version, its numerics."""
    told: Any = receipt.get("numerics")
    before = {"weightarith": receipt.get("weightarith"), **(told if isinstance(told, dict) else {})}
    now = {"weightarith": version("weightarith"), **NUMERICS, "checksum": CHECKSUM}
    others = {what: old for what, old in before.items() if old != now.get(what)}
    return [f"{what}: {old} then, {now.get(what)} now" for what, old in others.items()]
