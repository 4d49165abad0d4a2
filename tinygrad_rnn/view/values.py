"""What is known of values that nobody watched: gradient rules have kept many of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph import Node
from .capture import Captured
from .measure import size
from .units import Unit


def argument_of(node: Node, k: int) -> str:
    """What the operation calls its operand k."""
    if node.op is None:
        return ""
    return f"{node.op.arguments[0]}[{k}]" if node.op.variadic else node.op.arguments[k]


def operand_of(node: Node, k: int) -> Any:
    """Operand k that nobody saw, where a rule kept it."""
    for _, rule, kept in filter(None, node.edges):
        if k in rule.sources:
            return kept[list(rule.sources).index(k)]
    return None


def kept_of(made: Captured, drawn: dict[Node, Unit]) -> dict[Node, Any]:
    """The values that gradient rules have kept, of what is shown."""
    found: dict[Node, Any] = {}
    for node in made.order:
        unit = drawn.get(node)
        if unit is not None and len(unit.steps) > 1:
            continue
        for _, rule, kept in filter(None, node.edges):
            for origin, one in zip(rule.sources, kept):
                at = node if origin == "y" else node.parents[origin] if isinstance(origin, int) else None
                if at is not None and np.shape(one) == at.shape:
                    found[at] = one
    return found


def summary(x: Any) -> dict[str, float] | None:
    """What is told of an array: its norm, its range, its mean."""
    array = np.asarray(x) if x is not None else None
    if array is None or array.dtype.kind not in "fiub" or not array.size:
        return None
    with np.errstate(all="ignore"):
        exact = array.astype(np.float64)
        return {"norm": size(exact).norm, "min": float(exact.min()), "max": float(exact.max()),
                "mean": float(exact.mean())}  # fmt: skip
