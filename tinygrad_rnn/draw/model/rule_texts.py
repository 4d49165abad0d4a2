"""The gradient rule of an operation as text, in the names of the picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...cells.step_run import is_block
from ...engine.graph import Node
from ...formula import along, local_derivative, text
from ...tracing.slices import slice_text
from . import values
from .capture import Captured

INFIX = {"+": "+", "-": "−", "⊙": "⊙", "/": "/", "@": "@"}


class RuleTexts:
    """Formulas of operations, each made once for equal operations of time steps; ``times`` has the nodes of steps."""

    def __init__(self, captured: Captured, times: Mapping[Node, Any]):
        self.captured, self.times = captured, times
        self.formulas: dict[Any, tuple[str, str]] = {}  # long and short

    def formula(self, node: Node, k: int) -> tuple[str, str]:
        """What the rule of operand k does with the gradient of the node, in the picture's names; long and short."""
        if node.op is None:
            return "", ""
        if node in self.times:  # steps share their formulas, which hold for all values of floats
            args = [parent or values.operand_of(self.captured, node, j) for j, parent in enumerate(node.parents)]
        else:
            args = values.operands_of(self.captured, node)
        if any(array is None for array in args):
            return "", ""
        names, detached = {}, self.captured.detached.get(node, {})
        for j, argument in enumerate(node.op.arguments):
            origin = node.parents[j] or detached.get(j)
            if origin is not None and not node.op.variadic:
                names[argument] = self.called(origin) or argument
        name = self.captured.names.get(node)
        names["y"], names["dy"] = name or "y", f"d{name or 'y'}"
        key = (node.op.name, k, tuple(map(_traits, args)), _traits(tuple(node.attrs.items())), tuple(names.items()))
        if key not in self.formulas or node not in self.times:
            expression = local_derivative(node.op, k, args, node.attrs)
            shown = {**names, "y": name or node.op.symbol}
            self.formulas[key] = text(expression, names), along(expression, shown)
        return self.formulas[key]

    def called(self, node: Node) -> str:
        """The name of a value, or the operation that computes it from values that have names: ``tanh(c')``."""
        name = self.captured.names.get(node)
        if name or node.op is None or is_block(node) or slice_text(node) or not 1 <= len(node.parents) <= 2:
            return name or ""
        inner = [self.captured.names.get(parent) if parent is not None else self.number(node, k)
                 for k, parent in enumerate(node.parents)]  # fmt: skip
        if not all(inner):
            return ""
        symbol = INFIX.get(node.op.symbol)
        if symbol and inner[1:]:
            return f"({inner[0]} {symbol} {inner[1]})"
        return f"{node.op.symbol}({', '.join(map(str, inner))})"

    def number(self, node: Node, k: int) -> str:
        """An operand that is a number, as text."""
        x = values.operand_of(self.captured, node, k)
        return f"{x:g}" if isinstance(x, (int, float, np.generic)) and np.ndim(x) == 0 else ""


def _traits(x: Any) -> Any:
    """What a formula depends on: of a node its shape and dtype, of anything else its value."""
    if isinstance(x, Node):
        return x.shape, str(x.dtype)
    if isinstance(x, (tuple, list)):
        return type(x), *map(_traits, x)
    if isinstance(x, np.ndarray):
        return x.shape, str(x.dtype), x.tobytes()
    return type(x), repr(x)
