"""A step as one box, as in textbooks: the lanes of the states run through it, everything else is below.

::

    c₀ ──────►┌──────┐── c₁ ───►
              │ lstm │
    h₀ ──────►└──────┘────●────►
               ▲    ▲     ▼
               x₁   Wx    h₁
"""

from __future__ import annotations

from collections.abc import Sequence

from ..model import Edge, Fold, Vertex
from .geometry import Line, Note, Scene, Shape
from .labels import number_text, size_text
from .links import Style, kind
from .theme import SIZES, block

BOX, LANE, TOP, FLOOR = 92.0, 46.0, 34.0, 96.0  # width of a box, distance of lanes, above the first, below the last


class CellTile:
    """The shapes and lines of a step that is one box; ``left`` and ``right`` grow with what is added."""

    def __init__(self, name: str, main: Vertex, states: Sequence[str], style: Style, fold: Fold | None,
                 room: float = 0.0):  # fmt: skip
        self.name, self.style, self.states = name, style, list(states)[::-1]
        self.scene = Scene()
        self.lane_y = {state: TOP + k * LANE for k, state in enumerate(self.states)}
        if len(self.states) == 1:
            self.lane_y = {self.states[0]: TOP + LANE / 2}
        low = TOP + LANE * max(len(self.states) - 1, 1)
        self.bottom, self.text = low + 20.0, low + FLOOR
        lines = [main.op]
        if fold is not None:
            ends = [f"‖{name}‖ {number_text(least)} … {number_text(fold.greatest[name])}"
                    for name, least in fold.least.items()]  # fmt: skip
            lines = [f"{main.op} ×{fold.count}", *ends]
        size = SIZES["name"] if fold is None else SIZES["text"]
        self.width = max(BOX, block(lines, size)[0] + 16, room + 56)
        look, middle, height = "box" if fold is None else "fold", (self.bottom + TOP - 20) / 2, self.bottom - TOP + 20
        self.box = Shape(f"{name}{main.id}", look, 0.0, middle, self.width, height, lines, size, about=main.id)
        self.scene.shapes.append(self.box)
        self.left, self.right = -self.width / 2, self.width / 2
        self.ins = dict.fromkeys(self.states, self.box)
        self.outs = dict.fromkeys(self.states, self.box)
        self.loop: dict[str, tuple[str, str]] = {}

    # -- below the box

    def feed(self, label: str, look: str, about: Vertex | None, edge: Edge | None, number: int | None,
             texts: Sequence[str], at: float) -> None:  # fmt: skip
        """Add an input from below, with its gradient."""
        width, height = block([label], SIZES["text"])
        stub = Shape(f"{self.name}u{len(self.scene.shapes)}", look, at, self.text, width + 10, height + 8, [label],
                     SIZES["text"], about=about.id if about else "")  # fmt: skip
        self.scene.shapes.append(stub)
        self.right = max(self.right, at + stub.width / 2)
        gradient = edge.gradient if edge is not None else None
        self.both(stub, self.box, (at, self.text - stub.height / 2), (at, self.bottom), gradient, number)
        if texts:
            size = block(texts, SIZES["small"])
            self.note(at + 10 + size[0] / 2, (self.bottom + self.text - 12) / 2, texts, gradient)
            self.right = max(self.right, at + 12 + size[0])

    def both(self, source: Shape, target: Shape, start: tuple[float, float], end: tuple[float, float],
             gradient: float | None, number: int | None) -> None:  # fmt: skip
        """Add a straight forward line, and the backward line beside it."""
        offset = self.style.apart if gradient is not None else 0.0
        dx, dy = (offset, 0.0) if start[0] == end[0] else (0.0, -offset)
        id = f"{self.name}{len(self.scene.lines)}"
        path = [(start[0] - dx, start[1] + dy), (end[0] - dx, end[1] + dy)]
        self.scene.lines.append(Line(f"f{id}", source.id, target.id, path, "forward", None, number,
                                     straight=True, head=target.look != "dot"))  # fmt: skip
        if gradient is not None:
            path = [(end[0] + dx, end[1] - dy), (start[0] + dx, start[1] - dy)]
            line = Line(f"b{id}", target.id, source.id, path, kind(gradient), self.style.scale.level(gradient), number,
                        straight=True, head=source.look != "dot")  # fmt: skip
            self.scene.lines.append(line)

    def note(self, x: float, y: float, lines: Sequence[str], gradient: float | None) -> None:
        """Add a text about a gradient, in the colour of its norm."""
        look = "ink" if gradient is None else f"level {self.style.scale.level(gradient)}"
        look = "bad" if gradient is not None and kind(gradient) == "bad" else look
        self.scene.notes.append(Note(x, y, lines, SIZES["small"], look))

    # -- beside it

    def give(self, state: str, label: str, gradient: float | None, terms: Sequence[tuple[str, float | None]],
             value: Vertex, away: Sequence[int | None]) -> None:  # fmt: skip
        """Add a state on its lane to the right: name and gradient; with ``away``, uses elsewhere, a dot and the sum."""
        y = self.lane_y[state]
        head = f"d{label} {size_text(gradient)}" if gradient is not None else ""
        if not away:
            named = [f"d{label}_{tag} {size_text(norm)}" for tag, norm in terms if norm is not None]
            self.on_lane(y, label, named[0] if named else "", gradient)
            return
        width, height = block([label], SIZES["text"])
        at = max(self.right + 12 + width / 2, self.width / 2 + 22)
        dot = Shape(f"{self.name}d{state}", "dot", at, y, 7.0, 7.0, about=value.id)
        self.both(self.box, dot, (self.width / 2, y), (at, y), gradient, None)
        text = Shape(f"{self.name}o{state}", "text", at, self.text, width + 10, height + 8, [label], SIZES["text"],
                     about=value.id)  # fmt: skip
        out = next((norm for tag, norm in terms if tag == "output"), None)
        self.both(dot, text, (at, y), (at, self.text - text.height / 2), out, away[0])
        self.outs[state] = dot
        self.scene.shapes += [dot, text]
        if head:
            texts = _sum(head, label, terms)
            width = block(texts, SIZES["small"])[0]
            self.note(at + 12 + width / 2, (self.bottom + self.text - 10) / 2, texts, gradient)
            self.right = max(self.right, at + 14 + width)

    def on_lane(self, y: float, label: str, head: str, gradient: float | None) -> None:
        """Add the name of a state above its lane, and its gradient below."""
        width = max(block([label], SIZES["name"])[0], block([head], SIZES["small"])[0])
        at = self.width / 2 + 14 + width / 2
        self.scene.notes.append(Note(at, y - 5 - SIZES["name"] * 0.6, [label], SIZES["name"]))
        if head:
            self.note(at, y + 6 + SIZES["small"] * 0.6, [head], gradient)
        self.right = max(self.right, at + width / 2)

    def enter(self, state: str, label: str, vertex: Vertex, edge: Edge, number: int) -> None:
        """Add the first state, as a text on its lane."""
        width, height = block([label], SIZES["name"])
        head = [f"d{label} {size_text(edge.gradient)}"] if edge.gradient is not None else []
        room = max(block(head, SIZES["small"])[0] + 12, 26.0)
        x, y = -self.width / 2 - room - width / 2 - 6, self.lane_y[state]
        text = Shape(f"{self.name}i{state}", "text", x, y, width + 8, height, [label], SIZES["name"], about=vertex.id)
        self.scene.shapes.append(text)
        self.both(text, self.box, (text.x + text.width / 2, text.y), (-self.width / 2, text.y), edge.gradient, number)
        if head:
            self.note(-self.width / 2 - room / 2, text.y + 6 + SIZES["small"] * 0.6, head, edge.gradient)
        self.left = min(self.left, text.x - text.width / 2)
        self.loop[state] = text.id, self.box.id

    def leave(self, state: str, label: str, gradient: float, vertex: Vertex) -> None:
        """Add the last state, as a text at the end of its lane."""
        start, y = self.outs[state], self.lane_y[state]
        width, height = block([label], SIZES["name"])
        head = [f"d{label} {size_text(gradient)}"]
        x = self.right + max(block(head, SIZES["small"])[0] + 12 if start.look != "dot" else 0.0, 20.0)
        text = Shape(f"{self.name}e{state}", "text", x + width / 2 + 6, y, width + 8, height, [label], SIZES["name"],
                     about=vertex.id)  # fmt: skip
        self.scene.shapes.append(text)
        if state in self.loop:
            self.loop[state] = self.loop[state][0], text.id
        origin = start.x + (start.width / 2 if start is self.box else 0.0)
        self.both(start, text, (origin, y), (text.x - text.width / 2, y), gradient, None)

    def finished(self) -> Scene:
        """The finished scene, with its left edge at 0."""
        ends = [shape.x + shape.width / 2 for shape in self.scene.shapes]
        starts = [shape.x - shape.width / 2 for shape in self.scene.shapes]
        left, right = min(self.left, *starts), max(self.right, *ends)
        self.scene.width, self.scene.height = right - left, self.text + 14
        return self.scene.shift(-left, 0.0)


def _sum(head: str, label: str, terms: Sequence[tuple[str, float | None]]) -> list[str]:
    """The gradient of a state, and the terms of the sum if all of them are known."""
    if any(norm is None for _, norm in terms) or len(terms) < 2:
        return [head]
    signs = ["", *["+ "] * (len(terms) - 1)]
    return [f"{head} ="] + [f"{sign}d{label}_{tag} {size_text(norm)}" for sign, (tag, norm) in zip(signs, terms)]
