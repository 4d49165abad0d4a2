"""Sums of products over the rows of all steps, as the gradient of a weight: ``C = A.T @ B``.

A is cut into strips of as many columns as a tile has rows, the numbers of a strip in the order in which tiles read
them. A few panels of B are packed, some rows at a time, while these rows of A stay in the second cache.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .loops import Array, Loops
from .numbers import Number, where
from .panels import Panels, moved, panels, product_function
from .tile import FLOATS, Tile

#: The numbers of A that stay in the second cache, and the most rows of B that stay in the first one.
NUMBERS, MOST = 1 << 16, 256
GROUP = 4  #: panels of B in a block
COPIED = 32  #: rows of A in a block that is copied into strips


def summed_panels(K: int, columns: int, bits: int) -> Panels:
    """The cut of (K, rows) @ (rows, columns): some rows at a time are the depth of a panel."""
    return panels(K, max(min(MOST, NUMBERS // K), 16), columns, bits, near=True)


def strips(cut: Panels, loops: Loops, left: Any, packed: Array, rows: Number, part: Number) -> None:
    """Write loops that copy `COPIED` rows of A into strips (K / height, rows, height)."""
    source = Array(loops.builder, left.address, (None,), packed.kind)
    stride, height, first = Number(loops.builder, left.stride, "int64"), cut.height, part * COPIED
    last = where(rows - first < COPIED, rows, first + COPIED)
    for i in loops.range(0, cut.rows, height):
        width = height if cut.rows % height == 0 else where(cut.rows - i < height, cut.rows - i, height)
        for r in loops.range(first, last):
            for j in loops.range(width):
                packed[0, rows * i + r * height + j] = source[stride * r + i + j]


def summation(key: tuple[Panels, bool], module: Any, name: str) -> Any:
    """The LLVM function ``name(strips, b, b_stride, c, c_stride, rows, part)``: the columns of a few panels of C.

    ``key`` is the cut, and whether the columns are those beyond the whole panels. Equal to::

        C[:, columns] = 0
        for top in range(0, rows, depth):
            C[:, columns] += A[top : top + depth].T @ B[top : top + depth, columns]
    """
    cut, rest = key
    number, size = FLOATS[cut.bits].as_pointer(), ir.IntType(64)
    builder, args = product_function(module, name, [number, number, size, number, size, size, size])
    loops, columns = Loops(builder), cut.columns - cut.whole * cut.width if rest else cut.width
    b, c = (Array(builder, args[k], (None,), f"float{cut.bits}") for k in (1, 3))
    b_stride, c_stride, rows, part = (Number(builder, args[k], "int64") for k in (2, 4, 5, 6))
    space = builder.alloca(FLOATS[cut.bits], cut.depth * _filled(cut, columns))
    first = cut.whole if rest else part * GROUP
    count = 1 if rest else where(cut.whole - first < GROUP, cut.whole - first, GROUP)
    for i in loops.range(cut.rows):
        for j in loops.range(count * columns):
            c[c_stride * i + first * cut.width + j] = 0
    for top in loops.range(0, rows, cut.depth):
        depth = where(rows - top < cut.depth, rows - top, cut.depth)
        for panel in loops.range(first, first + count):
            start = panel * cut.width
            _pack(cut, loops, columns, (b, b_stride * top + start, b_stride), space, depth)
            out = moved(builder, cut.bits, c.address, start), c_stride
            _add(cut, loops, columns, (args[0], rows, top), space, out, depth)
    builder.ret_void()
    return builder.function


def _filled(cut: Panels, columns: int) -> int:
    """The columns as whole vectors."""
    return -(-columns // cut.lanes) * cut.lanes


def _pack(cut: Panels, loops: Loops, columns: int, right: Any, space: Any, depth: Number) -> None:
    """Write loops that copy columns of ``depth`` rows; ``right`` is (array, place of the first number, stride)."""
    filled, (b, first, stride) = _filled(cut, columns), right
    packed = Array(loops.builder, space, (None,), b.kind)
    for r in loops.range(depth):
        for j in loops.range(columns):
            packed[r * filled + j] = b[stride * r + first + j]
        for j in loops.range(columns, filled):
            packed[r * filled + j] = 0


def _add(cut: Panels, loops: Loops, columns: int, left: Any, packed: Any, out: Any, depth: Number) -> None:
    """Write the tiles that add the product of the packed rows to the columns of C; ``left`` is (strips, rows, top)."""
    builder, (a, rows, top), (c, c_stride) = loops.builder, left, out
    next_row, step = (ir.Constant(ir.IntType(64), number) for number in (1, cut.height))

    def write(i: Any, height: int) -> None:
        line = moved(builder, cut.bits, a, rows * i + top * cut.height)
        place = moved(builder, cut.bits, c, c_stride * i)
        tile = Tile(height, columns, cut.bits, cut.lanes)
        tile.build(builder, line, next_row, packed, place, c_stride.value, depth.value, True, step)

    stop = cut.rows // cut.height * cut.height
    for i in loops.range(0, stop, cut.height):
        write(i, cut.height)
    if stop < cut.rows:
        write(stop, cut.rows - stop)
