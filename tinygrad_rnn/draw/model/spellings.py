"""Functions that are spelled out, such as ``1 / (1 + exp(-x))``: each is drawn as one box with its name.

Where the values were recorded, what is computed from a single value x is compared with the functions of x: so every
spelling is recognised, also ``np.where(x >= 0, 1 / (1 + exp(-x)), exp(x) / (1 + exp(x)))``. Elsewhere patterns are
compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ...engine.graph import Node
from . import values
from .capture import Captured

ANY = None
INSIDE = 24  # operations of a function that is spelled out, at most
MANY = 2000  # operations of a graph that is searched
FUNCTIONS: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("sigmoid", lambda x: np.exp(-np.logaddexp(0, -x))),
    ("softplus", lambda x: np.logaddexp(0, x)),
    ("tanh", np.tanh),
    ("silu", lambda x: x * np.exp(-np.logaddexp(0, -x))),
    ("softmax", lambda x: _softmax(x, -1)),
    ("softmax", lambda x: _softmax(x, 0)),  # of columns
    ("log_softmax", lambda x: np.log(_softmax(x, -1))),
)
_EXP_MINUS: Any = ("exp", ("negative", ANY))
_EXPONENTIALS: tuple[Any, ...] = (("exp", ("subtract", ("as", "x", ANY), ("max", ("is", "x")))), ("exp", ANY))
#: An operation and its operands; a number is a constant, ANY the argument. Sums and products match in either order.
#: ("as", "e", pattern) names what a pattern covers, and ("is", "e") is the same value again.
SPELLINGS: tuple[tuple[str, Any], ...] = (
    ("sigmoid", ("divide", 1, ("add", 1, _EXP_MINUS))),
    ("sigmoid", ("reciprocal", ("add", 1, _EXP_MINUS))),
    ("sigmoid", ("divide", ("add", ("tanh", ("divide", ANY, 2)), 1), 2)),
    ("sigmoid", ("multiply", ("add", ("tanh", ("multiply", ANY, 0.5)), 1), 0.5)),
    ("sigmoid", ("add", ("multiply", ("tanh", ("multiply", ANY, 0.5)), 0.5), 0.5)),
    ("sigmoid", ("divide", ("as", "e", ("exp", ANY)), ("add", 1, ("is", "e")))),
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
    arrays, known = captured.arrays(), dict[Node, None]()
    places = {node: place for place, node in enumerate(captured.order)}
    for node in captured.order[::-1] if len(places) <= MANY else ():
        for name, nodes in [*_equal(node, arrays, places), *_alike(captured, node)] if node not in known else ():
            inner = [inside for inside in nodes if inside is not node]
            if not any(inside in captured.cotangents for inside in inner) and all(
                    reader in nodes for inside in inner for reader in readers[inside]):  # fmt: skip
                known |= dict.fromkeys(nodes)
                yield name, nodes
                break


def _equal(node: Node, arrays: Mapping[Node, Any], places: Mapping[Node, int]) -> Iterator[tuple[str, list[Node]]]:
    """The functions that a node computes of a single earlier value, by their values, and the nodes of each.

    The earliest such value comes first: a guard against overflow is inside.
    """
    waiting: dict[Node, None] = {node: None}
    inside: list[Node] = []
    alike: list[tuple[str, list[Node]]] = []
    while waiting and len(inside) < INSIDE:
        latest = max(waiting, key=places.__getitem__)
        if len(waiting) == 1 and len(inside) > 1:
            alike += [(name, inside.copy()) for name in _names(arrays.get(latest), arrays.get(node))]
        if not latest.parents:
            break
        del waiting[latest]
        inside.append(latest)
        waiting |= {parent: None for parent in latest.parents if parent is not None}
    yield from alike[::-1]


def _names(x: Any, y: Any) -> Iterator[str]:
    """The functions whose values at x are y; x needs to have values of both signs, at which no two are alike."""
    if x is None or np.shape(x) != np.shape(y) or np.ndim(x) == 0 or np.asarray(x).dtype.kind != "f":
        return
    x, y, tolerance = np.float64(x), np.asarray(y), 1e-4 if np.asarray(y).dtype.itemsize < 8 else 1e-9
    if x.size and np.isfinite(x).all() and x.min() < 0 < x.max():
        with np.errstate(all="ignore"):
            for name, function in FUNCTIONS:
                if np.allclose(function(x), y, rtol=tolerance, atol=0):
                    yield name


def _softmax(x: Any, axis: int) -> Any:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _alike(captured: Captured, node: Node) -> Iterator[tuple[str, list[Node]]]:
    """The functions whose pattern ends with a node, and the nodes of each."""
    for name, pattern in SPELLINGS:
        nodes = _match(captured, node, pattern, {})
        if nodes:
            yield name, nodes


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
