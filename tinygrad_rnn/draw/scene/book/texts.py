"""Places for texts beside lines, so that no text lies on a line, on a box or on another text."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..geometry import BACK, Line, Note, Point, Scene
from ..theme import block

CLEAR = 3.0  # the distance of a text from a line
STEP = 4.0  # between two places that are tried

Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass
class Texts:
    """What is taken already, and texts that find a place."""

    scene: Scene
    taken: list[Box] = field(default_factory=list)

    def __post_init__(self) -> None:
        for shape in self.scene.shapes:
            self.taken.append(around(shape.x, shape.y, shape.width + 2, shape.height + 2))
        for line in self.scene.lines:
            reach = CLEAR + (2.0 if line.look in BACK else 0.0)
            for (ax, ay), (bx, by) in itertools.pairwise(line.points):
                self.taken.append((min(ax, bx) - reach, min(ay, by) - reach, max(ax, bx) + reach, max(ay, by) + reach))

        for frame in self.scene.frames:
            for x in (frame.x, frame.x + frame.width):
                self.taken.append((x - 2, frame.y, x + 2, frame.y + frame.height))
            for y in (frame.y, frame.y + frame.height):
                self.taken.append((frame.x, y - 2, frame.x + frame.width, y + 2))

    def place(self, line: Line, lines: Sequence[str], size: float, look: str, *, right: bool) -> list[Note]:
        """A text beside a forward line, by preference to the right or to the left of its direction; [] without room."""
        width, height = block(lines, size)
        for x, y in self._places(line.points, width, height, right):
            box = around(x, y, width, height)
            if not any(_touch(box, other) for other in self.taken):
                self.taken.append(box)
                return [Note(x, y, lines, size, look)]
        return []

    def _places(self, points: Sequence[Point], width: float, height: float, right: bool) -> Iterator[Point]:
        """The middles of texts to try: along every piece, the longest first, on the wanted side and then opposite."""
        pieces = sorted(itertools.pairwise(points), key=lambda piece: -_length(piece))
        for side, piece in itertools.product((1, -1) if right else (-1, 1), pieces):
            (ax, ay), (bx, by) = piece
            upright, reach = abs(bx - ax) < 1e-6, CLEAR + (8.0 if (side > 0) else 0.0) + 1
            count = int(_length(piece) / STEP) + 1
            for k in sorted(range(count + 1), key=lambda k: abs(k - count / 2)):
                x, y = ax + (bx - ax) * k / count, ay + (by - ay) * k / count
                if upright:
                    yield x + side * (1 if by < ay else -1) * (reach + width / 2), y
                else:
                    yield x, y + side * (1 if bx > ax else -1) * (reach + height / 2)


def around(x: float, y: float, width: float, height: float) -> Box:
    """The box with its centre at (x, y)."""
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _length(piece: tuple[Point, Point]) -> float:
    (ax, ay), (bx, by) = piece
    return abs(bx - ax) + abs(by - ay)


def _touch(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
