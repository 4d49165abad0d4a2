"""What comes back along the lines of a gated cell, and the texts that say it."""

from __future__ import annotations

import math

from ...model import Vertex
from ..labels import number_text
from .nets import Stretch
from .parts import Parts
from .routes import BUS, Wire


class Gradients:
    """The gradients along stretches of wires."""

    def __init__(self, parts: Parts):
        self.graph, self.all, self.uses = parts.graph, parts.parts, parts.uses

    def gradient(self, stretch: Stretch) -> tuple[float | None, bool]:
        """The norm of what comes back along a stretch, and whether it is exact: of some uses it is the greatest."""
        wires = stretch.wires
        source = wires[0].source
        if source != BUS:
            vertex = self.vertex(wires[0])
            count = len(self.graph.uses(vertex.id)) + len(self.graph.results.get(vertex.id, []))
            passed = {number for wire in wires for number in wire.edges}
            if len(passed) + sum(bool(wire.result) for wire in wires) >= count or self._is_sliced(source):
                return vertex.gradient, True
        norms = [wire.gradient if wire.result else self.graph.edges[number].gradient
                 for wire in wires for number in wire.edges or [-1]]  # fmt: skip
        known = [norm for norm in norms if norm is not None]
        return max(known, key=lambda norm: (math.isnan(norm), norm), default=None), len(norms) == 1

    def _is_sliced(self, source: str) -> bool:
        return any(reader.kind == "slice" for reader, _ in self.uses.get(source, []))

    def vertex(self, wire: Wire) -> Vertex:
        """The value that goes along a wire from a part or an argument."""
        part = self.all.get(wire.source)
        if part is None or part.kind == "slice":
            return self.graph.known[self.graph.edges[wire.edges[0]].source]
        return part.value

    def text(self, stretch: Stretch) -> str:
        """``df 3.4``, or for a part of a gradient, where it comes from: ``via tanh 1.0``."""
        gradient, exact = self.gradient(stretch)
        wire = stretch.wires[0]
        if gradient is None or not exact or wire.source == BUS:
            return ""
        vertex = self.vertex(wire)
        whole = gradient == vertex.gradient
        if whole or not vertex.name:
            return f"|d{vertex.name}| {number_text(gradient)}" if vertex.name else number_text(gradient)
        return f"via {self._reader(wire)} {number_text(gradient)}"

    def _reader(self, wire: Wire) -> str:
        """What reads a value: the name or the symbol of an operation, for a map that of its gate."""
        if wire.result or wire.target == BUS:
            return "next" if wire.result else "gates"
        part = self.all[wire.target]
        if part.kind == "map" and not part.value.name and part.id in self.uses:
            part = self.uses[part.id][0][0]
        return part.value.name or (part.lines[0] if part.lines else "slices")
