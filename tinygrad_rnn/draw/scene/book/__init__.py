"""A gated cell as books draw it: a memory rail on top, a row of gates below it, each above its affine map."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from ...model import Graph
from ..aspect import AROUND, LEAST, text_height
from ..geometry import Point, Scene
from ..links import Style
from .drawing import Drawing
from .nets import crossings, stretches
from .parts import Parts
from .placement import NoBook, Placement
from .routes import Routes, Wire
from .unshared import unshared

__all__ = ["book"]

MOST = 6  # columns whose order is changed to avoid crossings
NARROW = 0.88  # of the width of columns, where the text would be too small for a slide


def book(graph: Graph, style: Style) -> Scene | None:
    """The scene of a step of a gated cell; None for a graph that has another form, or cannot be drawn so uncrossed.

    It applies to a step with one or two states whose gates are activations of affine maps. The gates stand in the order
    of the code; where lines would cross, in the first order without a crossing, then with the uses of a value swapped.
    """
    if graph.level != "op" or len(graph.rows) != 1 or not 1 <= len(graph.rows[0].states) <= 2:
        return None
    if [graph.state_of(name) for name in graph.outputs] != graph.rows[0].states:
        return None
    forms = [form for form in (graph, unshared(graph)) if form is not None]
    for blended, form in itertools.product((False, True), forms):
        scene = _of_parts(form, style, blended)
        if scene is not None:
            return scene
    return None


def _of_parts(graph: Graph, style: Style, blended: bool) -> Scene | None:
    """The scene of a graph with its parts in the first order that has no crossing."""
    states, parts = graph.rows[0].states, Parts(graph, blended)
    if blended and not parts.blends:
        return None
    kinds = [part.kind for part in parts.parts.values()]
    named = any(part.kind == "map" and part.lines for part in parts.parts.values())  # a gate may be a function
    if not ("gate" in kinds or named):
        return None
    for swapped, order in itertools.product((False, True), _orders(_heads(parts))):
        scene = _scene(parts, style, states, order, swapped)
        if scene is not None and text_height(scene, AROUND) < LEAST:
            scene = _scene(parts, style, states, order, swapped, NARROW) or scene
        if scene is not None:
            return scene
    return None


def _scene(
    parts: Parts, style: Style, states: Sequence[str], order: Sequence[str], swapped: bool, pitch: float = 1.0
) -> Scene | None:
    """The scene with the columns in an order, ``pitch`` times as wide as usual; None if lines cross in it."""
    drawing = Drawing(parts, style)
    try:
        routes = Routes(Placement(parts, states, order, swapped, pitch), drawing.reach)
        pieces = [stretches(source, wires) for source, wires in _by_source(routes.wires)]
    except NoBook:
        return None
    crossed = crossings([stretch for stretches, _ in pieces for stretch in stretches])
    return None if crossed else drawing.scene(routes, pieces)


def _heads(parts: Parts) -> list[str]:
    """The first part of each column: a map, or for a map that is sliced, each gate."""
    heads = []
    for part in (part for part in parts.parts.values() if part is not parts.first):
        readers = [reader.kind for reader, _ in parts.uses.get(part.id, [])]
        if (part.kind == "map" and "slice" not in readers) or (
            part.kind == "gate" and parts.parts[part.feeds[0].source].kind == "slice"
        ):
            heads.append(part.id)
    return heads


def _orders(heads: list[str]) -> Sequence[Sequence[str]]:
    """The order of the code, and then all others."""
    return list(itertools.permutations(heads)) if len(heads) <= MOST else [heads]


def _by_source(wires: Sequence[Wire]) -> list[tuple[str, list[Wire]]]:
    """The wires by their source, those of slices by slice; wires from the bus to the same part are one."""
    groups: dict[tuple[str, Point], dict[tuple[str, str], Wire]] = {}
    for wire in wires:
        same = groups.setdefault((wire.source, wire.points[0]), {}).setdefault((wire.target, f"{wire.points}"), wire)
        same.edges += wire.edges if same is not wire else []
    return [(source, list(wires.values())) for (source, _), wires in groups.items()]
