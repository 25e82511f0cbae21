"""Where tensors come from: checkpoint folders, vector files and adapter folders, opened by their headers."""

from weightarith.store.open import open_source
from weightarith.store.source import Kind, Source
from weightarith.tensorfile.factored import Factored, Matrix

__all__ = ["Factored", "Kind", "Matrix", "Source", "open_source"]
