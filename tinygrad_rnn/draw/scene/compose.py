"""From a `Graph` to the whole scene: title, panels, time, the strip of norms, legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..model import Edge, Graph, Vertex
from .geometry import BACK, Frame, Line, Note, Scene, Shape
from .labels import plain, size_text, tame
from .links import End, Style
from .norm_plot import strip, sums
from .panel import Panel
from .state_lanes import lane, rails
from .theme import LEVELS, SIZES, block, scale_of
from .unrolled import Steps

LONGEST = 120  # characters of a title
AIR = 18.0  # between what stands under each other
OUTSIDE = ("operation", "module", "value", "affine", "fold")
KINDS: tuple[tuple[str, list[str], float, str], ...] = (
    ("operation", ["⊙"], 22.0, "operation"),
    ("parameter", ["W"], 26.0, "parameter"),
    ("dot", [], 7.0, "used more than once: gradients add"),
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
) -> Scene:
    """The picture of a graph. Without ``backward`` the ways back are left out, nothing else moves; ``marks`` are the
    numbers of edges whose way back stands out."""
    graph = tame(graph)
    used = {edge.source for edge in graph.edges}
    norms = [edge.gradient for edge in graph.edges] + [one.gradient for one in graph.nodes if one.id in used]
    style = Style(scale_of(norms, within), backward, adjoint)
    timed = any(row.steps > 1 for row in graph.rows) and graph.level != "module"
    parts = in_time(graph, style) if timed else [whole(graph, style)]
    wide = max(700.0, *(part.width for part in parts))
    made = stacked([heading(title, graph.note), *parts, *([key(style, wide, bool(marks))] if legend else [])])
    for line in made.lines:
        if line.look in BACK and line.about in marks:
            line.look = "marked"
    if not backward:
        hide(made)
    return made


def hide(scene: Scene) -> None:
    """Take the ways back away, and what is said of them."""
    scene.lines = [line for line in scene.lines if line.look not in BACK]
    scene.shapes = [shape for shape in scene.shapes if shape.look != "formula"]
    scene.notes = [note for note in scene.notes if not note.look.startswith("level") and note.look != "bad"]


def stacked(parts: list[Scene]) -> Scene:
    """Parts under each other."""
    made = Scene()
    for part in parts:
        if part.width:
            made.add(part.shift(0, made.height + (AIR if made.height else 0)))
            made.height += part.height + (AIR if made.height else 0)
            made.width = max(made.width, part.width)
    return made


def heading(title: str, note: str) -> Scene:
    """The title, and what the reader has to know."""
    text = plain(title)[:LONGEST]
    wide = block([text], SIZES["title"])[0]
    made = Scene(wide + 10, 24.0, notes=[Note(wide / 2 + 10, 12, [text], SIZES["title"])])
    if note:
        wide = block([note], SIZES["text"])[0]
        made.notes.append(Note(wide / 2, 36, [note], SIZES["text"], "faint"))
        made.width, made.height = max(made.width, wide), 46.0
    return made


def in_time(graph: Graph, style: Style) -> list[Scene]:
    """Rows of steps under each other, with what happens before, between and after them."""
    parts = []
    stages = _stages(graph)
    for number, row in enumerate(graph.rows):
        parts.append(around(graph, style, stages.get(number, []), f"o{number}_"))
        scene = Steps(graph, number, style).scene()
        if len(graph.rows) > 1:
            label = f"layer {number + 1}: {row.cell}" + (", backward in time" if row.reverse else "")
            scene = stacked([heading(label, ""), scene])
        parts.append(scene)
    parts.append(around(graph, style, stages.get(len(graph.rows), []), "o_"))
    wide = max((part.width for part in parts), default=600.0)
    for number, row in enumerate(graph.rows):
        title = "norm of the gradient by step" + (f", layer {number + 1}" if len(graph.rows) > 1 else "")
        parts += [sums(graph, number), strip(row, number, min(max(wide, 500.0), 1500.0), title)]
    return parts


def _stages(graph: Graph) -> dict[int, list[Vertex]]:
    """What is made outside of steps, by the first row that needs it."""
    before: dict[str, int] = {}
    found: dict[int, list[Vertex]] = {}
    rows = {one.id: one.row for one in graph.nodes}
    for edge in reversed(graph.edges):
        row = rows[edge.target]
        stage = row if row is not None else before.get(edge.target, len(graph.rows))
        before[edge.source] = min(before.get(edge.source, len(graph.rows)), stage)
    for one in graph.nodes:
        if one.row is None and one.kind in OUTSIDE and not _trivial(graph, one):
            found.setdefault(before.get(one.id, len(graph.rows)), []).append(one)
    return found


def _trivial(graph: Graph, one: Vertex) -> bool:
    """Are they states that nothing reads, or a slice of an input that only steps read? Those show it themselves."""
    if one.op == "stack" and not graph.out[one.id]:
        return True
    sources = [graph.known[edge.source].kind for _, edge in graph.into[one.id]]
    return one.op == "getitem" and sources == ["input"] and all(
        graph.known[edge.target].row is not None for edge in graph.uses(one.id))  # fmt: skip


def around(graph: Graph, style: Style, inside: list[Vertex], name: str) -> Scene:
    """A panel of what is outside of steps; what joins it to them is told by names."""
    if not inside:
        return Scene()
    known, edges = graph.known, dict[int, Edge]()
    shown = {one.id: one for one in inside}
    for number, edge in sorted((pair for one in inside for pair in graph.into[one.id]), key=lambda pair: pair[0]):
        source, target = known[edge.source], known[edge.target]
        stub = f"s{source.row}_{target.id}"
        if source.row is None and source.id not in shown and source.kind in OUTSIDE:
            shown[source.id] = replace(source, kind="input", name=source.name or source.symbol)  # made in another panel
        if source.row is None:
            shown.setdefault(source.id, source)
            edges[number] = edge
        elif stub not in shown:
            shown[stub] = Vertex(stub, "input", f"{graph.rows[source.row].states[0]} of every step")
            edges[number] = Edge(stub, target.id, edge.operand, edge.argument)
    ends = [End(one.id, "steps", ["to the steps"]) for one in inside
            if any(known[edge.target].row is not None for edge in graph.uses(one.id))]  # fmt: skip
    given = [text for id in shown for text in graph.results.get(id, [])]
    places = {text: k for k, text in enumerate(graph.outputs)} if len(given) > 1 else {}
    ends += [End(id := graph.outputs[text], "output", [text, str(known[id].shape)], graph.cotangents[text])
             for text in sorted(given, key=lambda text: places.get(text, 0))]  # fmt: skip
    return Panel(name, list(shown.values()), edges, ends, style, {}).scene()


def whole(graph: Graph, style: Style) -> Scene:
    """A graph without many steps, as one panel; a parameter that is only read in blocks is drawn as its blocks."""
    edges = {k: edge for k, edge in enumerate(graph.edges) if graph.known[edge.target].kind != "block"}
    joined = {id: None for edge in edges.values() for id in (edge.source, edge.target)} | dict.fromkeys(
        graph.outputs.values())  # fmt: skip
    shown = {one.id: one for one in graph.nodes if one.id in joined}
    lanes: dict[str, float] = {}
    first: list[str] = []
    states = graph.rows[0].states if len(graph.rows) == 1 and graph.level == "op" else []
    inputs = {one.name: one.id for one in graph.nodes if one.kind in ("state", "input") and one.row is None}
    if all(f"{name}'" in graph.outputs and name in inputs for name in states):
        ways = {lane(states, name): (inputs[name], graph.outputs[f"{name}'"]) for name in states}
        lanes, first = rails(shown, list(edges.values()), ways), list(inputs.values())
    ends = []
    for name, id in graph.outputs.items():
        state = name.removesuffix("'")
        height = lane(states, state) if state in states else None
        tag = "next" if state in states else "output"
        ends.append(End(id, tag, [name, str(shown[id].shape)], graph.cotangents[name], height))
    made = Panel("", list(shown.values()), edges, ends, style, lanes, first).scene()
    made.frames += scopes(made, shown)
    return made


def scopes(scene: Scene, shown: dict[str, Vertex]) -> list[Frame]:
    """A frame around what was made in a scope, if nothing else stands there."""
    groups: dict[str, list[Shape]] = {}
    for shape in scene.shapes:
        about = shown.get(shape.about)
        scope = about.scope if about is not None and about.kind != "module" else ""
        if scope:
            groups.setdefault(scope, []).append(shape)
    found = []
    for scope, shapes in groups.items():
        left, right = (
            min(one.x - one.width / 2 for one in shapes) - 8,
            max(one.x + one.width / 2 for one in shapes) + 8,
        )
        top, low = min(one.y - one.height / 2 for one in shapes) - 24, max(one.y + one.height / 2 for one in shapes) + 8
        foreign = [one for one in scene.shapes if one not in shapes and left < one.x < right and top < one.y < low]
        if not foreign:
            found.append(Frame("", left, top, right - left, low - top, scope))
    return found


def key(style: Style, wide: float, marks: bool = False) -> Scene:
    """The legend: what is drawn as what, and how large a gradient is."""
    made, x, y = Scene(), 0.0, 12.0
    for look, lines, across, text in KINDS:
        high = 22.0 if lines else across
        made.shapes.append(Shape(f"key_{look}", look, x + across / 2, y, across, high, lines, SIZES["small"]))
        x = _say(made, x + across + 6, y, text)
    for number, (text, look, level) in enumerate([*_samples(style), *([("marked", "marked", None)] if marks else [])]):
        if x + 36 + block([text], SIZES["small"])[0] > wide:
            made.width, x, y = max(made.width, x), 0.0, y + 26
        if look:
            ends = [Shape(f"key{number}{k}", "port", x + 30 * k, y, 0.1, 0.1) for k in (0, 1)]
            way = [(x, y), (x + 30, y)] if look == "forward" else [(x + 30, y), (x, y)]
            made.shapes += ends
            made.lines.append(Line(f"key{number}", ends[0].id, ends[1].id, way, look, level, straight=True))
            x += 36
        x = _say(made, x, y, text)
    made.width, made.height = max(made.width, x), y + 12
    return made


def _samples(style: Style) -> list[tuple[str, str, int | None]]:
    """Lines of the legend: what is said, the look, the level."""
    low, high = style.scale.least, style.scale.greatest
    middle = (low * high) ** 0.5
    if not style.backward:
        return [("forward", "forward", None)]
    sizes = ((low, 0), (middle, LEVELS // 2), (high, LEVELS - 1))
    return [("forward", "forward", None), ("backward, by the norm of the gradient:", "", None),
            *((size_text(norm), "backward", level) for norm, level in sizes),
            ("0", "zero", None), ("NaN, inf", "bad", None)]  # fmt: skip


def _say(made: Scene, x: float, y: float, text: str) -> float:
    """Text from x on; where it ends."""
    wide = block([text], SIZES["small"])[0]
    made.notes.append(Note(x + wide / 2, y, [text], SIZES["small"], "faint"))
    return x + wide + 16
