"""Changes of a model written for other programs: adapter folders and GGUF files. The arrays come ready."""

from weightarith.export.factors import Pair, balanced, padded, side_by_side
from weightarith.export.folder import fill_adapter, write_adapter
from weightarith.export.gguf import plan_gguf, write_gguf

__all__ = [
    "Pair",
    "balanced",
    "fill_adapter",
    "padded",
    "plan_gguf",
    "side_by_side",
    "write_adapter",
    "write_gguf",
]
