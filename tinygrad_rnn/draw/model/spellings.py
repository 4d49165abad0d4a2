"""Functions that are spelled out, such as ``1 / (1 + exp(-x))``: each is drawn as one box with its name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...engine.graph import Node
from . import values
from .capture import Captured

ANY = None
_EXP_MINUS: Any = ("exp", ("negative", ANY))
#: An operation and its operands; a number is a constant, ANY the argument. Sums match in either order.
SPELLINGS: tuple[tuple[str, Any], ...] = (
    ("sigmoid", ("divide", 1, ("add", 1, _EXP_MINUS))),
    ("sigmoid", ("reciprocal", ("add", 1, _EXP_MINUS))),
    ("sigmoid", ("divide", ("add", ("tanh", ("divide", ANY, 2)), 1), 2)),
    ("softplus", ("log", ("add", 1, ("exp", ANY)))),
    ("softplus", ("log1p", ("exp", ANY))),
)


def spelled_out(captured: Captured) -> Iterator[tuple[str, list[Node]]]:
    """The names of functions that are spelled out in a graph, and their nodes; an inner value has no other reader."""
    uses: dict[Node, int] = {}
    for node in captured.order:
        for parent in node.parents:
            if parent is not None:
                uses[parent] = uses.get(parent, 0) + 1
    for node in captured.order:
        for name, pattern in SPELLINGS:
            nodes = _match(captured, node, pattern)
            if nodes and all(uses[inner] == 1 and inner not in captured.cotangents for inner in nodes[1:]):
                yield name, nodes
                break


def _match(captured: Captured, node: Node, pattern: Any) -> list[Node]:
    """The nodes that a pattern covers, its last operation first; [] if it does not fit."""
    name, *operands = pattern
    if node.op is None or node.op.name != name or len(node.parents) != len(operands):
        return []
    for order in [operands, operands[::-1]] if name == "add" else [operands]:
        inner = [_match_operand(captured, node, k, wanted) for k, wanted in enumerate(order)]
        if all(nodes is not None for nodes in inner):
            return [node, *(each for nodes in inner for each in nodes or ())]
    return []


def _match_operand(captured: Captured, node: Node, k: int, wanted: Any) -> list[Node] | None:
    """The nodes that the pattern of an operand covers; None if it does not fit."""
    parent = node.parents[k]
    if wanted is ANY:
        return [] if parent is not None else None
    if isinstance(wanted, tuple):
        return (_match(captured, parent, wanted) or None) if parent is not None else None
    number = values.operand_of(captured, node, k) if parent is None else None
    return [] if number is not None and np.ndim(number) == 0 and number == wanted else None
