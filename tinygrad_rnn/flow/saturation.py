"""How far the gates are saturated: close to a limit, their slope is close to 0 and passes no gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..engine.graph import Node
from .step_table import StepTable


def saturation(table: StepTable, names: list[str], threshold: float) -> dict[str, list[float]]:
    """The share of saturated elements of every gate at every step; NaN where a step does not have the gate."""
    shares = {}
    places = [after for after, node in table.at[table.model].items() if node.op.traits.limits]
    for name, after in zip(names, places, strict=True):
        nodes = [table.same(t, after) for t in range(len(table.nodes))]
        shares[name] = [math.nan if node is None else _share(node, threshold) for node in nodes]
    return shares


def _share(node: Node, threshold: float) -> float:
    """Of σ: the share above ``threshold`` or below 1 - threshold; of tanh: above threshold or below -threshold."""
    low, _ = node.op.traits.limits
    _, rule, saved = node.edges[0]
    y: Any = saved[rule.sources.index("y")]
    if np.isnan(y).any():
        return math.nan
    return float(np.mean((y > threshold) | (y < (-threshold if low else 1 - threshold)))) if np.size(y) else math.nan
