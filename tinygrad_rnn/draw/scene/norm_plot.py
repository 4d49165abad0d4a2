"""Below the steps: a plot of the norms of the states' gradients by step, and a box for each parameter's gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..model import Graph, RowOfSteps, extremes
from .geometry import Line, Note, Scene, Shape
from .labels import BARS, number_text
from .theme import LEVELS, SIZES, block

HEIGHT, MARGIN, TOP = 120.0, 70.0, 26.0
POINTS = 240  # of a curve
FAR = 1e3  # a gradient this many times smaller or larger than at the last step has vanished or exploded
FEW = 6  # steps whose norms are written out


def norm_plots(graph: Graph, width: float) -> list[Scene]:
    """The plots of the norms by step, one for each row."""
    titles = [f", {title}" if len(graph.rows) > 1 else "" for title in graph.titles]
    return [norm_plot(row, number, width, f"norm of the gradient by step{titles[number]}")
            for number, row in enumerate(graph.rows)]  # fmt: skip


def norm_plot(row: RowOfSteps, number: int, width: float, title: str) -> Scene:
    """The norms by step on a log axis, with marks where they vanish or explode; empty if no norm is known."""
    curves = {name: thinned(norms) for name, norms in row.gradients.items()}
    known = [norm for points in curves.values() for _, norm in points if math.isfinite(norm)]
    if not any(curves.values()):
        return Scene()
    plot = _NormPlot(f"strip{number}_", row.steps, min(known, default=1.0), max(known, default=1.0), width)
    plot.note(block([title], SIZES["text"])[0] / 2, 10, title)
    plot.free = block([title], SIZES["text"])[0] + 24
    plot.axes()
    for k, (name, points) in enumerate(curves.items()):
        if points:
            plot.curve(name, points, k)
    return plot.scene


def thinned(norms: Sequence[float | None]) -> list[tuple[int, float]]:
    """The steps and norms to draw: about `POINTS` of them, all NaN and inf, and no zeros."""
    stride = max(1, math.ceil(len(norms) / POINTS))
    return [(k, norm) for k, norm in enumerate(norms) if norm is not None and norm != 0
            and (k % stride == 0 or k == len(norms) - 1 or not math.isfinite(norm))]  # fmt: skip


def marks(name: str, points: Sequence[tuple[int, float]]) -> list[tuple[str, int, float]]:
    """The latest step at which a gradient has vanished or exploded, as [(text, step, norm)]; empty if there is none."""
    fine = [(step, norm) for step, norm in points if math.isfinite(norm)]
    last = fine[-1][1] if fine else 1.0
    for step, norm in reversed(fine):
        if norm < last / FAR:
            return [(f"{name} vanishes", step, norm)]
        if norm > last * FAR:
            return [(f"{name} explodes", step, norm)]
    return []


class _NormPlot:
    """A plot under construction: steps to the right, norms upward on a log scale."""

    def __init__(self, name: str, steps: int, least: float, greatest: float, width: float):
        self.name, self.steps, self.right = name, steps, width - 90.0
        self.least, self.greatest = math.floor(math.log10(least)), math.ceil(math.log10(greatest))
        self.greatest += self.least == self.greatest
        self.scene = Scene(width, HEIGHT + 58)
        self.labels: list[float] = []  # the y of the names of curves
        self.free = 0.0  # the x at which the next note above the plot may begin

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
        """Add a curve with its name at the right end, and a mark where the gradient vanishes or explodes."""
        level = 0 if number else LEVELS - 1
        path: list[tuple[float, float]] = []
        label_y = TOP + HEIGHT / 2
        for step, norm in [*points, (-1, math.nan)]:  # a curve is interrupted at NaN and inf
            if math.isfinite(norm):
                path.append(self.at(step, norm))
                label_y = path[-1][1]
            else:
                self.line(path, f"curve {level}")
                path = []
        while any(abs(label_y - y) < 15 for y in self.labels):
            label_y += 1.0
        self.labels.append(label_y)
        self.note(self.right + 40, label_y, f"|{name}|", f"level {level}")
        self.note_not_finite(name, points)
        for text, step, norm in marks(name, points):
            x, y = self.at(step, norm)
            x, y = min(max(x, MARGIN + 50), self.right - 50), y - 12 if level else y + 12
            self.note(x, min(max(y, TOP), TOP + HEIGHT - 6), text, f"level {level}")

    def note_not_finite(self, name: str, points: Sequence[tuple[int, float]]) -> None:
        """Note above the plot at which steps the norm is NaN or inf, from the first to the last."""
        for kind, is_kind in (("NaN", math.isnan), ("inf", math.isinf)):
            steps = [step for step, norm in points if is_kind(norm)]
            if steps:
                where = f"step {steps[0]}" if len(steps) == 1 else f"{len(steps)} steps, {steps[0]} to {steps[-1]}"
                text = f"|{name}| is {kind} at {where}"
                width = block([text], SIZES["small"])[0]
                self.note(self.free + width / 2, 10, text, "bad")
                self.free += width + 24
                self.scene.width = max(self.scene.width, self.free)

    def note(self, x: float, y: float, text: str, look: str = "faint") -> None:
        self.scene.notes.append(Note(x, y, [text], SIZES["small"], look))

    def line(self, points: Sequence[tuple[float, float]], look: str) -> None:
        """Add a line. Its two end shapes are invisible, since every line needs them."""
        if len(points) < 2:
            return
        count = len(self.scene.shapes)
        ends = [Shape(f"{self.name}{count + k}", "port", *points[-k], 0.1, 0.1) for k in (0, 1)]
        self.scene.shapes += ends
        line = Line(f"{self.name}{count}l", ends[0].id, ends[1].id, list(points), look, head=False, straight=True)
        self.scene.lines.append(line)


def parameter_sums(graph: Graph, row: int) -> Scene:
    """A box for each parameter: its gradient is the sum of the gradients of the steps."""
    scene, x = Scene(), 0.0
    totals = graph.rows[row].totals
    for name, norms in graph.rows[row].weights.items():
        known = [norm for norm in norms if norm is not None]
        total = totals.get(name)
        lines = [name if total is None else f"|{name}| {number_text(total)}", "by step: " + norms_text(known)]
        width, height = block(lines, SIZES["small"])
        shape = Shape(f"sum{row}_{name}", "parameter", x + width / 2 + 8, height / 2 + 6, width + 16, height + 12,
                      lines, SIZES["small"])  # fmt: skip
        scene.shapes.append(shape)
        x += width + 32
    scene.width, scene.height = x, 44.0 if scene.shapes else 0.0
    return scene


def norms_text(norms: Sequence[float]) -> str:
    """The norms, or if there are many, their range and a bar chart."""
    if len(norms) <= FEW:
        return "  ".join(number_text(norm) for norm in norms)
    top = max((norm for norm in norms if math.isfinite(norm)), default=0.0) or 1.0
    stride = math.ceil(len(norms) / 24)
    shown = [extremes(norms[k : k + stride])[1] for k in range(0, len(norms), stride)]
    least, greatest = extremes(norms)
    bars = "".join(BARS[min(int(norm / top * 7.99), 7)] if math.isfinite(norm) else "?" for norm in shown)
    return f"{number_text(least)} … {number_text(greatest)}  {bars}"
