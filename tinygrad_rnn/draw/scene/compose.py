"""From a `Graph` to the whole scene: title, panels, steps, the plot of norms, legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...errors import InvalidValue
from ..model import Edge, Graph, RowOfSteps, Vertex
from .aspect import add_warning, fit, ratio_of, readable, warning
from .book import book
from .geometry import BACK, Frame, Note, Scene, Shape, stacked
from .labels import plain, subscript, tame, value_text
from .legend import draw_legend
from .links import End, Style
from .norm_plot import norm_plots, parameter_sums
from .panel import Panel
from .state_lanes import state_lane, state_lanes
from .theme import SIZES, block, scale_of
from .timeline import over_time
from .unrolled import StepRow

LONGEST = 120  # characters of a title
NO_BOOK = (
    "draw: layout is 'book', but this is no step of a cell with gates that are activations of affine maps, "
    "or its lines would cross; should be 'layered' or 'auto'"
)
OUTSIDE = ("operation", "module", "value", "affine", "fold")


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
    """The parts of a picture over time: steps as boxes, or each with its operations."""
    return over_time(graph, style) if graph.level == "cell" else step_rows(graph, style)


def step_rows(graph: Graph, style: Style) -> list[Scene]:
    """The rows of steps from top to bottom, with panels for the operations before, between and after them."""
    parts = []
    stages = _stages(graph)
    for number, row in enumerate(graph.rows):
        parts.append(outside_panel(graph, style, stages.get(number, []), f"o{number}_"))
        scene = StepRow(graph, number, style).scene()
        if len(graph.rows) > 1:
            label = f"layer {number + 1}: {row.cell}" + (", backward in time" if row.reverse else "")
            scene = stacked([heading(label, ""), scene])
        parts.append(scene)
    parts.append(outside_panel(graph, style, stages.get(len(graph.rows), []), "o_"))
    sums = [parameter_sums(graph, number) for number in range(len(graph.rows))]
    width = max((part.width for part in parts), default=600.0)
    return [*parts, *sums, *norm_plots(graph, min(max(width, 500.0), 1500.0))]


def _stages(graph: Graph) -> dict[int, list[Vertex]]:
    """The operations outside of the steps, by the number of the first row that needs them."""
    before: dict[str, int] = {}
    stages: dict[int, list[Vertex]] = {}
    rows = {vertex.id: vertex.row for vertex in graph.nodes}
    for edge in reversed(graph.edges):
        row = rows[edge.target]
        stage = row if row is not None else before.get(edge.target, len(graph.rows))
        before[edge.source] = min(before.get(edge.source, len(graph.rows)), stage)
    for vertex in graph.nodes:
        if vertex.row is None and vertex.kind in OUTSIDE and not _shown_by_steps(graph, vertex):
            stages.setdefault(before.get(vertex.id, len(graph.rows)), []).append(vertex)
    return stages


def _shown_by_steps(graph: Graph, vertex: Vertex) -> bool:
    """Is the vertex a stack of states that nothing reads, or a slice of an input that only steps read?

    The steps show these themselves.
    """
    if vertex.op == "stack" and not graph.out[vertex.id]:
        return True
    sources = [graph.known[edge.source].kind for _, edge in graph.into[vertex.id]]
    return vertex.op == "getitem" and sources == ["input"] and all(
        graph.known[edge.target].row is not None for edge in graph.uses(vertex.id))  # fmt: skip


def outside_panel(graph: Graph, style: Style, inside: list[Vertex], name: str) -> Scene:
    """A panel of operations outside of the steps; texts with names stand for the connections to the steps."""
    if not inside:
        return Scene()
    known, edges = graph.known, dict[int, Edge]()
    shown = {vertex.id: vertex for vertex in inside}
    incoming = [pair for vertex in inside for pair in graph.into[vertex.id]]
    for number, edge in sorted(incoming, key=lambda pair: pair[0]):
        source, target = known[edge.source], known[edge.target]
        stub = f"s{source.row}_{target.id}"
        if source.row is None and source.id not in shown and source.kind in OUTSIDE:
            shown[source.id] = replace(source, kind="input", name=source.name or source.symbol)  # of another panel
        if source.row is None:
            shown.setdefault(source.id, source)
            edges[number] = edge
        elif stub not in shown:
            row = graph.rows[source.row]
            shown[stub] = Vertex(stub, "input", every_step(row.states[0], row, graph.full))
            edges[number] = Edge(stub, target.id, edge.operand, edge.argument)
    ends = [End(vertex.id, "steps", [every_step(row.input, row, graph.full)])
            for vertex in inside for row in _readers(graph, vertex)]  # fmt: skip
    results = [text for id in shown for text in graph.results.get(id, [])]
    places = {text: k for k, text in enumerate(graph.outputs)} if len(results) > 1 else {}
    ends += [End(id := graph.outputs[text], "output", [text, str(known[id].shape)], graph.cotangents[text])
             for text in sorted(results, key=lambda text: places.get(text, 0))]  # fmt: skip
    return Panel(name, list(shown.values()), edges, ends, style, {}).scene()


def _readers(graph: Graph, vertex: Vertex) -> list[RowOfSteps]:
    """The rows whose steps read a value."""
    numbers = dict.fromkeys(graph.known[edge.target].row for edge in graph.uses(vertex.id))
    return [graph.rows[number] for number in numbers if number is not None]


def every_step(name: str, row: RowOfSteps, full: bool) -> str:
    """The name of a value of every step: ``x₀ … x₃``; of one body for all steps, ``x``."""
    ends = [name + subscript(time) for time in (0, row.steps - 1)]
    return name if full else " … ".join(dict.fromkeys(ends))


def single_panel(graph: Graph, style: Style, ratio: float | None) -> Scene:
    """A graph of a single step as one panel; a parameter that is only read in blocks is drawn as its blocks."""
    edges = {k: edge for k, edge in enumerate(graph.edges) if graph.known[edge.target].kind != "block"}
    joined = {id: None for edge in edges.values() for id in (edge.source, edge.target)} | dict.fromkeys(
        graph.outputs.values())  # fmt: skip
    shown = {vertex.id: vertex for vertex in graph.nodes if vertex.id in joined}
    lanes: dict[str, float] = {}
    first: list[str] = []
    states = graph.rows[0].states if len(graph.rows) == 1 and graph.level == "op" else []
    outside = [vertex for vertex in graph.nodes if vertex.row is None]
    inputs = {vertex.name: vertex.id for vertex in outside if vertex.kind in ("state", "input")}
    news = {graph.state_of(name): id for name, id in graph.outputs.items()}
    if all(name in news and name in inputs for name in states):
        paths = {state_lane(states, name): (inputs[name], news[name]) for name in states}
        lanes, first = state_lanes(shown, list(edges.values()), paths), list(inputs.values())
    ends = []
    for name, id in graph.outputs.items():
        state = graph.state_of(name)
        lane = state_lane(states, state) if state in states else None
        tag = "next" if state in states else "output"
        vertex, norm = shown[id], graph.cotangents[name]
        value = value_text(vertex, style.values)
        lines = [name, value or str(vertex.shape)] if style.shapes != "none" or value else [name]
        ends.append(End(id, tag, lines, norm, lane, gradient_sum=norm if vertex.shape == () else None))
    scene = Panel("", list(shown.values()), edges, ends, style, lanes, first).scene(ratio)
    scene.frames += scope_frames(scene, shown)
    return scene


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
