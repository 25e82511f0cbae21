"""Numbers that compiled loops and their callers agree on."""

BF16, F16, F32, F64 = 0, 1, 2, 3
CODES = {"BF16": BF16, "F16": F16, "F32": F32, "F64": F64}
"""Format codes of the kernels, by the dtype's code in the file."""

TILE = 1024
"""Elements worked on at a time: a few arrays of them stay in the first-level cache."""

HEAD = 13
"""Numbers that tell of forms packed together: sizes, and addresses of what they are packed in."""

NO_ANCHOR = -1
"""In place of the anchor's row: there is none, the sum is a bare change."""

SQUARES, LARGEST, ZEROS, NONFINITE_ELEMENTS = range(4)
"""Places in a summary: Σ(scale·x)², max |x|, elements that are zero, elements that are NaN or infinite."""

SUMMARY = 4
"""Numbers in a summary."""

FIRST, SECOND, THIRD = range(3)
"""Places in the sums of a pair: Σx², Σy², and Σxy or Σ(x − y)²."""

PAIR = 3
"""Numbers in the sums of a pair."""

SIGNATURES = {
    "between": "DiddiLD",
    "elect": "DiiDDDDiiD",
    "combine": "BiiLLDiLDDiiiiDiDiiiiiiD",
    "decode": "BiiiiD",
    "encode": "DBiiii",
    "pair": "BiiiiiiiiiiD",
    "products": "LiDDL",
    "sizes_between": "LiiddLDDL",
    "summarise": "BiiidDD",
    "values": "BiiLLDiLDDiDiDiiiiDL",
    "vote": "LDDDDiiiDiDL",
}
"""What the machine code can be called with, in C: B, L, D and S are addresses of uint8, int64, float64 and
float32, i is an int64 and d a float64."""
