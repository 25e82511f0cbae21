"""How displacements lie to each other: inner products, norms, cosines, spectra, subspaces, signs.

Every function reads each file once, in blocks, and forms no dense change where factors will do.
"""

from weightarith.geometry.gram import apart, apart_of, gram, gram_of
from weightarith.geometry.overlap import DIRECTIONS, Overlap, overlap
from weightarith.geometry.products import OUTSIDE, Gram, in_groups, layer_key, lengths, module_of
from weightarith.geometry.realised import Realised, Rounded, plan_of_change, realised, realised_of
from weightarith.geometry.sides import Sides, outside_last, sides, sides_of
from weightarith.geometry.signs import Signs, signs, signs_of
from weightarith.geometry.spectrum import Spectra, Spectrum, effective_rank, spectra, spectrum, stable_rank

__all__ = [
    "DIRECTIONS",
    "OUTSIDE",
    "Gram",
    "Overlap",
    "Realised",
    "Rounded",
    "Sides",
    "Signs",
    "Spectra",
    "Spectrum",
    "apart",
    "apart_of",
    "effective_rank",
    "gram",
    "gram_of",
    "in_groups",
    "layer_key",
    "lengths",
    "module_of",
    "outside_last",
    "overlap",
    "plan_of_change",
    "realised",
    "realised_of",
    "sides",
    "sides_of",
    "signs",
    "signs_of",
    "spectra",
    "spectrum",
    "stable_rank",
]
