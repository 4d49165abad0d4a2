"""From a `Graph` to the whole scene: title, panels, steps, the plot of norms, legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ...errors import InvalidValue
from ..model import Graph, Vertex
from .aspect import add_warning, fit, ratio_of, readable, warning
from .book import book
from .geometry import BACK, Frame, Note, Scene, Shape, stacked
from .labels import BARS, plain, tame, value_text
from .legend import draw_legend
from .links import End, Style
from .norm_plot import norm_plots, parameter_sums
from .panel import Panel
from .state_lanes import state_lane, state_lanes
from .theme import SIZES, block, scale_of
from .timeline import over_time
from .unrolled import by_step, inside_of_steps, state_ends

LONGEST = 120  # characters of a title
NO_BOOK = (
    "draw: layout is 'book', but this is no step of a cell with gates that are activations of affine maps, "
    "or its lines would cross; should be 'layered' or 'auto'"
)


def compose(
    graph: Graph,
    title: str,
    *,
    backward: bool = True,
    adjoint: bool = False,
    within: tuple[float, float] | None = None,
    legend: bool = True,
    marks: Sequence[int] = (),
    layout: str = "layered",
    aspect: str | float = "strip",
    shapes: str = "changes",
    values: bool = False,
) -> Scene:
    """The scene of a graph.

    ``layout``: "book" draws a gated cell as books do, "layered" everything in columns, "auto" the former if it applies.
    ``aspect``: "slide", "page", "strip", or width / height. ``shapes``: "changes", "all" or "none". ``values`` writes
    those of small arrays.

    ``backward=False`` leaves the backward lines out; everything else keeps its place. ``adjoint`` shows the arithmetic
    of the gradient rules. ``within`` fixes the range of norms. ``marks`` are the numbers of the edges to highlight.
    """
    graph = tame(graph)
    used = {edge.source for edge in graph.edges}
    norms = [edge.gradient for edge in graph.edges] + [vertex.gradient for vertex in graph.nodes if vertex.id in used]
    style = Style(scale_of(norms, within), backward, adjoint, shapes, values)
    timed = any(row.steps > 1 for row in graph.rows) and graph.level != "module"
    drawn = book(graph, style) if layout != "layered" else None
    if layout == "book" and drawn is None:
        raise InvalidValue(NO_BOOK)
    if drawn and layout == "auto" and any(not _has_line(drawn, number) for number in marks):
        drawn = None  # it is inside of a box
    ratio = ratio_of(aspect)
    parts = [drawn] if drawn else time_parts(graph, style) if timed else [single_panel(graph, style, ratio)]
    scene = _headed(graph, title, parts, timed and graph.level == "op")
    for line in scene.lines:
        if line.look in BACK and any(number in marks for number in (line.about, *line.edges)):
            line.look = "marked"
    if legend:
        width = max(880.0 if drawn else 700.0, scene.width, (scene.height + 60.0) * (ratio or 0.0))
        scene = stacked([scene, draw_legend(scene, style, width, 14.0 if drawn else SIZES["small"])])
    if ratio is not None and not graph.note and not readable(scene):
        add_warning(scene, 34.0)
    fit(scene, ratio)
    if not backward:
        hide(scene)
    return scene


def _headed(graph: Graph, title: str, parts: list[Scene], small: bool) -> Scene:
    """The parts below the title and the note; where text may be ``small``, the note says how small it is."""
    body = stacked(parts)
    if small and not readable(body):
        graph.note = graph.note or warning(body)
    return stacked([heading(title, graph.note), body])


def _has_line(scene: Scene, number: int) -> bool:
    """Is there a backward line for the edge of that number?"""
    return any(line.look in BACK and number in (line.about, *line.edges) for line in scene.lines)


def hide(scene: Scene) -> None:
    """Remove the backward lines and their texts, in the legend too."""
    scene.lines = [line for line in scene.lines if line.look not in BACK]
    scene.shapes = [shape for shape in scene.shapes if shape.look != "formula"]
    scene.notes = [note for note in scene.notes if not note.look.startswith("level") and note.look not in BACK]
    for shape in scene.shapes:  # which keep their sizes
        if any(text.startswith("|d") for text in shape.lines):
            forward = [text for text in shape.lines if not text.startswith(("…", "by step", *BARS))]
            names = [text[2:].partition("| ")[0] if text.startswith("|d") else text for text in forward]
            others = [text for text in forward if not text.startswith("|d")]
            shape.lines = names if shape.look in ("parameter", "text") else others


def heading(title: str, note: str) -> Scene:
    """The title, and the note of the graph below it."""
    text = plain(title)[:LONGEST]
    width = block([text], SIZES["title"])[0]
    scene = Scene(width + 10, 24.0, notes=[Note(width / 2 + 10, 12, [text], SIZES["title"])])
    if note:
        width = block([note], SIZES["text"])[0]
        scene.notes.append(Note(width / 2, 36, [note], SIZES["text"], "faint"))
        scene.width, scene.height = max(scene.width, width), 46.0
    return scene


def time_parts(graph: Graph, style: Style) -> list[Scene]:
    """The parts of a picture over time: steps as boxes; or all operations, with the sums over the steps below."""
    if graph.level == "cell":
        return over_time(graph, style)
    steps = by_step(graph)
    panel = single_panel(steps, style, ratio_of("slide"), inside_of_steps(steps))
    sums = [parameter_sums(graph, number) for number in range(len(graph.rows))]
    return [panel, *sums, *norm_plots(graph, min(max(panel.width, 500.0), 1500.0))]


def single_panel(
    graph: Graph, style: Style, ratio: float | None, inside: Mapping[str, None] = MappingProxyType({})
) -> Scene:  # fmt: skip
    """A graph as one panel, without what is ``inside`` of its steps.

    A parameter that is only read in blocks is drawn as its blocks.
    """
    edges = {k: edge for k, edge in enumerate(graph.edges) if graph.known[edge.target].kind != "block"
             and edge.source not in inside and edge.target not in inside}  # fmt: skip
    outputs = {name: id for name, id in graph.outputs.items() if id not in inside}
    joined = dict.fromkeys([*(id for edge in edges.values() for id in (edge.source, edge.target)), *outputs.values()])
    shown = {vertex.id: vertex for vertex in graph.nodes if vertex.id in joined}
    lanes: dict[str, float] = {}
    first: list[str] = []
    states = graph.rows[0].states if len(graph.rows) == 1 and graph.level == "op" else []
    outside = [vertex for vertex in graph.nodes if vertex.row is None]
    inputs = {vertex.name: vertex.id for vertex in outside if vertex.kind in ("state", "input")}
    news = {graph.state_of(name): id for name, id in outputs.items()}
    if all(name in news and name in inputs for name in states):
        paths = {state_lane(states, name): (inputs[name], news[name]) for name in states}
        lanes, first = state_lanes(shown, list(edges.values()), paths), list(inputs.values())
    ends = state_ends(graph, inside) + [result_end(graph, style, name, states) for name in outputs]
    scene = Panel("", list(shown.values()), edges, ends, style, lanes, first).scene(ratio)
    scene.frames += scope_frames(scene, shown)
    return scene


def result_end(graph: Graph, style: Style, name: str, states: Sequence[str]) -> End:
    """The end of a result, on the lane of its state."""
    id, state, norm = graph.outputs[name], graph.state_of(name), graph.cotangents[name]
    lane = state_lane(states, state) if state in states else None
    vertex, tag = graph.known[id], "next" if state in states else "output"
    value = value_text(vertex, style.values)
    lines = [name, value or str(vertex.shape)] if style.shapes != "none" or value else [name]
    return End(id, tag, lines, norm, lane, gradient_sum=norm if vertex.shape == () else None)


def scope_frames(scene: Scene, shown: dict[str, Vertex]) -> list[Frame]:
    """A frame around the operations of each scope, if no other shape lies inside."""
    groups: dict[str, list[Shape]] = {}
    for shape in scene.shapes:
        about = shown.get(shape.about)
        scope = about.scope if about is not None and about.kind != "module" else ""
        if scope:
            groups.setdefault(scope, []).append(shape)
    frames = []
    for scope, shapes in groups.items():
        left = min(shape.x - shape.width / 2 for shape in shapes) - 8
        right = max(shape.x + shape.width / 2 for shape in shapes) + 8
        top = min(shape.y - shape.height / 2 for shape in shapes) - 24
        bottom = max(shape.y + shape.height / 2 for shape in shapes) + 8
        inside = [shape for shape in scene.shapes if left < shape.x < right and top < shape.y < bottom]
        if all(shape in shapes for shape in inside):
            frames.append(Frame("", left, top, right - left, bottom - top, scope))
    return frames
