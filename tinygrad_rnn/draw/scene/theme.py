"""Colours and sizes of text, and the scale of gradient norms by colour and line width.

Colours run from blue (small) through slate to orange (large), a range that every kind of colour vision can tell apart.
The line width shows the same, and the number is written beside the line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

FONT = "Helvetica"
SIZES = {"title": 20.0, "name": 15.0, "text": 12.0, "small": 12.0, "symbol": 16.0}
WIDE = "@%mwMWΣσ⊙‖…×→▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Theme:
    """Colours; ``ramp`` runs from small to large gradients."""

    paper: str
    ink: str
    faint: str
    operation: str
    parameter: str
    box: str
    frame: str
    ramp: tuple[tuple[int, int, int], ...]
    bad: str  # NaN and inf


THEMES = {
    "light": Theme("#ffffff", "#1f2933", "#6b7785", "#fff4d6", "#dcebfb", "#eef1f4", "#f7f8fa",
                   ((11, 95, 165), (82, 96, 109), (194, 65, 12)), "#c0006a"),
    "dark": Theme("#15191e", "#e6e9ed", "#97a3b0", "#4a3f1f", "#1f3a57", "#2a3038", "#1b2026",
                  ((109, 179, 242), (176, 188, 199), (255, 157, 92)), "#ff5fb0"),
}  # fmt: skip

LEVELS = 9  # of colour
#: How a line is drawn by its look: the name of its colour, its width, its style; `line_style` has the other looks.
LINES = {
    "forward": ("ink", 1.0, "solid"), "cut": ("faint", 1.0, "dotted"), "axis": ("faint", 0.4, "dotted"),
    "zero": ("faint", 0.7, "dotted"), "bad": ("bad", 2.6, "dashed"), "marked": ("bad", 4.5, "dashed"),
}  # fmt: skip
#: How a shape is drawn by its look: its form, the name of its fill, the style of its border, the name of its ink.
SHAPES = {
    "operation": ("circle", "operation", "solid", "ink"), "long": ("rounded", "operation", "solid", "ink"),
    "slice": ("fields", "operation", "solid", "ink"), "parameter": ("box", "parameter", "solid", "ink"),
    "box": ("rounded", "box", "solid", "ink"), "fold": ("rounded", "paper", "dashed", "ink"),
    "formula": ("rounded", "paper", "dashed", "faint"), "dot": ("dot", "ink", "solid", "ink"),
    "joint": ("circle", "paper", "solid", "ink"),
}  # fmt: skip
WIDTHS = (0.9, 3.2)  # of lines, for the lowest and the highest level


@dataclass(frozen=True)
class Scale:
    """The range of norms for colours and widths, on a log scale."""

    least: float
    greatest: float

    def level(self, norm: float) -> int:
        """The level of a norm, from 0 to 8; the highest for NaN and inf."""
        if not math.isfinite(norm):
            return LEVELS - 1
        if norm <= self.least or self.greatest <= self.least:
            return 0 if norm <= self.least < self.greatest else LEVELS // 2
        place = math.log(norm / self.least) / math.log(self.greatest / self.least)
        return min(max(round(place * (LEVELS - 1)), 0), LEVELS - 1)


def scale_of(norms: Iterable[float | None], fixed: tuple[float, float] | None) -> Scale:
    """The range of the norms, or the ``fixed`` range, so that two pictures can be compared."""
    known = [x for x in norms if x is not None and math.isfinite(x) and x > 0]
    if fixed is not None:
        return Scale(*fixed)
    return Scale(min(known), max(known)) if known else Scale(1.0, 1.0)


def colour(theme: Theme, level: int) -> str:
    """The colour of a level, as #rrggbb."""
    place = level / (LEVELS - 1) * (len(theme.ramp) - 1)
    k = min(int(place), len(theme.ramp) - 2)
    mixed = [round(a + (b - a) * (place - k)) for a, b in zip(theme.ramp[k], theme.ramp[k + 1])]
    return "#" + "".join(f"{part:02x}" for part in mixed)


def paints(theme: Theme) -> Iterator[tuple[str, str]]:
    """The names of a theme's colours, and the colours as #rrggbb."""
    for name in ("paper", "ink", "faint", "operation", "parameter", "box", "frame", "bad"):
        yield name, getattr(theme, name)
    for level in range(LEVELS):
        yield f"level-{level}", colour(theme, level)


def line_style(look: str, level: int | None) -> tuple[str, float, str]:
    """The name of a line's colour, its width, and its style: solid, dashed or dotted."""
    if look.startswith("curve "):
        return f"level-{look[6:]}", 1.6, "solid"
    return LINES.get(look) or (f"level-{level or 0}", stroke(level or 0), "dashed")


def text_ink(look: str) -> str:
    """The name of the colour of a text."""
    return f"level-{look[6:]}" if look.startswith("level ") else {"zero": "faint"}.get(look, look)


def stroke(level: int) -> float:
    """The line width of a level."""
    return round(WIDTHS[0] + (WIDTHS[1] - WIDTHS[0]) * level / (LEVELS - 1), 2)


def width(text: str, size: float) -> float:
    """An upper estimate of the width of a line of text, since fonts differ."""
    return math.fsum(0.95 if c in WIDE else 0.36 if c in " .,:;'|!()[]ijlt" else 0.6 for c in text) * size


def block(lines: Iterable[str], size: float) -> tuple[float, float]:
    """Width and height of a block of text lines."""
    lines = list(lines)
    return max((width(line, size) for line in lines), default=0.0), 1.2 * size * len(lines)
