"""A product in the loop with a weight that is the same at every step: packed before the loop, multiplied by tiles."""

from __future__ import annotations

from collections.abc import Sequence

from .compile import Argument
from .panels import Panels, panels
from .places import Place


class Product:
    """Product number ``k`` of a loop: its lines outside of the function, before the loop and in it."""

    def __init__(self, k: int, places: Sequence[Place], shapes: Sequence[tuple[int, ...]], size: int):
        self.k, self.places, self.shapes, self.size = k, places, shapes, size
        (rows, K), (_, columns) = shapes[:2]
        self.cut: Panels = panels(rows, K, columns, size * 8)

    def __str__(self) -> str:
        left, right = self.shapes[:2]
        return f"{left} @ {right} in {self.cut}"

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

    def globals(self) -> str:
        """How the product is cut."""
        return f"cut_{self.k} = {self.cut!r}"

    def packed(self) -> Argument:
        """The memory of the packed weight."""
        return Argument(f"packed_{self.k}", (self.cut.K * self.cut.padded,), f"float{self.cut.bits}")

    def setup(self) -> str:
        """The weight, packed."""
        return f"pack(cut_{self.k}, packed_{self.k}, lambda k, j: {self.places[1].index(['k', 'j'])})"

    def call(self) -> str:
        """The product at a step."""
        left, _, out = (f"rows({place.array}, {place.start()}, {place.strides()[0]})" for place in self.places)
        return f"multiply(cut_{self.k}, {left}, packed_{self.k}, {out})"
