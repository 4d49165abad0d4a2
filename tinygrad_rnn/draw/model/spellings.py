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
_EXPONENTIALS: tuple[Any, ...] = (("exp", ("subtract", ("as", "x", ANY), ("max", ("is", "x")))), ("exp", ANY))
#: An operation and its operands; a number is a constant, ANY the argument. Sums and products match in either order.
#: ("as", "e", pattern) names what a pattern covers, and ("is", "e") is the same value again.
SPELLINGS: tuple[tuple[str, Any], ...] = (
    ("sigmoid", ("divide", 1, ("add", 1, _EXP_MINUS))),
    ("sigmoid", ("reciprocal", ("add", 1, _EXP_MINUS))),
    ("sigmoid", ("divide", ("add", ("tanh", ("divide", ANY, 2)), 1), 2)),
    ("sigmoid", ("multiply", ("add", ("tanh", ("multiply", ANY, 0.5)), 1), 0.5)),
    ("softplus", ("log", ("add", 1, ("exp", ANY)))),
    ("softplus", ("log1p", ("exp", ANY))),
    *(("softmax", ("divide", ("as", "e", exp), ("sum", ("is", "e")))) for exp in _EXPONENTIALS),
    ("softmax", ("divide", ("exp", ("as", "x", ANY)), ("sum", ("exp", ("is", "x"))))),
)


def spelled_out(captured: Captured) -> Iterator[tuple[str, list[Node]]]:
    """The names of functions that are spelled out in a graph, and their nodes; no other reads an inner value."""
    readers: dict[Node, list[Node]] = {}
    for node in captured.order:
        for parent in node.parents:
            if parent is not None:
                readers.setdefault(parent, []).append(node)
    for node in captured.order:
        for name, pattern in SPELLINGS:
            nodes = _match(captured, node, pattern, {})
            inner = [inside for inside in nodes if inside is not node]
            if nodes and not any(inside in captured.cotangents for inside in inner) and all(
                    reader in nodes for inside in inner for reader in readers[inside]):  # fmt: skip
                yield name, nodes
                break


def _match(captured: Captured, node: Node, pattern: Any, named: dict[str, Node]) -> list[Node]:
    """The nodes that a pattern covers, its last operation first; [] if it does not fit."""
    name, *operands = pattern
    if node.op is None or node.op.name != name or len(node.parents) != len(operands):
        return []
    for order in [operands, operands[::-1]] if name in ("add", "multiply") else [operands]:
        inner = [_match_operand(captured, node, k, wanted, named) for k, wanted in enumerate(order)]
        if all(nodes is not None for nodes in inner):
            return list(dict.fromkeys([node, *(each for nodes in inner for each in nodes or ())]))
    return []


def _match_operand(captured: Captured, node: Node, k: int, wanted: Any, named: dict[str, Node]) -> list[Node] | None:
    """The nodes that the pattern of an operand covers; None if it does not fit."""
    parent = node.parents[k]
    if isinstance(wanted, tuple) and wanted[0] == "as" and parent is not None:
        named[wanted[1]] = parent
        return _match_operand(captured, node, k, wanted[2], named)
    if isinstance(wanted, tuple) and wanted[0] == "is":
        return [] if parent is not None and parent is named.get(wanted[1]) else None
    if wanted is ANY:
        return [] if parent is not None else None
    if isinstance(wanted, tuple):
        return (_match(captured, parent, wanted, named) or None) if parent is not None else None
    number = values.operand_of(captured, node, k) if parent is None else None
    return [] if number is not None and np.ndim(number) == 0 and number == wanted else None
