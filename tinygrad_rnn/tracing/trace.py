"""A recorded computation: its values, the equations that computed them, and the plain backward pass.

A `Trace` is a list of equations, like a jaxpr: ``values[5] = op(values[2], values[4], **attrs)``. The arrays and the
nodes of the graph are side tables, by the number of a value. `record` makes a trace; every tool reads it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..engine.graph import Node, fitted
from ..engine.op import Op
from .slices import slice_text

SAFE_SQUARES = (1e-290, 1e290)  # sums of squares in which nothing overflows, and nothing that counts vanishes


@dataclass
class Equation:
    """``out = op(*args, **attrs)``; ``out`` and ``args`` are numbers of values, in the order of the operands."""

    out: int
    op: Op
    args: tuple[int, ...]
    attrs: Mapping[str, Any]


@dataclass
class Value:
    """A value; its kind is "input", "state", "parameter", "block" (of a parameter), "constant" or "operation"."""

    number: int
    kind: str
    name: str
    shape: tuple[int, ...] | None
    dtype: str
    scope: str = ""  # the open scopes at its operation, "encoder/attention"
    inner_name: str = ""  # its variable in a function that was called, such as `layer_norm`
    equation: Equation | None = field(default=None, repr=False)  # None for a value that no operation computed

    @property
    def op(self) -> str:
        """The name of the operation that computed it, or nothing."""
        return self.equation.op.name if self.equation else ""

    @property
    def symbol(self) -> str:
        """The symbol of that operation, or nothing."""
        return self.equation.op.symbol if self.equation else ""

    @property
    def detail(self) -> str:
        """The part that a slice takes, ``[..., 0:5]``; nothing for other operations."""
        return slice_text(self.equation) if self.equation else ""


class Trace:
    """Values in the order in which they were computed, and the equations between them, oldest first."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.equations: dict[int, Equation] = {}  # by the number of the value that it computes
        self.inputs: dict[str, int] = {}
        self.outputs: dict[str, int] = {}
        self.arrays: dict[int, Any] = {}
        self.nodes: dict[int, Node] = {}

    def named(self) -> dict[str, int]:
        """The number of each value that has a name, constants apart."""
        return {value.name: value.number for value in self.values if value.name and value.kind != "constant"}

    def cotangents(self, dys: Sequence[Any]) -> dict[int, Any]:
        """The gradients by the outputs, in their order, by value number; a value that is two outputs gets their sum."""
        totals: dict[int, Any] = {}
        for number, dy in zip(self.outputs.values(), dys, strict=True):
            totals[number] = totals[number] + dy if number in totals else dy
        return totals

    def readers(self, number: int) -> list[tuple[Equation, int]]:
        """The equations that read a value, and as which operand."""
        return [(equation, k) for equation in self.equations.values() for k, source in enumerate(equation.args)
                if source == number]  # fmt: skip

    def detached(self) -> dict[int, int]:
        """The values that were detached, or are computed from such a value: from which value with a node, by number.

        A detached value is a constant that shares the array of an earlier result.
        """
        sources: dict[int, int] = {}  # by the id of an array: the value that it is, or was detached from
        origins: dict[int, int] = {}
        for value in self.values:
            number, array = value.number, id(self.arrays[value.number])
            if value.equation is None:
                if number not in self.nodes and array in sources:
                    origins[number] = sources[array]
            elif number in self.nodes:
                sources[array] = number
            elif cut := [origins[k] for k in value.equation.args if k in origins]:
                sources[array] = origins[number] = cut[0]
        return origins


def pull(
    trace: Trace, cotangents: Mapping[int, Any], instead: Mapping[int, Any] | None = None
) -> tuple[dict[int, Any], dict[tuple[int, int], Any]]:  # fmt: skip
    """The gradients by value number, and their parts by (value, operand): the specification of every backward pass.

    Those in ``instead`` are passed on in the place of the right ones.
    """
    totals, parts = dict(cotangents), dict[tuple[int, int], Any]()
    for equation in reversed(trace.equations.values()):
        if equation.out in totals and equation.out in trace.nodes:
            dy = (instead or {}).get(equation.out, totals[equation.out])
            for k, edge in enumerate(trace.nodes[equation.out].edges):
                if edge is not None and edge[0].shape is not None:
                    parent, rule, saved = edge
                    part = np.array(fitted(rule.fn(dy, *saved), parent))
                    source, parts[equation.out, k] = equation.args[k], part
                    totals[source] = totals[source] + part if source in totals else part
    return totals, parts


def norm(x: Any) -> float:
    """‖x‖, the root of the sum of squares, in float64; norms from 1e-300 to 1e300 neither overflow nor vanish."""
    flat = np.asarray(x, np.float64).ravel()
    with np.errstate(all="ignore"):
        square = float(np.add.reduce(flat * flat))
    if SAFE_SQUARES[0] < square < SAFE_SQUARES[1]:
        return math.sqrt(square)
    largest = float(np.abs(flat).max(initial=0.0))
    return largest * norm(flat / largest) if 0 < largest < math.inf else largest
