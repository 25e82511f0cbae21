"""The dtypes of the safetensors format: the one table of their names and sizes, in the format's own order.

Every dtype can be copied; only those with `arithmetic` can be added.

https://github.com/huggingface/safetensors/blob/main/safetensors/src/tensor.rs (`Dtype`)
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DType:
    """One element type: `code` in the file, `name` as torch and config.json spell it, size in `bits`."""

    code: str
    name: str
    bits: int

    @property
    def arithmetic(self) -> bool:
        """Whether sums of it are defined here: the IEEE-like floats of 16 bits and more."""
        return self.code in ARITHMETIC

    @property
    def integer(self) -> bool:
        """Whether it counts or flags (a buffer to copy) and carries no weights to add."""
        return self.code in INTEGERS

    def nbytes(self, count: int) -> int:
        """Return the bytes of `count` elements; the format demands a whole number of them."""
        return count * self.bits // 8


ARITHMETIC = frozenset({"F64", "F32", "F16", "BF16"})
INTEGERS = frozenset({"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64"})

DTYPES: dict[str, DType] = {
    dtype.code: dtype
    for dtype in (
        DType("BOOL", "bool", 8),
        DType("F4", "float4_e2m1fn_x2", 4),
        DType("F6_E2M3", "float6_e2m3fn", 6),
        DType("F6_E3M2", "float6_e3m2fn", 6),
        DType("U8", "uint8", 8),
        DType("I8", "int8", 8),
        DType("F8_E5M2", "float8_e5m2", 8),
        DType("F8_E4M3", "float8_e4m3fn", 8),
        DType("F8_E8M0", "float8_e8m0fnu", 8),
        DType("F8_E4M3FNUZ", "float8_e4m3fnuz", 8),
        DType("F8_E5M2FNUZ", "float8_e5m2fnuz", 8),
        DType("I16", "int16", 16),
        DType("U16", "uint16", 16),
        DType("F16", "float16", 16),
        DType("BF16", "bfloat16", 16),
        DType("I32", "int32", 32),
        DType("U32", "uint32", 32),
        DType("F32", "float32", 32),
        DType("C64", "complex64", 64),
        DType("F64", "float64", 64),
        DType("I64", "int64", 64),
        DType("U64", "uint64", 64),
    )
}

BY_NAME: dict[str, DType] = {dtype.name: dtype for dtype in DTYPES.values()}
