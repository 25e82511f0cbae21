"""LoRA in PEFT folders and in single files, read as displacements; what is not understood is refused."""

from weightarith.adapter.mapping import map_names
from weightarith.adapter.read import ADAPTER_WEIGHTS, AdapterContents, read_adapter
from weightarith.adapter.single import SingleFile, read_single_file
from weightarith.adapter.spelling import component_of, is_adapter

__all__ = [
    "ADAPTER_WEIGHTS",
    "AdapterContents",
    "SingleFile",
    "component_of",
    "is_adapter",
    "map_names",
    "read_adapter",
    "read_single_file",
]
