"""A product of few rows with a weight that is packed once a sequence.

BLAS packs a weight again at every call. Here the weight (K, columns) is cut into panels of as many columns as a tile
has; the numbers of a panel lie in the order in which the tile reads them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from .loops import Array, Loops
from .numbers import Number, converted, where
from .tile import FLOATS, Registers, Tile, host_registers

#: A panel of so many rows stays in the second cache while the rows of the left operand pass over it.
DEPTH = 1024
HEIGHT = 8  #: rows of a tile at most: the address of each is in a register too
ROWS = 16  #: rows of a weight that are packed together


@dataclass(frozen=True)
class Panels:
    """How a product (rows, K) @ (K, columns) is cut: a tile is ``height`` by ``width``, a vector ``lanes`` numbers.

    ``rows`` is 0 where their number is an argument of the product.
    """

    rows: int
    K: int
    columns: int
    bits: int
    height: int
    width: int
    lanes: int
    depth: int

    @property
    def whole(self) -> int:
        """The panels that have the columns of a tile."""
        return self.columns // self.width

    def blocks(self) -> list[tuple[int, int]]:
        """The first row of the weight, and the number of rows, of each block of the depth."""
        return [(top, min(self.depth, self.K - top)) for top in range(0, self.K, self.depth)]

    @property
    def padded(self) -> int:
        """The columns of the packed weight, whole vectors."""
        return -(-self.columns // self.lanes) * self.lanes

    def __str__(self) -> str:
        return f"tiles of {self.height} x {self.width}, the weight packed once a sequence"


def panels(rows: int, K: int, columns: int, bits: int, registers: Registers | None = None,
           near: bool = False) -> Panels:  # fmt: skip
    """The tiles whose sums fit into registers and that take the fewest cycles; among these, the narrowest.

    A panel is in the second cache, or in the first one if it is ``near``.
    """
    registers = registers or host_registers()
    lanes = registers.bits // bits
    best: tuple[float, int, int] | None = None
    for vectors in range(1, min(8, -(-columns // lanes)) + 1):
        most = max(min((registers.count - 1) // vectors, HEIGHT), 1)
        while most > 1 and (most + 1) * vectors + 1 > registers.count:
            most -= 1
        height = most if rows == 0 else -(-rows // -(-rows // most))
        whole, rest = divmod(-(-columns // lanes), vectors)
        cost = sum(n * _cycles(rows or height, height, v, near) for n, v in ((whole, vectors), (1, rest)))
        best = min(best or (math.inf, 0, 0), (cost / (rows or height), vectors, height))
    assert best is not None  # there is at least one column
    blocks = -(-K // DEPTH)
    return Panels(rows, K, columns, bits, best[2], best[1] * lanes, lanes, -(-K // blocks))


def _cycles(rows: int, height: int, vectors: int, near: bool) -> float:
    """A quarter of the cycles that a panel of ``vectors`` takes for each row of the weight.

    A cycle has two products and two loads. A vector from the second cache takes about a quarter of a cycle more, a load
    from the first one much less.
    """
    if not vectors:
        return 0

    def cycles(tile: int) -> float:
        return 2 * max(tile * vectors, tile + vectors) + ((tile + vectors) / 4 if near else vectors)

    return rows // height * cycles(height) + (cycles(rows % height) if rows % height else 0)


def pack(cut: Panels, loops: Loops, packed: Array, weight: Callable[[Any, Any], Any], panel: Any) -> None:
    """Write loops that fill panel number ``panel`` of ``packed`` (K * padded,); element (k, j) is ``weight(k, j)``."""
    left = panel * cut.width
    for top, count in cut.blocks():
        start = left * count + top * cut.padded
        for first in loops.range(0, count, ROWS):  # few rows at a time: reads stay on few pages
            for k in loops.range(first, where(count - first < ROWS, count, first + ROWS)):
                for j in loops.range(cut.width):
                    packed[start + k * cut.width + j] = weight(k + top, left + j)


def pack_rest(cut: Panels, loops: Loops, packed: Array, weight: Callable[[Any, Any], Any]) -> None:
    """Write loops that fill the last panel, whose columns are fewer, and zeros up to whole vectors."""
    stop = cut.whole * cut.width
    for top, count in cut.blocks():
        start, filled = top * cut.padded + stop * count, cut.padded - stop
        for k in loops.range(count):
            for j in loops.range(cut.columns - stop):
                packed[start + k * filled + j] = weight(k + top, stop + j)
            for j in loops.range(cut.columns - stop, filled):
                packed[start + k * filled + j] = 0


def multiplication(cut: Panels, module: Any, name: str) -> Any:
    """The LLVM function ``name(a, a_stride, packed, c, c_stride, rows)``: ``C = A @ W``, by addresses and strides.

    The argument ``rows`` is there where the cut leaves their number open.
    """
    number, size = FLOATS[cut.bits].as_pointer(), ir.IntType(64)
    types = [number, size, number, number, size, *[size] * (cut.rows == 0)]
    builder, args = product_function(module, name, types)
    rows = Number(builder, args[5], "int64") if cut.rows == 0 else cut.rows
    stop = cut.whole * cut.width
    for top, count in cut.blocks():
        for j in Loops(builder).range(0, stop, cut.width):
            _strip(cut, builder, args, rows, (top, count, j, cut.width))
        if cut.columns > stop:
            _strip(cut, builder, args, rows, (top, count, stop, cut.columns - stop))
    builder.ret_void()
    return builder.function


def product_function(module: Any, name: str, types: list[Any]) -> tuple[Any, Any]:
    """The builder, and the arguments, of a function of addresses that do not overlap, and integers."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), types), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    for arg in function.args:
        if isinstance(arg.type, ir.PointerType):
            arg.add_attribute("noalias")
    return ir.IRBuilder(function.append_basic_block("entry")), function.args


def moved(builder: Any, bits: int, address: Any, numbers: Any) -> Any:
    """The address so many numbers further on."""
    place = converted(builder, numbers, "int64").value
    return builder.gep(address, [place], inbounds=True, source_etype=FLOATS[bits])


def _strip(cut: Panels, builder: Any, args: Any, rows: Any, panel: tuple[int, int, Any, int]) -> None:
    """Write the product of all rows with a panel: (first row of the weight, rows, first column, columns)."""
    a, a_stride, packed, c, c_stride = args[:5]
    top, count, j, columns = panel
    depth = ir.Constant(ir.IntType(64), count)

    def write(row: Any, height: int) -> None:
        left = moved(builder, cut.bits, a, row * Number(builder, a_stride, "int64") + top)
        out = moved(builder, cut.bits, c, row * Number(builder, c_stride, "int64") + j)
        part = moved(builder, cut.bits, packed, j * count + top * cut.padded)
        Tile(height, columns, cut.bits, cut.lanes).build(builder, left, a_stride, part, out, c_stride, depth, top > 0)

    stop = rows // cut.height * cut.height
    for row in Loops(builder).range(0, stop, cut.height):
        write(row, cut.height)
    if cut.rows == 0:
        for row in Loops(builder).range(stop, rows):
            write(row, 1)
    elif stop < rows:
        write(stop, rows - stop)
