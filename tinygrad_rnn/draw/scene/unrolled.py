"""Steps side by side: every step, or fold of steps, is a tile, and the states run from tile to tile.

A tile repeats its input and its parameters as texts and boxes inside, so that no line crosses the picture. Each layer
is a row of tiles; a row that runs backward in time is drawn from right to left.
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


class StepRow(Filler):
    """The row of tiles of a cell; `scene` draws it."""

    def scene(self) -> Scene:
        """All tiles with their frames, joined by the lines of the states."""
        all_tiles = tiles(self.graph, self.row)[:: -1 if self.about.reverse else 1]
        for k, tile in enumerate(self.tiles):
            self.fill(tile, self.tiles[k - 1] if k else None, all_tiles[k + 1] if k + 1 < len(all_tiles) else None)
            if self.about.reverse:
                tile.scene.mirror()
        scene = Scene()
        scene.width = self.put()
        top, bottom = self.reach()
        for tile in self.tiles:
            frame = Frame(self.name_of(tile), tile.left, top, tile.scene.width + 2 * PAD, bottom - top, tile.title)
            scene.frames.append(frame)
            scene.add(tile.scene)
        for before, after in itertools.pairwise(self.tiles):
            for name in self.about.states:
                self.carry(scene, before, after, name)
        if self.graph.full:
            top, bottom = self.loops(scene, self.tiles[0], top, bottom)
        scene.height = bottom - top
        return scene.shift(0, -top)

    def reach(self) -> tuple[float, float]:
        """The y of the upper and the lower edge of the frames."""
        shapes = [shape for tile in self.tiles for shape in tile.scene.shapes]
        notes = [note for tile in self.tiles for line in tile.scene.lines for note in line.notes]
        lowest = max(shape.y + shape.height / 2 for shape in shapes)
        lowest = max([lowest, *(note.y + 0.6 * note.size * len(note.lines) for note in notes)])
        return min(shape.y - shape.height / 2 for shape in shapes) - PAD - HEAD - 14, lowest + PAD + 6

    def put(self) -> float:
        """Put the tiles side by side, with the states at the same height. Returns the total width."""
        x, name = 0.0, self.about.states[0]
        level = max(self.entry_y(tile, name) for tile in self.tiles)
        for tile in self.tiles[::-1] if self.about.reverse else self.tiles:
            tile.left, tile.down = x, PAD + HEAD + level - self.entry_y(tile, name)
            tile.scene.shift(x + PAD, tile.down)
            x += tile.scene.width + 2 * PAD + APART
        return x - APART

    def loops(self, scene: Scene, tile: Tile, top: float, bottom: float) -> tuple[float, float]:
        """Draw each state's loop around the body, from its end to its entry. Returns the new top and bottom."""
        frame, room = scene.frames[-1], 30.0 + 8 * len(self.about.states)
        frame.title = f"×{self.about.steps}: every step"
        frame.title += f"; the numbers are of step {self.tiles[0].first}"
        for k, name in enumerate(self.about.states[::-1]):
            last = k == len(self.about.states) - 1
            y = bottom + 18 if last else top - 18 - 26 * k
            if name in tile.loop:
                end, start = (tile.scene.shape(id) for id in tile.loop[name])
                self.loop(scene, name, start, end, y, 16.0 + 8 * k, last)
                top, bottom = (top, y + 24) if last else (min(top, y - 24), bottom)
        scene.shift(room, 0)
        scene.width = frame.width + 2 * room
        return top, bottom

    def loop(self, scene: Scene, name: str, start: Shape, end: Shape, y: float, out: float, below: bool) -> None:
        """Draw the loop of a state around the body: the forward line, and the backward line beside it."""
        frame = scene.frames[-1]
        left, right = frame.x - out, frame.x + frame.width + out
        path = [(start.x + start.width / 2, start.y), (right, start.y), (right, y), (left, y), (left, end.y),
               (end.x - end.width / 2, end.y)]  # fmt: skip
        norms = [norm for norm in self.about.gradients[f"d{name}"] if norm is not None]
        text = f"{name}, ×{self.about.steps}"
        scene.lines.append(Line(f"fr{self.row}loop{name}", start.id, end.id, path, straight=True))
        if norms:
            least, greatest = extremes(norms)
            text += f"   |d{name}| {number_text(least)} … {number_text(greatest)}"
            side = -5 if below else 5
            offsets = [(0, 5), (5, 5), (5, side), (-5, side), (-5, 5), (0, 5)]
            inner = [(x + dx, at + dy) for (x, at), (dx, dy) in zip(reversed(path), offsets)]
            level, id = self.style.scale.level(greatest), f"br{self.row}loop{name}"
            scene.lines.append(Line(id, end.id, start.id, inner, kind(greatest), level, straight=True))
        scene.notes.append(Note((left + right) / 2, y + (10 if below else -10), [text], SIZES["text"]))

    def entry_y(self, tile: Tile, name: str) -> float:
        """The y at which a state enters a tile."""
        return tile.scene.shape(tile.ins[name]).y if name in tile.ins else 0.0

    def carry(self, scene: Scene, before: Tile, after: Tile, name: str) -> None:
        """Draw the line of a state from a tile to the next one, and the backward line."""
        if name not in before.outs or name not in after.ins:
            return
        start, end = before.scene.shape(before.outs[name]), after.scene.shape(after.ins[name])
        sign = -1 if end.x < start.x else 1
        path = [(start.x, start.y), (end.x - sign * end.width / 2, end.y)]
        time = self.start(after)
        gradient, id = self.about.carried[f"d{name}"][time], f"r{self.row}c{after.first}{name}"
        cut = time in self.about.cuts
        apart = self.style.apart if gradient is not None and not cut else 0.0
        look = "cut" if cut else "forward"
        forward = Line(f"f{id}", start.id, end.id, [(x, y - apart) for x, y in path], look, head=end.look != "dot")
        if cut:
            scene.notes.append(Note((path[0][0] + path[1][0]) / 2, path[0][1] - 10, ["✂"], 14.0, "faint"))
        scene.lines.append(forward)
        if gradient is not None and not cut:
            back = [(x, y + apart) for x, y in reversed(path)]
            level = self.style.scale.level(gradient)
            scene.lines.append(Line(f"b{id}", end.id, start.id, back, kind(gradient), level, head=start.look != "dot"))
