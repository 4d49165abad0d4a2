"""What an SVG shows where the pointer rests: the shape, the values and the gradient of a part of the picture."""

from __future__ import annotations

from ..model import Graph, Vertex
from ..scene.geometry import Scene
from ..scene.labels import gradient_text, number_text, value_text

LONG = 6  # vertices of a box whose texts are shown


def hover(graph: Graph, scene: Scene, backward: bool = True) -> dict[str, str]:
    """The text of each shape and line, by its id; gradients only with ``backward``."""
    texts: dict[str, str] = {}
    for shape in scene.shapes:
        known = [graph.known[id] for id in (shape.members or (shape.about,)) if id in graph.known]
        parts = [text for vertex in known[:LONG] if (text := about_vertex(vertex, backward))]
        if parts and shape.look not in ("port", "dot"):
            texts[shape.id] = "\n".join(parts)
    for line in scene.lines:
        numbers = [line.about] if line.about is not None else line.edges[:1]
        for edge in (graph.edges[number] for number in numbers):
            source = graph.known[edge.source]
            text = gradient_text(source.name, source, edge) if backward else ""
            texts[line.id] = " ".join(filter(None, [source.name or source.symbol, _shape(edge.shape), text]))
    return {id: text for id, text in texts.items() if text}


def about_vertex(vertex: Vertex, backward: bool) -> str:
    """A line about a vertex: name, shape, values, gradient."""
    values = value_text(vertex, all_values=True)
    if not values and vertex.summary is not None:
        least, greatest = (number_text(vertex.summary[name]) for name in ("min", "max"))
        values = f"{least} … {greatest}"
    head = " ".join(filter(None, [vertex.name or vertex.op, _shape(vertex.shape)]))
    gradient = gradient_text(vertex.name, vertex) if backward else ""
    return ", ".join(filter(None, [head + f": {values}" * bool(values), gradient]))


def _shape(shape: tuple[int, ...] | None) -> str:
    return str(shape) if shape else ""
