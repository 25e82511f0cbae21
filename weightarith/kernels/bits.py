"""Conversions between float formats, one number at a time, as LLVM instructions.

Numba widens every integer operation to 64 bits, which halves or quarters the width of the vector loops these
conversions sit in; written as instructions they stay 32 bits wide. Rounding is to nearest, ties to even.

Rounding twice (float64 to float32 to 16 bits) can miss the nearest number. `to_odd` removes the danger: it
rounds to float32 so that an inexact result always ends in a 1 bit, which no halfway case of a shorter format
does. Boldo and Melquiond (2008), "Emulation of a FMA and correctly rounded sums", https://doi.org/10.1109/TC.2007.70819
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]  # it has no stubs
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from weightarith.kernels.formats import TILE

_I16, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_HALF, _SINGLE, _DOUBLE = ir.HalfType(), ir.FloatType(), ir.DoubleType()
_pointer: Callable[[Any], Any] = types.CPointer
_QUIET = 0x40  # the bit that keeps a NaN a NaN once its low 16 bits are gone
_SPARE = 52 - 7  # mantissa bits of a float64 that a bfloat16 has no room for


def _i32(value: int) -> Any:
    return ir.Constant(_I32, value)


def _i64(value: int) -> Any:
    return ir.Constant(_I64, value)


def _bf16_to_f32(typing_context: Any, raw: Any) -> Any:  # noqa: ARG001
    """Return the float32 equal to the bfloat16 whose bits are `raw` (uint16)."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(builder.shl(builder.zext(arguments[0], _I32), _i32(16)), _SINGLE)

    return types.float32(types.uint16), generate


def _to_f64(typing_context: Any, raw: Any) -> Any:  # noqa: ARG001
    """Return the float64 equal to a float32, a float64, or the bfloat16 whose bits are `raw` (uint16)."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        single = arguments[0]
        if raw == types.uint16:
            single = builder.bitcast(builder.shl(builder.zext(single, _I32), _i32(16)), _SINGLE)
        return single if raw == types.float64 else builder.fpext(single, _DOUBLE)

    return types.float64(raw), generate


def _plus_product(typing_context: Any, total: Any, one: Any, other: Any) -> Any:  # noqa: ARG001
    """Return `total + one · other` (float64), rounded once where the processor can, summed in any order."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(_DOUBLE, [_DOUBLE, _DOUBLE, _DOUBLE])
        function = _function_of(builder.module, kind, "llvm.fmuladd.f64")
        added, first, second = arguments
        return builder.call(function, [first, second, added], fastmath=("reassoc",))

    return types.float64(types.float64, types.float64, types.float64), generate


def _f16_to_f32(typing_context: Any, raw: Any) -> Any:  # noqa: ARG001
    """Return the float32 equal to the float16 whose bits are `raw` (uint16)."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fpext(builder.bitcast(arguments[0], _HALF), _SINGLE)

    return types.float32(types.uint16), generate


def _f32_to_bf16(typing_context: Any, number: Any) -> Any:  # noqa: ARG001
    """Return the bits (uint16) of the bfloat16 nearest to a float32."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], _I32)
        high = builder.lshr(bits, _i32(16))
        to_even = builder.add(builder.and_(high, _i32(1)), _i32(0x7FFF))
        rounded = builder.lshr(builder.add(bits, to_even), _i32(16))
        is_nan = builder.fcmp_unordered("uno", arguments[0], arguments[0])
        return builder.trunc(builder.select(is_nan, builder.or_(high, _i32(_QUIET)), rounded), _I16)

    return types.uint16(types.float32), generate


def _f32_to_f16(typing_context: Any, number: Any) -> Any:  # noqa: ARG001
    """Return the bits (uint16) of the float16 nearest to a float32."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(builder.fptrunc(arguments[0], _HALF), _I16)

    return types.uint16(types.float32), generate


def _to_odd(typing_context: Any, number: Any) -> Any:  # noqa: ARG001
    """Return the float32 equal to a float64, else the one of its two neighbours whose last bit is 1."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        exact = arguments[0]
        nearest = builder.fptrunc(exact, _SINGLE)
        back = builder.fpext(nearest, _DOUBLE)
        magnitude = builder.module.declare_intrinsic("llvm.fabs", [_DOUBLE])
        too_far = builder.fcmp_ordered(">", builder.call(magnitude, [back]), builder.call(magnitude, [exact]))
        inexact = builder.fcmp_unordered("!=", back, exact)
        toward_zero = builder.sub(builder.bitcast(nearest, _I32), builder.zext(too_far, _I32))
        return builder.bitcast(builder.or_(toward_zero, builder.zext(inexact, _I32)), _SINGLE)

    return types.float32(types.float64), generate


def _normal_to_bf16(typing_context: Any, number: Any) -> Any:  # noqa: ARG001
    """Return the bits (uint16) of the bfloat16 nearest to a float64, if that one is normal or zero.

    Of a result below 2⁻¹²⁶, and of NaN, the bits are meaningless; of an overflow they are infinity.
    """

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], _I64)
        last = builder.and_(builder.lshr(bits, _i64(_SPARE)), _i64(1))
        to_even = builder.add(last, _i64((1 << (_SPARE - 1)) - 1))
        rounded = builder.and_(builder.add(bits, to_even), _i64(-(1 << _SPARE)))
        single = builder.fptrunc(builder.bitcast(rounded, _DOUBLE), _SINGLE)
        return builder.trunc(builder.lshr(builder.bitcast(single, _I32), _i32(16)), _I16)

    return types.uint16(types.float64), generate


_EIGHT = 8


def _keep_between(
    typing_context: Any, numbers: Any, at: Any, low: Any, high: Any, kept: Any, held: Any  # noqa: ARG001
) -> Any:  # fmt: skip
    """Put those of eight numbers (float64) that lie between two others one after the other; return how many.

    LLVM makes vector loops of many things, of this one never; as instructions it is a few on any processor
    that can pack a vector by a mask.
    """

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        source, place, bottom, top, target, count = arguments
        vector, bits = ir.VectorType(_DOUBLE, _EIGHT), ir.VectorType(ir.IntType(1), _EIGHT)
        start = builder.bitcast(builder.gep(source, [place]), vector.as_pointer())
        lanes = builder.load(start)
        lanes.align = 8
        spread = [_spread(builder, vector, number) for number in (bottom, top)]
        chosen = builder.and_(
            builder.fcmp_ordered(">", lanes, spread[0]), builder.fcmp_ordered("<", lanes, spread[1])
        )
        kind = ir.FunctionType(ir.VoidType(), [vector, _DOUBLE.as_pointer(), bits])
        store = _function_of(builder.module, kind, "llvm.masked.compressstore.v8f64")
        builder.call(store, [lanes, builder.gep(target, [count]), chosen])
        eight = ir.IntType(_EIGHT)
        found = builder.module.declare_intrinsic("llvm.ctpop", [eight])
        return builder.zext(builder.call(found, [builder.bitcast(chosen, eight)]), _I64)

    pointer = _pointer(types.float64)
    signature = types.int64(pointer, types.int64, types.float64, types.float64, pointer, types.int64)
    return signature, generate


def _spread(builder: Any, vector: Any, number: Any) -> Any:
    lanes = ir.Constant(vector, ir.Undefined)
    for lane in range(_EIGHT):
        lanes = builder.insert_element(lanes, number, ir.Constant(ir.IntType(32), lane))
    return lanes


def _at(kind: Any) -> Any:
    """Return an intrinsic that takes an address as a number (int64) for one of numbers of a kind."""

    def take(typing_context: Any, address: Any) -> Any:  # noqa: ARG001
        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(_pointer(kind)))

        return _pointer(kind)(types.int64), generate

    return intrinsic(take)


_function_of: Callable[..., Any] = cgutils.get_or_insert_function
_take_room: Callable[..., Any] = cgutils.alloca_once


def _room(kind: Any) -> Any:
    """Return an intrinsic that gives the address of `TILE` numbers on the stack.

    LLVM knows that nothing else points there, and so need not ask, at each loop that writes to it, whether
    what is read lies in the way; past a few such questions it gives up on vector instructions.
    """

    def take(typing_context: Any) -> Any:  # noqa: ARG001
        def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
            return _take_room(builder, context.get_value_type(kind), size=TILE)

        return _pointer(kind)(), generate

    return intrinsic(take)


Convert = Callable[[Any], Any]
"""One number in, one out; only compiled code can call it."""

_made: Callable[[Any], Any] = intrinsic  # seen from Python an intrinsic takes the typing context instead

bf16_to_f32: Convert = _made(_bf16_to_f32)
f16_to_f32: Convert = _made(_f16_to_f32)
f32_to_bf16: Convert = _made(_f32_to_bf16)
f32_to_f16: Convert = _made(_f32_to_f16)
to_f64: Convert = _made(_to_f64)
to_odd: Convert = _made(_to_odd)
normal_to_bf16: Convert = _made(_normal_to_bf16)

PlusProduct = Callable[[float, float, float], float]
"""A sum and two numbers in, the sum and their product out; only compiled code can call it."""

plus_product: PlusProduct = _made(_plus_product)

KeepBetween = Callable[[Any, int, float, float, Any, int], int]
"""Address of the numbers, the first of eight, two bounds, address of the room, and where in it; how many."""

keep_between: KeepBetween = _made(_keep_between)

bytes_at: Convert = _at(types.uint8)
longs_at: Convert = _at(types.int64)
doubles_at: Convert = _at(types.float64)

Room = Callable[[], Any]
"""Nothing in, the address of a tile out; only compiled code can call it."""

room_for_doubles: Room = _room(types.float64)
room_for_singles: Room = _room(types.float32)
room_for_halves: Room = _room(types.uint16)
