"""The legend: only what is in the picture."""

from __future__ import annotations

from collections.abc import Iterator

from .geometry import BACK, Line, Note, Scene, Shape
from .labels import number_text
from .links import Style
from .theme import LEVELS, block

#: Kinds of shapes: the looks, the sample's text and size, the explanation.
KINDS: tuple[tuple[tuple[str, ...], list[str], float, str], ...] = (
    (("operation", "long"), ["⊙"], 22.0, "operation"),
    (("parameter",), ["W"], 26.0, "parameter"),
    (("dot",), [], 7.0, "several uses: gradients add"),
)


def draw_legend(scene: Scene, style: Style, width: float, size: float) -> Scene:
    """The legend of a scene: its kinds of shapes and lines, and the colours of its gradients."""
    legend, x, y = Scene(), 0.0, 12.0
    looks = dict.fromkeys(shape.look for shape in scene.shapes)
    for kinds, lines, extent, text in KINDS:
        if any(look in looks for look in kinds):
            height = 22.0 if lines else extent
            legend.shapes.append(Shape(f"key_{kinds[0]}", kinds[0], x + extent / 2, y, extent, height, lines, size))
            x = _add_text(legend, x + extent + 6, y, text, size)
    for number, (text, look, level) in enumerate(_samples(scene, style)):
        length = 36 * bool(look)
        if x + length + block([text], size)[0] > width:
            legend.width, x, y = max(legend.width, x), 0.0, y + 26
        if look:
            ends = [Shape(f"key{number}{k}", "port", x + 30 * k, y, 0.1, 0.1) for k in (0, 1)]
            points = [(x + 30, y), (x, y)] if look in BACK else [(x, y), (x + 30, y)]
            legend.shapes += ends
            legend.lines.append(Line(f"key{number}", ends[0].id, ends[1].id, points, look, level, straight=True))
        ink = "faint" if look in ("forward", "cut") else "zero"
        x = _add_text(legend, x + length, y, text, size, ink)
    legend.width, legend.height = max(legend.width, x), y + 12
    return legend


def _samples(scene: Scene, style: Style) -> Iterator[tuple[str, str, int | None]]:
    """The lines of the legend: text, look, level."""
    looks = dict.fromkeys(line.look for line in scene.lines)
    low, high = style.scale.least, style.scale.greatest
    yield "forward", "forward", None
    if "cut" in looks:
        yield "detached", "cut", None
    if not any(look in looks for look in BACK):
        return
    yield "backward, |dx| is its norm:", "", None
    if "backward" in looks or "marked" in looks:
        sizes = {number_text(low): 0, number_text((low * high) ** 0.5): LEVELS // 2, number_text(high): LEVELS - 1}
        yield from ((text, "backward", level) for text, level in sizes.items())
    for look, text in (("zero", "0"), ("bad", "NaN, inf"), ("marked", "marked")):
        if look in looks:
            yield text, look, None


def _add_text(legend: Scene, x: float, y: float, text: str, size: float, look: str = "faint") -> float:
    """Add a text that begins at x; "zero" is the look of texts on the backward pass. Returns the x of its end."""
    width = block([text], size)[0]
    legend.notes.append(Note(x + width / 2, y, [text], size, look))
    return x + width + 16
