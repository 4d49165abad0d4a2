"""What the user calls the gates and the weights of a row.

The graph of a run knows operations but no local variables, so one step of the cell is recorded on random input, and
what is in the run is matched with it in order: the k-th gate is the k-th gate. Where the numbers differ (dropout),
plain names have to do. Weights have the names in the cell's signature.
"""

from __future__ import annotations

from ..engine.graph import Node
from ..tracing.sample import record_sample
from ..tracing.trace import Trace
from .state_history import Steps


class Names:
    """``weights``: the name of each weight, by its node. ``gates``: the names of the gates of a step, in order."""

    def __init__(self, steps: Steps):
        self.weights = _weights(steps)
        sizes = _sizes(steps)
        recorded = record_sample(steps.cell, {"D": sizes.get("H", 1), **sizes})
        kinds = [node.op.name for node in steps.nodes[steps.model] if node.op.traits.limits]
        known = _gates(recorded) if recorded else []
        if [kind for kind, _ in known] != kinds:
            known = [(kind, "") for kind in kinds]
        self.gates: list[str] = []
        for k, (kind, name) in enumerate(known):
            plain = f"{kind} {[one for one, _ in known[: k + 1]].count(kind)}"
            self.gates.append(name if name and name not in self.gates else plain)


def _weights(steps: Steps) -> dict[Node, str]:
    """The parameters that steps use, by their names in the signature; a Tensor that is several of them has all."""
    used = dict.fromkeys(use.root for uses in steps.uses.values() for use in uses)
    found: dict[Node, str] = {}
    for name, node in steps.row.params.items():
        if node in used:
            found[node] = f"{found[node]}, {name}" if node in found else name
    return found


def _sizes(steps: Steps) -> dict[str, int]:
    """What the letters stand for, by the states and the parameters."""
    shapes = [(steps.cell.words[name], node.shape) for name, found in steps.states.items() for node in found if node]
    for name, node in steps.row.params.items():
        param = steps.cell.params[name]
        shapes.append((param.words, (*node.shape[:-1], node.shape[-1] // max(len(param.blocks), 1))))
    return {word: n for words, shape in shapes for word, n in zip(words, shape)}


def _gates(recorded: Trace) -> list[tuple[str, str]]:
    """The operation and the name of every gate: its variable, or what it is made from, ``tanh(c')``."""
    found = []
    for value in recorded.values:
        if value.equation is not None and value.equation.op.traits.limits:
            source = recorded.values[value.equation.args[0]].name
            found.append((value.op, value.name or (f"{value.op}({source})" if source else "")))
    return found
