"""Steps side by side: every step, or fold of steps, is a tile, and the states run from tile to tile.

A tile has what it needs from outside as texts and boxes of its own, its input, its parameters, so that no line crosses
the picture. Layers are rows of tiles; a row that runs backward in time is drawn from right to left.
"""

from __future__ import annotations

import itertools

from ..model import extremes
from .geometry import Frame, Line, Note, Scene, Shape
from .labels import number_text
from .links import kind
from .theme import SIZES
from .tiles import Filler, Tile, tiles

PAD = 12.0  # between a tile and its frame
HEAD = 20.0  # the title of a frame
APART = 16.0  # between frames


class Steps(Filler):
    """The row of tiles of one cell, becoming a scene."""

    def scene(self) -> Scene:
        """All tiles with their frames, joined by their states."""
        every = tiles(self.graph, self.row)[:: -1 if self.about.reverse else 1]
        fill = self.fill_cell if self.graph.level == "cell" else self.fill
        for k, tile in enumerate(self.tiles):
            fill(tile, self.tiles[k - 1] if k else None, every[k + 1] if k + 1 < len(every) else None)
            if self.about.reverse:
                tile.scene.mirror()
        made = Scene()
        made.width = self.put()
        top, bottom = self.reach()
        for tile in self.tiles:
            frame = Frame(self.name_of(tile), tile.left, top, tile.scene.width + 2 * PAD, bottom - top, tile.title)
            made.frames.append(frame)
            made.add(tile.scene)
        for before, after in itertools.pairwise(self.tiles):
            for name in self.about.states:
                self.carry(made, before, after, name)
        if self.graph.full:
            top, bottom = self.loops(made, self.tiles[0], top, bottom)
        made.height = bottom - top
        return made.shift(0, -top)

    def reach(self) -> tuple[float, float]:
        """The upper and the lower edge of the frames."""
        shapes = [shape for tile in self.tiles for shape in tile.scene.shapes]
        notes = [note for tile in self.tiles for line in tile.scene.lines for note in line.notes]
        lowest = max(shape.y + shape.height / 2 for shape in shapes)
        lowest = max([lowest, *(note.y + 0.6 * note.size * len(note.lines) for note in notes)])
        return min(shape.y - shape.height / 2 for shape in shapes) - PAD - HEAD - 14, lowest + PAD + 6

    def put(self) -> float:
        """Put the tiles side by side, with the states at one height; how wide they are."""
        x, name = 0.0, self.about.states[0]
        level = max(self.height(tile, name) for tile in self.tiles)
        for tile in self.tiles[::-1] if self.about.reverse else self.tiles:
            tile.left, tile.down = x, PAD + HEAD + level - self.height(tile, name)
            tile.scene.shift(x + PAD, tile.down)
            x += tile.scene.width + 2 * PAD + APART
        return x - APART

    def loops(self, made: Scene, tile: Tile, top: float, bottom: float) -> tuple[float, float]:
        """Every state's way back to where it comes in, around the one body; the new top and bottom."""
        frame, room = made.frames[-1], 30.0 + 8 * len(self.about.states)
        frame.title = f"×{self.about.steps}: every step"
        if self.graph.level == "op":
            frame.title += f"; the numbers are of step {self.tiles[0].first}"
        for k, name in enumerate(self.about.states[::-1]):
            last = k == len(self.about.states) - 1
            y = bottom + 18 if last else top - 18 - 26 * k
            if name in tile.loop:
                end, start = (tile.scene.shape(id) for id in tile.loop[name])
                self.loop(made, name, start, end, y, 16.0 + 8 * k, last)
                top, bottom = (top, y + 24) if last else (min(top, y - 24), bottom)
        made.shift(room, 0)
        made.width = frame.width + 2 * room
        return top, bottom

    def loop(self, made: Scene, name: str, start: Shape, end: Shape, y: float, out: float, below: bool) -> None:
        """One state's way around the body, and back beside it."""
        frame = made.frames[-1]
        left, right = frame.x - out, frame.x + frame.width + out
        way = [(start.x + start.width / 2, start.y), (right, start.y), (right, y), (left, y), (left, end.y),
               (end.x - end.width / 2, end.y)]  # fmt: skip
        norms = [norm for norm in self.about.gradients[f"d{name}"] if norm is not None]
        words = f"{name}, ×{self.about.steps}"
        made.lines.append(Line(f"fr{self.row}loop{name}", start.id, end.id, way, straight=True))
        if norms:
            least, greatest = extremes(norms)
            words += f"   ‖d{name}‖ {number_text(least)} … {number_text(greatest)}"
            across = -5 if below else 5
            sides = [(0, 5), (5, 5), (5, across), (-5, across), (-5, 5), (0, 5)]
            inner = [(x + dx, at + dy) for (x, at), (dx, dy) in zip(reversed(way), sides)]
            level, id = self.style.scale.level(greatest), f"br{self.row}loop{name}"
            made.lines.append(Line(id, end.id, start.id, inner, kind(greatest), level, straight=True))
        made.notes.append(Note((left + right) / 2, y + (10 if below else -10), [words], SIZES["text"]))

    def height(self, tile: Tile, name: str) -> float:
        """At which height a state comes into a tile."""
        if name in tile.rails:
            return tile.rails[name]
        return tile.scene.shape(tile.ins[name]).y if name in tile.ins else 0.0

    def carry(self, made: Scene, before: Tile, after: Tile, name: str) -> None:
        """The line of a state from one tile to the next, and back."""
        if name not in before.outs or name not in after.ins:
            return
        start, end = before.scene.shape(before.outs[name]), after.scene.shape(after.ins[name])
        sign = -1 if end.x < start.x else 1
        out = start.width / 2 if start.look in ("box", "fold") else 0.0
        low, high = (before.rails.get(name, start.y - before.down), after.rails.get(name, end.y - after.down))
        way = [(start.x + sign * out, low + before.down), (end.x - sign * end.width / 2, high + after.down)]
        time = after.last if self.about.reverse else after.first
        gradient, id = self.about.carried[f"d{name}"][time], f"r{self.row}c{after.first}{name}"
        cut = time in self.about.cuts
        apart = self.style.apart if gradient is not None and not cut else 0.0
        look = "cut" if cut else "forward"
        forward = Line(f"f{id}", start.id, end.id, [(x, y - apart) for x, y in way], look, head=end.look != "dot")
        if cut:
            made.notes.append(Note((way[0][0] + way[1][0]) / 2, way[0][1] - 10, ["✂"], 14.0, "faint"))
        made.lines.append(forward)
        if gradient is not None and not cut:
            back = [(x, y + apart) for x, y in reversed(way)]
            level = self.style.scale.level(gradient)
            made.lines.append(Line(f"b{id}", end.id, start.id, back, kind(gradient), level, head=start.look != "dot"))
