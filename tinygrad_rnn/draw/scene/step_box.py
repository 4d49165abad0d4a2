"""A step as one box, as the books draw it: the rails of the states through it, everything else below.

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

BOX, RAIL, TOP, FLOOR = 92.0, 46.0, 34.0, 96.0  # width of a box, distance of rails, above the first, below the last


class CellTile:
    """The shapes and lines of one step; ``x`` grows as they are put beside each other."""

    def __init__(self, name: str, main: Vertex, states: Sequence[str], style: Style, fold: Fold | None,
                 room: float = 0.0):  # fmt: skip
        self.name, self.style, self.states = name, style, list(states)[::-1]
        self.scene = Scene()
        self.rails = {state: TOP + k * RAIL for k, state in enumerate(self.states)}
        if len(self.states) == 1:
            self.rails = {self.states[0]: TOP + RAIL / 2}
        low = TOP + RAIL * max(len(self.states) - 1, 1)
        self.bottom, self.text = low + 20.0, low + FLOOR
        lines = [main.op]
        if fold is not None:
            ends = [f"‖{name}‖ {number_text(least)} … {number_text(fold.greatest[name])}"
                    for name, least in fold.least.items()]  # fmt: skip
            lines = [f"{main.op} ×{fold.count}", *ends]
        size = SIZES["name"] if fold is None else SIZES["text"]
        self.wide = max(BOX, block(lines, size)[0] + 16, room + 56)
        look, middle, high = "box" if fold is None else "fold", (self.bottom + TOP - 20) / 2, self.bottom - TOP + 20
        self.box = Shape(f"{name}{main.id}", look, 0.0, middle, self.wide, high, lines, size, about=main.id)
        self.scene.shapes.append(self.box)
        self.left, self.right = -self.wide / 2, self.wide / 2
        self.ins = dict.fromkeys(self.states, self.box)
        self.outs = dict.fromkeys(self.states, self.box)
        self.loop: dict[str, tuple[str, str]] = {}

    # -- below the box

    def feed(self, label: str, look: str, about: Vertex | None, edge: Edge | None, number: int | None,
             told: Sequence[str], at: float) -> None:  # fmt: skip
        """Something that comes in from below, with what goes back to it."""
        wide, high = block([label], SIZES["text"])
        stub = Shape(f"{self.name}u{len(self.scene.shapes)}", look, at, self.text, wide + 10, high + 8, [label],
                     SIZES["text"], about=about.id if about else "")  # fmt: skip
        self.scene.shapes.append(stub)
        self.right = max(self.right, at + stub.width / 2)
        gradient = edge.gradient if edge is not None else None
        self.both(stub, self.box, (at, self.text - stub.height / 2), (at, self.bottom), gradient, number)
        if told:
            size = block(told, SIZES["small"])
            self.note(at + 10 + size[0] / 2, (self.bottom + self.text - 12) / 2, told, gradient)
            self.right = max(self.right, at + 12 + size[0])

    def both(self, source: Shape, target: Shape, start: tuple[float, float], end: tuple[float, float],
             gradient: float | None, number: int | None) -> None:  # fmt: skip
        """A straight line there, and one back beside it."""
        aside = self.style.apart if gradient is not None else 0.0
        dx, dy = (aside, 0.0) if start[0] == end[0] else (0.0, -aside)
        id = f"{self.name}{len(self.scene.lines)}"
        there = [(start[0] - dx, start[1] + dy), (end[0] - dx, end[1] + dy)]
        self.scene.lines.append(Line(f"f{id}", source.id, target.id, there, "forward", None, number,
                                     straight=True, head=target.look != "dot"))  # fmt: skip
        if gradient is not None:
            way = [(end[0] + dx, end[1] - dy), (start[0] + dx, start[1] - dy)]
            line = Line(f"b{id}", target.id, source.id, way, kind(gradient), self.style.scale.level(gradient), number,
                        straight=True, head=source.look != "dot")  # fmt: skip
            self.scene.lines.append(line)

    def note(self, x: float, y: float, lines: Sequence[str], gradient: float | None) -> None:
        """Text about a gradient, in its colour."""
        look = "ink" if gradient is None else f"level {self.style.scale.level(gradient)}"
        look = "bad" if gradient is not None and kind(gradient) == "bad" else look
        self.scene.notes.append(Note(x, y, lines, SIZES["small"], look))

    # -- beside it

    def give(self, state: str, label: str, gradient: float | None, terms: Sequence[tuple[str, float | None]],
             value: Vertex, away: Sequence[int | None]) -> None:  # fmt: skip
        """A state on its rail to the right: its name, its gradient, and if it goes elsewhere too, a dot and the sum."""
        y = self.rails[state]
        head = f"d{label} {size_text(gradient)}" if gradient is not None else ""
        if not away:
            named = [f"d{label}_{tag} {size_text(norm)}" for tag, norm in terms if norm is not None]
            self.on_rail(y, label, named[0] if named else "", gradient)
            return
        wide, high = block([label], SIZES["text"])
        at = max(self.right + 12 + wide / 2, self.wide / 2 + 22)
        dot = Shape(f"{self.name}d{state}", "dot", at, y, 7.0, 7.0, about=value.id)
        self.both(self.box, dot, (self.wide / 2, y), (at, y), gradient, None)
        text = Shape(f"{self.name}o{state}", "text", at, self.text, wide + 10, high + 8, [label], SIZES["text"],
                     about=value.id)  # fmt: skip
        out = next((norm for tag, norm in terms if tag == "output"), None)
        self.both(dot, text, (at, y), (at, self.text - text.height / 2), out, away[0])
        self.outs[state] = dot
        self.scene.shapes += [dot, text]
        if head:
            told = _sum(head, label, terms)
            wide = block(told, SIZES["small"])[0]
            self.note(at + 12 + wide / 2, (self.bottom + self.text - 10) / 2, told, gradient)
            self.right = max(self.right, at + 14 + wide)

    def on_rail(self, y: float, label: str, head: str, gradient: float | None) -> None:
        """The name of a state above its rail, its gradient below."""
        wide = max(block([label], SIZES["name"])[0], block([head], SIZES["small"])[0])
        at = self.wide / 2 + 14 + wide / 2
        self.scene.notes.append(Note(at, y - 5 - SIZES["name"] * 0.6, [label], SIZES["name"]))
        if head:
            self.note(at, y + 6 + SIZES["small"] * 0.6, [head], gradient)
        self.right = max(self.right, at + wide / 2)

    def enter(self, state: str, label: str, vertex: Vertex, edge: Edge, number: int) -> None:
        """The first state, as a text on its rail."""
        wide, high = block([label], SIZES["name"])
        head = [f"d{label} {size_text(edge.gradient)}"] if edge.gradient is not None else []
        room = max(block(head, SIZES["small"])[0] + 12, 26.0)
        x, y = -self.wide / 2 - room - wide / 2 - 6, self.rails[state]
        text = Shape(f"{self.name}i{state}", "text", x, y, wide + 8, high, [label], SIZES["name"], about=vertex.id)
        self.scene.shapes.append(text)
        self.both(text, self.box, (text.x + text.width / 2, text.y), (-self.wide / 2, text.y), edge.gradient, number)
        if head:
            self.note(-self.wide / 2 - room / 2, text.y + 6 + SIZES["small"] * 0.6, head, edge.gradient)
        self.left = min(self.left, text.x - text.width / 2)
        self.loop[state] = text.id, self.box.id

    def leave(self, state: str, label: str, gradient: float, vertex: Vertex) -> None:
        """The last state, as a text at the end of its rail."""
        start, y = self.outs[state], self.rails[state]
        wide, high = block([label], SIZES["name"])
        head = [f"d{label} {size_text(gradient)}"]
        x = self.right + max(block(head, SIZES["small"])[0] + 12 if start.look != "dot" else 0.0, 20.0)
        text = Shape(f"{self.name}e{state}", "text", x + wide / 2 + 6, y, wide + 8, high, [label], SIZES["name"],
                     about=vertex.id)  # fmt: skip
        self.scene.shapes.append(text)
        if state in self.loop:
            self.loop[state] = self.loop[state][0], text.id
        origin = start.x + (start.width / 2 if start is self.box else 0.0)
        self.both(start, text, (origin, y), (text.x - text.width / 2, y), gradient, None)

    def finished(self) -> Scene:
        """The scene, with its left edge at 0."""
        ends = [shape.x + shape.width / 2 for shape in self.scene.shapes]
        starts = [shape.x - shape.width / 2 for shape in self.scene.shapes]
        left, right = min(self.left, *starts), max(self.right, *ends)
        self.scene.width, self.scene.height = right - left, self.text + 14
        return self.scene.shift(-left, 0.0)


def _sum(head: str, label: str, terms: Sequence[tuple[str, float | None]]) -> list[str]:
    """The gradient of a state, and what it is the sum of, if all of that is known."""
    if any(norm is None for _, norm in terms) or len(terms) < 2:
        return [head]
    signs = ["", *["+ "] * (len(terms) - 1)]
    return [f"{head} ="] + [f"{sign}d{label}_{tag} {size_text(norm)}" for sign, (tag, norm) in zip(signs, terms)]
