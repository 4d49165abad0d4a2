"""From placed units to a scene: boxes of steps, bars, lines with their way back, texts."""

from __future__ import annotations

from collections.abc import Sequence

from ...model import extremes
from ..book.nets import corners
from ..geometry import Frame, Point, Scene, Shape
from ..links import Style
from ..theme import block
from .elements import Bar, Row, StepBox, Wire
from .pen import AWAY, NAME, Pen
from .placement import BOX, CLEAR, LOOP, STUB, Placement
from .routes import BAR
from .texts import SIZE, wide


class Drawing(Pen):
    """Draws the units of a graph."""

    def __init__(self, placement: Placement, style: Style):
        super().__init__(placement.texts, style)
        self.place = placement
        self.shape_of: dict[StepBox | Bar, Shape] = {}

    def scene(self) -> Scene:
        """The whole scene, with its upper left corner at 0."""
        for row in self.place.units.rows:
            self.add_row(row)
        for bar in self.place.units.bars:
            self.add_bar(bar)
        for wire in self.place.units.wires:
            if not self.place.is_level(wire):
                (self.feed if isinstance(wire.source, str) else self.rise)(wire)
            elif isinstance(wire.source, Bar):
                self.enter_from_bar(wire)
            else:
                self.run_on_lane(wire)
        for row in self.place.units.rows if self.graph.full else ():
            for state in self.graph.rows[row.number].states:
                self.loop(row, state)
        return self.out

    # -- rows

    def add_row(self, row: Row) -> None:
        """Add the frame of a row, its steps, and its parameters beside the frame."""
        place, number = self.place, row.number
        top, bottom = place.top[row.level], place.bottom[row.level]
        for box in row.boxes:
            left, right = place.extent(box)
            look = "fold" if box.vertex.kind == "fold" else "box"
            id, about = f"r{number}t{box.first}_{box.vertex.id}", box.vertex.id
            shape = Shape(id, look, (left + right) / 2, (top + bottom) / 2, right - left, bottom - top,
                          self.texts.box(box), BOX, about=about)  # fmt: skip
            self.shape_of[box] = shape
            self.out.shapes.append(shape)
        ends = [place.extent(box) for box in (row.boxes[0], row.boxes[-1])]
        left, right = ends[0][0] - 10 - 15.0 * place.passing[row.boxes[0].column], ends[1][1] + 10
        self.out.frames.append(Frame(f"r{number}_", left, top - 8, right - left, bottom - top + 16))
        sign, edge, entry = (-1, right, row.high) if row.reverse else (1, left, row.low)
        if len(self.graph.rows) > 1:
            title = f"{self.graph.titles[number]}, backward in time" if row.reverse else self.graph.titles[number]
            self.note(place.x[entry], top - 10, title.split(", "), "faint")
        if place.params[row]:
            self.add_params(row, place.x[entry], edge, sign)

    def add_params(self, row: Row, x: float, edge: float, sign: int) -> None:
        """Add the box of a row's parameters, with lines to the frame: below the states that enter, if any do."""
        width, height = block(self.place.params[row], SIZE)
        width, height = width + 14, height + 8
        y = (self.place.top[row.level] + self.place.bottom[row.level] - height) / 2
        if self.place.has_entry(row):
            y = self.place.lane(row, self.graph.rows[row.number].states[-1]) + 22
        members = tuple(dict.fromkeys(self.graph.edges[k].source for k in row.params))
        about = self.graph.rows[row.number]
        box = Shape(f"w{row.number}", "parameter", x, y + height / 2, width, height, self.place.params[row], SIZE,
                    about=members[0] if members else "", members=members)  # fmt: skip
        port = Shape(f"w{row.number}p", "port", edge, y + height / 2, 0.1, 0.1, about=row.boxes[0].vertex.id)
        self.out.shapes += [box, port]
        known = [total for total in about.totals.values() if total is not None]
        path = [(x + sign * width / 2, y + height / 2 - AWAY / 2), (edge, y + height / 2 - AWAY / 2)]
        self.line(f"w{row.number}", box, port, path, tuple(row.params), max(known, default=None))

    # -- bars

    def add_bar(self, bar: Bar) -> None:
        """Add a bar, its parameters to the left and its other leaves to the right."""
        left, right = self.place.extent(bar)
        y = self.place.bottom[bar.level] - BAR / 2
        members = tuple(vertex.id for vertex in bar.members)
        shape = Shape(f"b{bar.key}", "long", (left + right) / 2, y, right - left, BAR, [self.texts.bar(bar)], NAME,
                      about=bar.key, members=members if len(members) > 1 else ())  # fmt: skip
        self.shape_of[bar] = shape
        self.out.shapes.append(shape)
        sides: tuple[list[int], list[int]] = ([], [])
        for number in bar.leaves:
            source = self.graph.known[self.graph.edges[number].source]
            sides[not self.place.units.is_prepared(source)].append(number)
        for numbers, lines, sign, edge in zip(sides, self.texts.leaves(bar), (1, -1), (left, right)):
            if numbers:
                self.add_leaves(shape, numbers, lines, sign, edge)

    def add_leaves(self, bar: Shape, numbers: Sequence[int], lines: list[str], sign: int, edge: float) -> None:
        """Add the leaves of one side of a bar as one box or text, with one line."""
        edges = [self.graph.edges[number] for number in numbers]
        sources = tuple(dict.fromkeys(edge.source for edge in edges))
        width, height = block(lines, SIZE)
        look, width, height = ("parameter" if sign > 0 else "text"), width + 12, max(height + 4, 20.0)
        x = edge - sign * (26 + width / 2)
        leaf = Shape(f"{bar.id}l{sign}", look, x, bar.y, width, height, lines, SIZE, about=sources[0],
                     members=sources if len(sources) > 1 else ())  # fmt: skip
        self.out.shapes.append(leaf)
        norms = [edge.gradient for edge in edges if edge.gradient is not None]
        path = [(x + sign * width / 2, bar.y - AWAY / 2), (edge, bar.y - AWAY / 2)]
        self.line(leaf.id, leaf, bar, path, tuple(numbers), max(norms, default=None))

    # -- wires

    def feed(self, wire: Wire) -> None:
        """Draw what comes from below as a text."""
        assert isinstance(wire.target, StepBox)
        x, y = self.place.end_x(wire, wire.target, False), self.place.bottom[wire.target.row.level]
        stub = self.stub(wire, x, y + STUB + 11, self.texts.fed(wire), wire.value.id)
        self.join(wire, stub, self.shape_of[wire.target], [(x, y + STUB), (x, y)])
        self.beside(x, y + STUB / 2 + 2, self.texts.gradient(wire), wire)

    def rise(self, wire: Wire) -> None:
        """Draw a wire that rises from a unit to another, or to a text."""
        assert not isinstance(wire.source, str)
        place, texts = self.place, self.texts
        head, gradient = texts.head(wire), texts.gradient(wire)
        source, below = self.shape_of[wire.source], place.top_of(wire.source)
        x = place.end_x(wire, wire.source, True)
        if isinstance(wire.target, str):
            text = wire.target or texts.name(wire.value, wire.source)
            stub = self.stub(wire, x, below - STUB - 11, text, wire.value.id)
            self.join(wire, source, stub, [(x, below), (x, below - STUB)])
            self.beside(x, below - STUB / 2 - 2, gradient, wire)
            return
        self.join(wire, source, self.shape_of[wire.target], corners(place.path(wire)))
        far = place.far(wire) if wire in place.tracks else 0.0
        if isinstance(wire.source, StepBox):
            self.note(x - 8 - wide(head, NAME) / 2, below - far - 16, [head], "ink", NAME)
        elif far:
            start, track = place.path(wire)[0][0], place.track_x(wire)
            if start == track and isinstance(wire.target, StepBox):  # to the left, clear of what rises in the column
                self.note(start - 6 - wide(gradient) / 2, below - far - 16, [gradient], self.ink(wire))
                return
            alone = place.passing[place.tracks[wire][0]] == 1 and wire not in place.levels.back
            x, far = (track, far + 2.0) if alone else (start, far - 16.0 + 8.0 * (wire in place.levels.back))
        self.beside(x, below - far - 16, gradient, wire)

    def run_on_lane(self, wire: Wire) -> None:
        """Draw a state on its lane: from step to step, from its text, or to its text."""
        place = self.place
        box = wire.source if isinstance(wire.source, StepBox) else wire.target
        assert isinstance(box, StepBox)
        shape, y = self.shape_of[box], place.lane(box.row, wire.state)
        ahead = (wire.source is box) is not box.row.reverse  # to the right of the box
        side = 1 if ahead else -1
        start = (shape.x + side * shape.width / 2, y)
        if isinstance(wire.target, StepBox) and isinstance(wire.source, StepBox):
            self.join(wire, shape, self.shape_of[wire.target], self.lane_path(wire, wire.target, start))
        else:
            name = wire.target if isinstance(wire.target, str) and wire.source is box else wire.value.name or wire.state
            text = self.stub(wire, place.x[box.column + side], y, name, wire.value.id)
            near = (text.x - side * text.width / 2, y)
            if wire.source is box:
                self.join(wire, shape, text, [start, near])
            else:
                self.join(wire, text, shape, [near, start])
        self.beside_lane(wire, box, start, side)

    def lane_path(self, wire: Wire, target: StepBox, start: Point) -> list[Point]:
        """The way of a state to its lane in a row, which may be another row."""
        shape, row, x = self.shape_of[target], target.row, self.place.x
        sign, column = (-1, row.high) if row.reverse else (1, row.low)
        end = shape.x - sign * shape.width / 2, self.place.lane(row, wire.state)
        place = self.graph.rows[row.number].states.index(wire.state)
        middle = x[column] - sign * (self.place.half[column] + 10 + 14 * place)
        return corners([start, (middle, start[1]), (middle, end[1]), end] if end[1] != start[1] else [start, end])

    def loop(self, row: Row, state: str) -> None:
        """Draw the way of a state from a step to the next, where all steps are one box."""
        shape, y = self.shape_of[row.boxes[0]], self.place.lane(row, state)
        side = -1 if row.reverse else 1
        x, y = shape.x + side * shape.width / 2, y + side * 9.0
        path = [(x, y), (x + side * (LOOP - 8), y), (x + side * (LOOP - 8), y + side * 25.0), (x, y + side * 25.0)]
        known = [norm for norm in self.graph.rows[row.number].gradients[f"d{state}"] if norm is not None]
        gradient = extremes(known)[1] if known else None
        self.line(f"{shape.id}loop{state}", shape, shape, path, (), gradient)

    def beside_lane(self, wire: Wire, box: StepBox, start: Point, side: int) -> None:
        """Add the name of a state to the left of its lane, and the gradient on the side of the way back."""
        up = -1 if box.row.reverse else 1
        aside = 15.0 * self.place.passing[box.column] * (side < 0)
        if self.graph.full and wire.source is box:
            aside += LOOP
        elif not (isinstance(wire.target, StepBox) and wire.target.row is box.row) or isinstance(wire.source, str):
            aside += 10.0  # beyond the frame
        start = start[0] + side * aside, start[1]
        texts = [(self.texts.gradient(wire), SIZE, self.ink(wire), up * (AWAY + 10))]
        if wire.source is box and not isinstance(wire.target, str):
            texts.append((self.texts.head(wire), NAME, "ink", -up * 13.0))
        for text, size, look, dy in texts:
            if text:
                self.note(start[0] + side * (CLEAR + wide(text, size) / 2), start[1] + dy, [text], look, size)
        if wire.cut:
            x = start[0] + side * (30 + wide(self.texts.head(wire), NAME))
            self.note(x, start[1] - up * 12.0, ["✂"], "faint", 14.0)

    def enter_from_bar(self, wire: Wire) -> None:
        """Draw a first state that a bar computes: up to its lane, and along it."""
        assert isinstance(wire.source, Bar) and isinstance(wire.target, StepBox)
        box, bar, row = self.shape_of[wire.target], self.shape_of[wire.source], wire.target.row
        side, y = (-1 if row.reverse else 1), self.place.lane(row, wire.state)
        column, place = (row.high if row.reverse else row.low), self.graph.rows[row.number].states.index(wire.state)
        x = self.place.x[column] + side * (self.place.half[column] + 6.0 + 9.0 * place)  # beside the parameters
        up = -1 if y < bar.y else 1
        edge, start = bar.y + up * bar.height / 2, bar.x + side * min(18.0 * place, bar.width / 2 - 8)
        turn = edge + up * (8.0 + 6.0 * place)
        self.join(wire, bar, box, corners([(start, edge), (start, turn), (x, turn), (x, y),
                                           (box.x - side * box.width / 2, y)]))  # fmt: skip
        text = self.texts.gradient(wire)
        left = box.x - side * (box.width / 2 + CLEAR + wide(text) / 2)
        self.note(left, y + side * (AWAY + 10), [text], self.ink(wire))
