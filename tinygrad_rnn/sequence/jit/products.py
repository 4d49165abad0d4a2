"""Products with a weight that is the same at every step: packed before the loop, multiplied by tiles."""

from __future__ import annotations

from collections.abc import Sequence

from .panels import Panels, panels
from .places import Place
from .source import Argument, Source


def packed(slot: int, cut: Panels) -> Argument:
    """The memory of a packed weight. Products at different times use the same: a weight is packed when it is needed."""
    return Argument(f"packed_{slot}", (cut.K * cut.padded,), f"float{cut.bits}")


def packing(title: str, k: int, cut: Panels, weight: Place, array: Argument, memory: Argument) -> dict[str, Source]:
    """The functions that pack the weight of product ``k``, which lies at a place of ``array``: a block is a panel."""
    arguments, head = [array, memory], [f"cut_{k} = {cut!r}"]
    number = f"cut_{k}, {memory.name}, lambda k, j: {weight.index(['k', 'j'])}"
    result: dict[str, Source] = {}
    if cut.whole:
        name = f"{title}_pack_{k}"
        result[name] = Source.of(name, arguments, [f"pack({number}, part)"], head, str(cut.whole))
    if cut.columns > cut.whole * cut.width:
        name = f"{title}_pack_{k}_rest"
        result[name] = Source.of(name, arguments, [f"pack_rest({number})"], head)
    return result


class Product:
    """Product number ``k`` of a direction, number ``slot`` of the loop."""

    def __init__(self, k: int, slot: int, places: Sequence[Place], shapes: Sequence[tuple[int, ...]], size: int):
        self.k, self.slot, self.places, self.shapes, self.size = k, slot, places, shapes, size
        (rows, K), (_, columns) = shapes[:2]
        self.cut: Panels = panels(rows, K, columns, size * 8)

    def __str__(self) -> str:
        left, right = self.shapes[:2]
        return f"{left} @ {right} in {self.cut}"

    @property
    def packed(self) -> Argument:
        """The memory of the weight, which no other product of the loop uses."""
        return packed(self.slot, self.cut)

    @property
    def work(self) -> int:
        """The floating point operations of a step."""
        return 2 * self.cut.rows * self.cut.K * self.cut.columns

    def in_rows(self, rows: int) -> bool:
        """Is a row of the result computed from that row of the left operand, with ``rows`` rows in all?"""
        plain = all(place.axes[0] == (0, 1, 0) for place in (self.places[0], self.places[2]))
        return plain and self.cut.rows == rows

    def halve(self) -> None:
        """Cut the product for half of its rows."""
        self.cut = panels(self.cut.rows // 2, self.cut.K, self.cut.columns, self.cut.bits)

    @staticmethod
    def fits(places: Sequence[Place], shapes: Sequence[tuple[int, ...]]) -> bool:
        """Is it a product of two matrices, whose left operand and result have their rows without gaps?"""
        rows = all(place.strides().get(1) == 1 and 0 in place.strides() for place in (places[0], places[2]))
        return rows and [len(shape) for shape in shapes] == [2, 2, 2]

    def call(self) -> str:
        """The product at a step."""
        left, _, out = (f"rows({place.array}, {place.start()}, {place.strides()[0]})" for place in self.places)
        return f"multiply(cut_{self.k}, {left}, {self.packed.name}, {out})"
