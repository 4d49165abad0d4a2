"""What stands below the steps: the norms of the states' gradients by step, and one sum for each parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..model import Graph, RowOfSteps, extremes
from .geometry import Line, Note, Scene, Shape
from .labels import number_text, size_text
from .theme import LEVELS, SIZES, block

HEIGHT, MARGIN, TOP = 120.0, 70.0, 26.0
POINTS = 240  # of a curve
FAR = 1e3  # a gradient that is this much smaller or larger than at the last step has vanished, or exploded
BARS = "▁▂▃▄▅▆▇█"
FEW = 6  # steps whose norms are written out


def strip(row: RowOfSteps, number: int, wide: float, title: str) -> Scene:
    """The norms by step, on a log axis, with where they vanish or explode."""
    curves = {name: thinned(norms) for name, norms in row.gradients.items()}
    known = [norm for points in curves.values() for _, norm in points if math.isfinite(norm)]
    if not any(curves.values()):
        return Scene()
    plot = _Plot(f"strip{number}_", row.steps, min(known, default=1.0), max(known, default=1.0), wide)
    plot.note(block([title], SIZES["text"])[0] / 2, 10, title)
    plot.free = block([title], SIZES["text"])[0] + 24
    plot.axes()
    for k, (name, points) in enumerate(curves.items()):
        if points:
            plot.curve(name, points, k)
    return plot.scene


def thinned(norms: Sequence[float | None]) -> list[tuple[int, float]]:
    """The steps and norms to draw: of very many, some, and all that are no numbers; none where a norm is 0."""
    every = max(1, math.ceil(len(norms) / POINTS))
    return [(k, norm) for k, norm in enumerate(norms) if norm is not None and norm != 0
            and (k % every == 0 or k == len(norms) - 1 or not math.isfinite(norm))]  # fmt: skip


def marks(name: str, points: Sequence[tuple[int, float]]) -> list[tuple[str, int, float]]:
    """Where, going back from the last step, a gradient has vanished or exploded: a word, the step, its norm there."""
    fine = [(step, norm) for step, norm in points if math.isfinite(norm)]
    last = fine[-1][1] if fine else 1.0
    for step, norm in reversed(fine):
        if norm < last / FAR:
            return [(f"{name} vanishes", step, norm)]
        if norm > last * FAR:
            return [(f"{name} explodes", step, norm)]
    return []


class _Plot:
    """A plot in the making: steps to the right, norms upward on a log scale."""

    def __init__(self, name: str, steps: int, least: float, greatest: float, wide: float):
        self.name, self.steps, self.right = name, steps, wide - 90.0
        self.least, self.greatest = math.floor(math.log10(least)), math.ceil(math.log10(greatest))
        self.greatest += self.least == self.greatest
        self.scene = Scene(wide, HEIGHT + 58)
        self.free = 0.0  # where a note above the plot may begin

    def at(self, step: float, norm: float) -> tuple[float, float]:
        place = (math.log10(norm) - self.least) / (self.greatest - self.least)
        return MARGIN + (self.right - MARGIN) * step / max(self.steps - 1, 1), TOP + HEIGHT * (1 - place)

    def axes(self) -> None:
        for decade in range(self.least, self.greatest + 1, max(1, (self.greatest - self.least) // 4)):
            y = self.at(0, 10.0**decade)[1]
            self.line([(MARGIN, y), (self.right, y)], "axis")
            self.note(MARGIN - 28, y, f"1e{decade}")
        for step in dict.fromkeys([0, (self.steps - 1) // 2, self.steps - 1]):
            self.note(self.at(step, 10.0**self.least)[0], TOP + HEIGHT + 14, f"step {step}")

    def curve(self, name: str, points: Sequence[tuple[int, float]], number: int) -> None:
        """A line with its name at the right end, and a word where it vanishes or explodes."""
        level = 0 if number else LEVELS - 1
        way: list[tuple[float, float]] = []
        ends = TOP + HEIGHT / 2
        for step, norm in [*points, (-1, math.nan)]:  # a curve ends where a norm is no number
            if math.isfinite(norm):
                way.append(self.at(step, norm))
                ends = way[-1][1]
            else:
                self.line(way, f"curve {level}")
                way = []
        self.note(self.right + 40, ends + 7 * (number or -1), f"‖{name}‖", f"level {level}")
        self.broken(name, points)
        for words, step, norm in marks(name, points):
            x, y = self.at(step, norm)
            x, y = min(max(x, MARGIN + 50), self.right - 50), y - 12 if level else y + 12
            self.note(x, min(max(y, TOP), TOP + HEIGHT - 6), words, f"level {level}")

    def broken(self, name: str, points: Sequence[tuple[int, float]]) -> None:
        """Say of which steps the norm is NaN or infinite: above the plot, from the first to the last."""
        for what, is_so in (("NaN", math.isnan), ("inf", math.isinf)):
            steps = [step for step, norm in points if is_so(norm)]
            if steps:
                where = f"step {steps[0]}" if len(steps) == 1 else f"{len(steps)} steps, {steps[0]} to {steps[-1]}"
                text = f"‖{name}‖ is {what} at {where}"
                wide = block([text], SIZES["small"])[0]
                self.note(self.free + wide / 2, 10, text, "bad")
                self.free += wide + 24
                self.scene.width = max(self.scene.width, self.free)

    def note(self, x: float, y: float, text: str, look: str = "faint") -> None:
        self.scene.notes.append(Note(x, y, [text], SIZES["small"], look))

    def line(self, points: Sequence[tuple[float, float]], look: str) -> None:
        """A line that joins no shapes needs two of its own, which are not seen."""
        if len(points) < 2:
            return
        count = len(self.scene.shapes)
        ends = [Shape(f"{self.name}{count + k}", "port", *points[-k], 0.1, 0.1) for k in (0, 1)]
        self.scene.shapes += ends
        line = Line(f"{self.name}{count}l", ends[0].id, ends[1].id, list(points), look, head=False, straight=True)
        self.scene.lines.append(line)


def sums(graph: Graph, row: int) -> Scene:
    """One box for each parameter: its gradient is the sum of what the steps give."""
    made, x = Scene(), 0.0
    totals = graph.rows[row].totals
    for name, norms in graph.rows[row].weights.items():
        known = [norm for norm in norms if norm is not None]
        lines = [f"{name} = Σₜ {name}⁽ᵗ⁾   {size_text(totals.get(name))}", "by step: " + told(known)]
        wide, high = block(lines, SIZES["small"])
        shape = Shape(f"sum{row}_{name}", "parameter", x + wide / 2 + 8, high / 2 + 6, wide + 16, high + 12, lines,
                      SIZES["small"])  # fmt: skip
        made.shapes.append(shape)
        x += wide + 32
    made.width, made.height = x, 44.0 if made.shapes else 0.0
    return made


def told(norms: Sequence[float]) -> str:
    """The norms, or if there are many, their range and a small picture."""
    if len(norms) <= FEW:
        return "  ".join(size_text(norm) for norm in norms)
    top = max((norm for norm in norms if math.isfinite(norm)), default=0.0) or 1.0
    every = math.ceil(len(norms) / 24)
    shown = [extremes(norms[k : k + every])[1] for k in range(0, len(norms), every)]
    least, greatest = extremes(norms)
    bars = "".join(BARS[min(int(norm / top * 7.99), 7)] if math.isfinite(norm) else "?" for norm in shown)
    return f"{number_text(least)} … {number_text(greatest)}  {bars}"
