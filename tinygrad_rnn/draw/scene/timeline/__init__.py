"""Pictures over time: steps in columns, layers and the operations around them stacked upward, joined by lines.

::

        h₀        h₁        h₂
        ↑         ↑         ↑
    h ─►┌──────┐─►┌──────┐─►┌──────┐─► h_T
        │ lstm │  │ lstm │  │ lstm │
    c ─►└──────┘─►└──────┘─►└──────┘─► c_T
        ↑         ↑         ↑
      [          embedding          ]
"""

from __future__ import annotations

from ...model import Graph
from ..aspect import AROUND, LEAST, text_height
from ..geometry import Scene, side_by_side, stacked
from ..links import Style
from ..norm_plot import norm_plots
from .chains import joined_chain
from .drawing import Drawing
from .levels import Levels
from .placement import Placement
from .texts import Texts
from .units import Units

__all__ = ["over_time"]

MOST = 24  # chains that are joined
FEW = 4  # parameters whose parts by step are drawn as small bars
CHAINS = "a bar is a chain of operations where the text would be too small for a slide"


def over_time(graph: Graph, style: Style) -> list[Scene]:
    """The steps as boxes, and the plots of the norms: beside them if all steps are one box, else below.

    Of several layers there are plots only if the text stays large enough for a slide with them.
    """
    steps = timeline(graph, style)
    if graph.full:
        plots = stacked(norm_plots(graph, 620.0))
        return [side_by_side([steps, plots])]
    plots = side_by_side(norm_plots(graph, 1000.0 if len(graph.rows) == 1 else 520.0))
    shown = len(graph.rows) == 1 or is_large(stacked([steps, plots]))
    return [steps, plots] if shown else [steps]


def timeline(graph: Graph, style: Style) -> Scene:
    """The scene of a graph whose steps are boxes; chains of operations are joined until the text is large enough.

    If that does not help, none are.
    """
    first = scene = placed(units := Units(graph), style)
    chains: list[tuple[str, str]] = []
    while not is_large(scene) and len(chains) < MOST and (pair := joined_chain(units)) is not None:
        chains.append(pair)
        scene = placed(units := Units(graph, chains), style)
    if not chains or not is_large(scene):
        return first
    graph.note = graph.note or CHAINS
    return scene


def placed(units: Units, style: Style) -> Scene:
    """The scene of the units."""
    few = len(units.rows) == 1 and len(units.graph.rows[0].weights) <= FEW
    placement = Placement(Levels(units), Texts(units.graph, units), sparks=few)
    return cropped(Drawing(placement, style).scene())


def is_large(scene: Scene) -> bool:
    """Is the text large enough for a slide, with the title and the legend?"""
    return text_height(scene, AROUND) >= LEAST


def cropped(scene: Scene) -> Scene:
    """The scene with its upper left corner at 0, and its size."""
    boxes = [(shape.x, shape.y, shape.width, shape.height) for shape in scene.shapes]
    boxes += [(note.x, note.y, 0.6 * note.size * max(map(len, note.lines)), 1.2 * note.size) for note in scene.notes]
    boxes += [(frame.x + frame.width / 2, frame.y + frame.height / 2, frame.width, frame.height)
              for frame in scene.frames]  # fmt: skip
    boxes += [(x, y, 6.0, 6.0) for line in scene.lines for x, y in line.points]
    left, top = min(x - width / 2 for x, _, width, _ in boxes), min(y - height / 2 for _, y, _, height in boxes)
    scene.width = max(x + width / 2 for x, _, width, _ in boxes) - left
    scene.height = max(y + height / 2 for _, y, _, height in boxes) - top
    return scene.shift(-left, -top)
