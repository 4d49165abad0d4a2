"""Slips of the pen at an activation: its value where the derivative belongs, its argument where its value does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..watch import Recording
from .diagnose import Hypotheses

#: By operation: the function, its inverse, its derivative by its value.
ACTIVATIONS: dict[str, tuple[Any, Any, Any]] = {
    "tanh": (np.tanh, np.arctanh, lambda y: 1 - y * y),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), lambda y: np.log(y) - np.log1p(-y), lambda y: y * (1 - y)),
}


def slips(recording: Recording, number: int, right: np.ndarray, totals: Mapping[int, Any], parts: Any) -> Hypotheses:
    """The gradient of value ``number`` with one slip in one of its parts: the kind, what it comes to, what to say."""
    for edge in recording.edges:
        part = parts.get((edge.target, edge.operand))
        if edge.source == number and part is not None and edge.target in totals:
            for kind, wrong, text in _along(recording, edge, part, totals):
                if np.shape(wrong) == right.shape:
                    yield kind, right - part + wrong, text


def _along(recording: Recording, edge: Any, part: np.ndarray, totals: Mapping[int, Any]) -> Hypotheses:
    """The part along an edge with a slip in it; for a slice, with one at what is done with the slice alone."""
    if recording.values[edge.target].op != "getitem":
        yield from _at(recording, edge, np.asarray(totals[edge.target]))
        return
    uses = [one for one in recording.edges if one.source == edge.target and one.target in totals]
    if len(uses) == 1:
        for kind, wrong, text in _at(recording, uses[0], np.asarray(totals[uses[0].target])):
            whole = np.zeros_like(part)
            whole[recording.nodes[edge.target].attrs["index"]] = wrong
            yield kind, whole, text


def _at(recording: Recording, edge: Any, dy: np.ndarray) -> Iterator[tuple[str, Any, str]]:
    """What else may have been written for the part along one edge."""
    target = recording.values[edge.target]
    if target.op in ACTIVATIONS:
        f, inverse, slope = ACTIVATIONS[target.op]
        y, x = _output(recording, edge.target), _called(recording, edge.source)
        of = f"{target.op}({x})"
        yield "activation", dy * f(y), f"the activation is applied again, {target.op}({of}), for its derivative"
        yield "activation", dy * f(inverse(y)), f"multiplied by {of} itself, should be by the derivative of {target.op}"
        yield "derivative", dy, f"the derivative of {target.op} at {x} is missing"
        yield "argument", dy * slope(inverse(y)), f"uses {x} where {of} belongs, in the derivative of {target.op}"
        yield "argument", dy * slope(f(y)), f"uses {target.op}({of}) where {of} belongs, in the derivative"
    elif target.op == "multiply":
        other = next(one for one in recording.edges if one.target == edge.target and one.operand != edge.operand)
        made = recording.values[other.source]
        if made.op in ACTIVATIONS:
            y = _output(recording, other.source)
            x = _called(recording, next(one.source for one in recording.edges if one.target == other.source))
            f, inverse, slope = ACTIVATIONS[made.op]
            yield "argument", dy * inverse(y), f"uses {x} where {made.op}({x}) belongs"
            yield "argument", dy * f(y), f"uses {made.op}({made.op}({x})) where {made.op}({x}) belongs"
            yield "argument", dy * slope(y), f"uses the derivative of {made.op} at {x} where {made.op}({x}) belongs"


def _output(recording: Recording, number: int) -> np.ndarray:
    """The value of an activation: its rule keeps it."""
    return np.asarray(recording.nodes[number].edges[0][2][0], np.float64)


def _called(recording: Recording, number: int) -> str:
    one = recording.values[number]
    source = next((edge.source for edge in recording.edges if edge.target == number), number)
    return one.name or (f"{recording.values[source].name}{one.detail}" if one.detail else f"its {one.symbol}")
