"""A flow as text for the terminal: one line a step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .result import Flow, Layer

LINES, BAR = 40, 8  # steps of a layer at most; characters of the longest bar
LEAST = math.log(1000)  # from a short bar to a full one, at least
BLOCKS = " ▏▎▍▌▋▊▉█"

Column = tuple[str, str, list[str]]  # its group, its name, and a text for each line


def table(flow: Flow) -> str:
    """The whole report as text."""
    parts = [flow.title]
    for layer in flow.layers:
        parts += ["", *_lines(layer), *_slopes(layer)]
    if flow.truncation:
        known = "  ".join(f"{k}: {_cosine(cosine)}" for k, cosine in flow.truncation.items())
        head = "truncated to windows of k steps, the cosine of the weight gradient to the full one:"
        parts += ["", head, f"  {known}"]
    return "\n".join(map(printable, [*parts, "", *(layer.sentence for layer in flow.layers), *flow.notes]))


def _lines(layer: Layer) -> list[str]:
    """The head of a layer's table, and one line a step."""
    T = len(layer.times)
    shown = range(T - 1, -1, -math.ceil(T / LINES))[::-1]  # the last step, and back from there
    columns = _columns(layer, shown)
    widths = [max(len(name), *map(len, cells)) for _, name, cells in columns]
    top, names = "", ""
    for (group, name, _), width in zip(columns, widths):
        top = f"{top}  " if group and top and len(top) > len(names) else top  # a group is wider than its columns
        top = top.ljust(len(names) + (2 if group else 0)) + group if group else top
        names += "  " + name.rjust(width)
    rows = ["".join("  " + text.rjust(n) for text, n in zip(line, widths)) for line in zip(*(c for *_, c in columns))]
    more = [f"  ({len(shown)} of {T} steps)"] if len(shown) < T else []
    return [layer.name, top, *(line.rstrip() for line in [names, *rows]), *more]


def _slopes(layer: Layer) -> list[str]:
    """The mean slope of each gate over all steps, in a line."""
    means = {name: [slope for slope in slopes if not math.isnan(slope)] for name, slopes in layer.slopes.items()}
    texts = [f"{name} {sum(slopes) / len(slopes):.2f}" for name, slopes in means.items() if slopes]
    return [f"  mean slope of the gates: {', '.join(texts)}"] if texts else []


def _columns(layer: Layer, shown: Sequence[int]) -> list[Column]:
    first, *others = layer.states
    columns: list[Column] = [("", "step", [str(layer.times[t]) for t in shown])]
    columns.append(("gradient by", f"‖d{first}‖", _norms(layer, first, shown)))
    columns.append(("", "(log)".center(BAR), bars([layer.states[first][t] for t in shown])))
    columns += [("", f"‖d{name}‖", _norms(layer, name, shown)) for name in others]
    for group, values, form in (("saturated", layer.gates, _percent), ("part of", _d(layer.weights), _part)):
        for k, (name, numbers) in enumerate(values.items()):
            columns.append(("" if k else group, name, [form(numbers[t]) for t in shown]))
    if layer.jacobian is not None:
        radii = [layer.jacobian[t] for t in shown]
        columns.append(("Jacobian", "radius", ["" if math.isnan(radius) else f"{radius:.3f}" for radius in radii]))
        stretched = [values[0] if values else math.nan for values in layer.singular or [[]] * len(layer.times)]
        columns.append(("", "‖J‖", ["" if math.isnan(stretched[t]) else f"{stretched[t]:.3f}" for t in shown]))
    return columns


def _norms(layer: Layer, name: str, shown: Sequence[int]) -> list[str]:
    bad = dict.fromkeys(layer.nan.get(name, ()))
    return ["NaN" if t in bad else _number(layer.states[name][t]) for t in shown]


def _d(weights: dict[str, list[float]]) -> dict[str, list[float]]:
    return {f"‖d{name}‖": norms for name, norms in weights.items()}


def _number(x: float) -> str:
    return "?" if math.isnan(x) else f"{x:.1e}" if x else "0"


def _part(x: float) -> str:
    return "NaN" if math.isnan(x) else _number(x)


def _cosine(x: float) -> str:
    return "NaN" if math.isnan(x) else f"{x:.3f}"


def _percent(x: float) -> str:
    return "?" if math.isnan(x) else f"{100 * x:.0f}%"


def bars(values: Sequence[float]) -> list[str]:
    """Bars on a logarithmic scale: the greatest value has a full bar, the least (or a thousandth) a short bar."""
    logs = [math.log(x) if 0 < x < math.inf else None for x in values]
    known = [log for log in logs if log is not None]
    high = max(known, default=0.0)
    span = max(high - min(known, default=0.0), LEAST)
    eighths = [0 if log is None else 1 + round((8 * BAR - 1) * (1 - (high - log) / span)) for log in logs]
    return [(BLOCKS[8] * (n // 8) + BLOCKS[n % 8].strip()).ljust(BAR) for n in eighths]


def printable(text: str) -> str:
    """The text with a space for every unprintable character, so that it stays on its line and can be encoded."""
    return "".join(c if c.isprintable() else " " for c in text)
