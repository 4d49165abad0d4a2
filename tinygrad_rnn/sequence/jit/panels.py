"""A product of few rows with a weight that is packed once a sequence.

BLAS packs a weight again at every call. Here the weight (K, columns) is cut into panels of as many columns as a tile
has; the numbers of a panel lie in the order in which the tile reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from .loops import Array, Loops
from .numbers import Number, converted
from .tile import FLOATS, Registers, Tile, host_registers

#: A panel of so many rows stays in the second cache while the rows of the left operand pass over it.
DEPTH = 1024
ROWS = 16  #: rows of a weight that are packed together


@dataclass(frozen=True)
class Panels:
    """How a product (rows, K) @ (K, columns) is cut: a tile is ``height`` by ``width``, a vector ``lanes`` numbers."""

    rows: int
    K: int
    columns: int
    bits: int
    height: int
    width: int
    lanes: int
    depth: int

    @property
    def padded(self) -> int:
        """The columns of the packed weight, whole vectors."""
        return -(-self.columns // self.lanes) * self.lanes

    def __str__(self) -> str:
        return f"tiles of {self.height} x {self.width}, the weight packed once a sequence"


def panels(rows: int, K: int, columns: int, bits: int, registers: Registers | None = None) -> Panels:
    """The tiles with the most sums in registers; among these, those with the fewest loads."""
    registers = registers or host_registers()
    lanes = registers.bits // bits
    best = (0, 0, 1, 1)
    for vectors in range(1, min(8, -(-columns // lanes)) + 1):
        most = max((registers.count - 1) // vectors, 1)
        while most > 1 and most * vectors + min(most, vectors) + 1 > registers.count:
            most -= 1
        height = -(-rows // -(-rows // most))
        best = max(best, (height * vectors, -height - vectors, height, vectors))
    height, vectors = best[2:]
    blocks = -(-K // DEPTH)
    return Panels(rows, K, columns, bits, height, vectors * lanes, lanes, -(-K // blocks))


def pack(cut: Panels, loops: Loops, packed: Array, weight: Callable[[Any, Any], Any]) -> None:
    """Write loops that fill ``packed`` (K * padded,) with the weight, whose element (k, j) is ``weight(k, j)``."""
    stop = cut.columns // cut.width * cut.width
    for top in range(0, cut.K, cut.depth):
        count = min(cut.depth, cut.K - top)
        for first in loops.range(0, count // ROWS * ROWS, ROWS):  # few rows at a time: reads stay on few pages
            _pack_rows(cut, loops, packed, weight, (top, count, first, ROWS))
        _pack_rows(cut, loops, packed, weight, (top, count, count // ROWS * ROWS, count % ROWS))
        start, filled = top * cut.padded + stop * count, cut.padded - stop
        for k in loops.range(count):
            for j in loops.range(cut.columns - stop):
                packed[start + k * filled + j] = weight(top + k, stop + j)
            for j in loops.range(cut.columns - stop, filled):
                packed[start + k * filled + j] = 0


def _pack_rows(cut: Panels, loops: Loops, packed: Array, weight: Any, rows: tuple[int, int, Any, int]) -> None:
    """Write the loops over the whole panels of some rows: (first row of the block, its rows, first row, rows)."""
    top, count, first, size = rows
    for left in loops.range(0, cut.columns // cut.width * cut.width, cut.width):
        for row in loops.range(size):
            k = first + row
            for j in loops.range(cut.width):
                packed[top * cut.padded + left * count + k * cut.width + j] = weight(top + k, left + j)


def multiplication(cut: Panels, module: Any, name: str) -> Any:
    """The LLVM function ``name(a, a_stride, packed, c, c_stride)``: ``C = A @ W``, by addresses and strides."""
    number, size = FLOATS[cut.bits].as_pointer(), ir.IntType(64)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [number, size, number, number, size]), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    for k in (0, 2, 3):
        function.args[k].add_attribute("noalias")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    stop = cut.columns // cut.width * cut.width
    for top in range(0, cut.K, cut.depth):
        count = min(cut.depth, cut.K - top)
        for j in Loops(builder).range(0, stop, cut.width):
            _strip(cut, builder, function.args, (top, count, j, cut.width))
        if cut.columns > stop:
            _strip(cut, builder, function.args, (top, count, stop, cut.columns - stop))
    builder.ret_void()
    return function


def _strip(cut: Panels, builder: Any, args: Any, panel: tuple[int, int, Any, int]) -> None:
    """Write the product of all rows with a panel: (first row of the weight, rows, first column, columns)."""
    a, a_stride, packed, c, c_stride = args
    top, count, j, columns = panel
    depth = ir.Constant(ir.IntType(64), count)

    def moved(address: Any, numbers: Any) -> Any:
        place = converted(builder, numbers, "int64").value
        return builder.gep(address, [place], inbounds=True, source_etype=FLOATS[cut.bits])

    def write(row: Any, height: int) -> None:
        left = moved(a, row * Number(builder, a_stride, "int64") + top)
        out = moved(c, row * Number(builder, c_stride, "int64") + j)
        part = moved(packed, j * count + top * cut.padded)
        Tile(height, columns, cut.bits, cut.lanes).build(builder, left, a_stride, part, out, c_stride, depth, top > 0)

    stop = cut.rows - cut.rows % cut.height
    for row in Loops(builder).range(0, stop, cut.height):
        write(row, cut.height)
    if stop < cut.rows:
        write(stop, cut.rows - stop)
