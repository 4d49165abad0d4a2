"""Lines with their way back, and texts beside them."""

from __future__ import annotations

from collections.abc import Sequence

from ..book.nets import beside
from ..geometry import Line, Note, Point, Scene, Shape
from ..links import Style, kind
from ..theme import SIZES, block
from .elements import StepBox, Wire
from .texts import SIZE, Texts, wide

AWAY = 7.0  # of the way back from the way forward
NAME = SIZES["name"]


class Pen:
    """Draws lines and texts into the scene ``out``."""

    def __init__(self, texts: Texts, style: Style):
        self.texts, self.style, self.graph = texts, style, texts.graph
        self.out = Scene()
        self.stubs: dict[tuple[float, float], Shape] = {}  # texts where lines begin or end, by place

    def stub(self, wire: Wire, x: float, y: float, text: str, about: str) -> Shape:
        """A text where lines begin or end."""
        if (x, y) not in self.stubs:
            width, height = block([text], NAME)
            shape = Shape(f"s{len(self.stubs)}_{about}", "text", x, y, width + 6, height, [text], NAME, about=about)
            self.stubs[x, y] = shape
            self.out.shapes.append(shape)
        return self.stubs[x, y]

    def join(self, wire: Wire, source: Shape, target: Shape, path: list[Point]) -> None:
        """Draw the lines of a wire."""
        extremes = self.graph.edges[wire.edges[-1]].extremes if wire.edges else None
        gradient = wire.gradient if wire.gradient is not None or extremes is None else extremes[1]
        edges = wire.edges
        if isinstance(wire.source, StepBox):  # behind the step is its value
            edges = (*(k for k, _ in self.graph.into[wire.value.id]), *edges)
        self.line(f"{source.id}-{target.id}-{wire.state}{'-'.join(map(str, wire.edges))}", source, target, path, edges,
                  None if wire.cut else gradient, wire.edges[-1] if wire.edges else None, cut=wire.cut)  # fmt: skip

    def line(self, id: str, source: Shape, target: Shape, path: list[Point], edges: tuple[int, ...],
             gradient: float | None, about: int | None = None, cut: bool = False) -> None:  # fmt: skip
        """Add the line forward, and the line back to the right of it."""
        look = "cut" if cut else "forward"
        self.out.lines.append(Line(f"f{id}", source.id, target.id, path, look, about=about, straight=True, edges=edges))
        if gradient is not None:
            back = beside(path, -AWAY)[::-1]
            level = self.style.scale.level(gradient)
            self.out.lines.append(Line(f"b{id}", target.id, source.id, back, kind(gradient), level, about,
                                       straight=True, edges=edges))  # fmt: skip

    def ink(self, wire: Wire) -> str:
        """The colour of the text of a gradient."""
        extremes = self.graph.edges[wire.edges[-1]].extremes if wire.edges else None
        gradient = wire.gradient if wire.gradient is not None else extremes[1] if extremes else 0.0
        look = kind(gradient)
        return f"level {self.style.scale.level(gradient)}" if look == "backward" else look

    def beside(self, x: float, y: float, text: str, wire: Wire) -> None:
        """Add a text about a gradient to the right of an upright line."""
        if text:
            self.note(x + AWAY + 6 + wide(text) / 2, y, [text], self.ink(wire))

    def note(self, x: float, y: float, lines: Sequence[str], look: str, size: float = SIZE) -> None:
        if any(lines):
            self.out.notes.append(Note(x, y, lines, size, look))
