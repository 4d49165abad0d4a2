"""What the user calls the gates and the weights of a row.

The graph of a run knows operations but no local variables, so one step of the cell is recorded on random input, and
what is in the run is matched with it in order: the k-th gate is the k-th gate, and weights come in the order in which
a step first uses them. Where the numbers differ (frozen parameters, dropout), plain names have to do.
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import Any

import numpy as np

from ..graph import Node
from ..trace import record_step, sample
from .steps import Steps

#: Operations with limits, which saturate close to them.
LIMITS = {"sigmoid": (0.0, 1.0), "hard_sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}


class Names:
    """``weights``: the name of each weight, by its node. ``gates``: the names of the gates of a step, in order."""

    def __init__(self, steps: Steps):
        own = _by_first_use(steps)
        recorded = _recorded(steps, own)
        self.weights = _weights(steps, own, recorded)
        kinds = [node.op.name for node in steps.nodes[steps.model] if node.op.name in LIMITS]
        known = _gates(recorded) if recorded else []
        if [kind for kind, _ in known] != kinds:
            known = [(kind, "") for kind in kinds]
        self.gates: list[str] = []
        for k, (kind, name) in enumerate(known):
            plain = f"{kind} {[one for one, _ in known[: k + 1]].count(kind)}"
            self.gates.append(name if name and name not in self.gates else plain)


def _by_first_use(steps: Steps) -> dict[Node, str]:
    """What a step uses that other steps use too, each with the name it has by itself."""
    found: dict[Node, str] = {}
    for node in steps.nodes[steps.model]:
        for use in steps.uses.get(node, ()):
            part = getattr(node.parents[use.operand], "name", None) or ""
            found[use.root] = getattr(use.root, "name", None) or part.partition(".")[0] or found.get(use.root, "")
    return found


def _weights(steps: Steps, own: dict[Node, str], recorded: Any) -> dict[Node, str]:
    """Which of them are the parameters, and their names in the signature."""
    known = _parameters(recorded) if recorded else []
    if len(known) == len(own) and _sizes(steps, dict(zip(own, known))) is not None:
        return dict(zip(own, known))
    named = {node: name for node, name in own.items() if name in steps.cell.params}
    leaves = {node: name or f"weight {k} {node.shape}" for k, (node, name) in enumerate(own.items(), 1)
              if not node.parents}  # fmt: skip
    return named or leaves


def _sizes(steps: Steps, own: dict[Node, str]) -> dict[str, int] | None:
    """What the letters stand for, by the states and by the parameters among ``own``; None if they contradict."""
    shapes = [(steps.cell.words[name], node.shape) for name, found in steps.states.items() for node in found if node]
    for node, name in own.items():
        if name in steps.cell.params:
            param = steps.cell.params[name]
            last, rest = divmod(node.shape[-1] if node.shape else 0, max(len(param.blocks), 1))
            shapes.append((param.words, (*node.shape[:-1], last, *[rest] * bool(rest))))
    sizes: dict[str, int] = {}
    for words, shape in shapes:
        if len(words) != len(shape) or any(sizes.setdefault(word, n) != n for word, n in zip(words, shape)):
            return None
    return sizes


def _recorded(steps: Steps, own: dict[Node, str]) -> Any:
    """One step of the cell on random input of the sizes of the run; None where it cannot be had by itself."""
    sizes = _sizes(steps, own)
    if sizes is None or any(default is inspect.Parameter.empty for default in steps.cell.config.values()):
        return None
    with suppress(Exception):  # a name is not worth an error: some cell may not run on random numbers
        sample_of_run = sample(steps.cell, np.random.default_rng(0), {"D": sizes.get("H", 1), **sizes})
        return record_step(steps.cell, sample_of_run)
    return None


def _operands(recorded: Any) -> dict[int, list[Any]]:
    """The values that each operation got, by its number."""
    found: dict[int, list[Any]] = {}
    for edge in recorded.edges:
        found.setdefault(edge.target, []).append(recorded.values[edge.source])
    return found


def _parameters(recorded: Any) -> list[str]:
    """The parameters in the order in which operations other than slices use them."""
    operands = _operands(recorded)

    def read(value: Any) -> Any:
        return operands[value.number][0] if value.op == "getitem" else value

    used = [read(one) for number, got in operands.items() if recorded.values[number].op != "getitem" for one in got]
    return list(dict.fromkeys(one.name for one in used if one.kind == "parameter"))


def _gates(recorded: Any) -> list[tuple[str, str]]:
    """The operation and the name of every gate: its variable, or what it is made from, ``tanh(c')``."""
    operands = _operands(recorded)
    found = []
    for value in recorded.values:
        if value.op in LIMITS:
            source = operands[value.number][0].name
            found.append((value.op, value.name or (f"{value.op}({source})" if source else "")))
    return found
