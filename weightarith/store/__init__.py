"""Where tensors come from: checkpoint folders, vector files and adapters, opened by their headers."""

from weightarith.store.afar import open_afar, open_streamed
from weightarith.store.naming import components, onto, part
from weightarith.store.open import open_source
from weightarith.store.source import Kind, Source
from weightarith.store.stack import ABOVE, depth_of, stack, take
from weightarith.store.stack_config import fitted, layers_in, uncertain
from weightarith.tensorfile.encoded import Encoded
from weightarith.tensorfile.factored import Factored, Matrix

__all__ = [
    "ABOVE", "Encoded", "Factored", "Kind", "Matrix", "Source", "components", "depth_of", "fitted",
    "layers_in", "onto", "open_afar", "open_source", "open_streamed", "part", "stack", "take", "uncertain",
]  # fmt: skip
