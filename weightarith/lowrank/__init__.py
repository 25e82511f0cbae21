"""A vector written with fewer numbers: as factors in a vector file, or as an adapter, a folder or GGUF."""

from weightarith.lowrank.decompose import Decomposed, decompose
from weightarith.lowrank.goal import FORMATS, Goal, Job, prepare
from weightarith.lowrank.layout import Laid, lay_out, write
from weightarith.lowrank.record import ENOUGH, record
from weightarith.lowrank.scratch import Scratch
from weightarith.lowrank.written import export_adapter, save_compressed

__all__ = [
    "ENOUGH",
    "FORMATS",
    "Decomposed",
    "Goal",
    "Job",
    "Laid",
    "Scratch",
    "decompose",
    "export_adapter",
    "lay_out",
    "prepare",
    "record",
    "save_compressed",
    "write",
]
