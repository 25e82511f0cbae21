"""PEFT LoRA folders, read as the displacements they stand for; what is not understood is refused by name."""

from weightarith.adapter.read import AdapterContents, read_adapter

__all__ = ["AdapterContents", "read_adapter"]
