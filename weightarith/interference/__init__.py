"""Several vectors applied together: what their geometry foretells, and what is measured."""

from weightarith.interference.additivity import additivity, felt_cosine
from weightarith.interference.combinations import WAYS, Combination, Part, combinations, part, ways_named
from weightarith.interference.folder import check_out, read_interference
from weightarith.interference.foretold import foretold
from weightarith.interference.measuring import Settings, interference
from weightarith.interference.pictures import pictures
from weightarith.interference.tables import as_lines

__all__ = [
    "WAYS",
    "Combination",
    "Part",
    "Settings",
    "additivity",
    "as_lines",
    "check_out",
    "combinations",
    "felt_cosine",
    "foretold",
    "interference",
    "part",
    "pictures",
    "read_interference",
    "ways_named",
]
