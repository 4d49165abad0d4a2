"""What is known of values that nobody watched: gradient rules have kept many, and their cells tell their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...engine.graph import Node
from ...tracing.recurrences import Row, Step
from ...tracing.sample import record_sample
from ...tracing.slices import is_time_slice
from ...tracing.trace import Trace, norm
from .capture import Captured
from .groups import Unit


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
        return {"norm": norm(exact), "min": float(exact.min()), "max": float(exact.max()),
                "mean": float(exact.mean())}  # fmt: skip


# -- names -------------------------------------------------------------------------------------------------------------


def name_steps(made: Captured, row: Row, steps: Sequence[Step]) -> None:
    """Give the values of steps the names that they have in a step under watch, where it did the same things."""
    recording = record_sample(row.cell, _sizes(row))
    if recording is None:
        return
    matched: dict[Any, tuple[int, list[str]] | None] = {}
    for step in steps:
        done = tuple(node.op.name if node.op else "" for node in step.nodes)
        given = (*row.params, *(name for name, node in step.before.items() if node is not None))
        used = tuple(k for k, node in enumerate(step.after.values()) if node is not None)
        if (done, given, used) not in matched:
            ways = (_matched(recording, done, (*given, *more), used) for more in ((row.cell.input,), ()))
            matched[done, given, used] = next((way for way in ways if way is not None), None)
        at, names = matched[done, given, used] or (0, [])
        for node, name in zip(step.nodes[at:], names):
            if name:
                made.names.setdefault(node, name)
        if at and is_time_slice(step.nodes[0]):
            made.names.setdefault(step.nodes[0], row.cell.input)


def _matched(
    recording: Trace, done: Sequence[str], given: Sequence[str], used: Sequence[int]
) -> tuple[int, list[str]] | None:
    """Where in a step that did ``done`` the recorded one begins, and the names of its values.

    In a graph is only what is made from the arguments ``given``, those that need a gradient, and leads to the new
    states ``used``, by number.
    """
    traced = {one.number: None for one in recording.values if one.kind not in ("operation", "block")
              and one.name in given}  # fmt: skip
    for number, equation in recording.equations.items():
        if any(source in traced for source in equation.args):
            traced[number] = None
    new = list(recording.outputs.values())
    leading = dict.fromkeys(new[k] for k in used if k < len(new))
    for number, equation in reversed(recording.equations.items()):
        if number in leading:
            leading.update(dict.fromkeys(equation.args))
    own = [one for one in recording.values
           if one.kind == "operation" and one.number in traced and one.number in leading]  # fmt: skip
    places = range(len(done) - len(own) + 1)
    at = next((k for k in places if list(done[k : k + len(own)]) == [one.op for one in own]), None)
    return None if at is None or not own else (at, [one.name for one in own])


def _sizes(row: Row) -> dict[str, int]:
    """What the letters of a cell stand for, by its parameters; nothing where they are not all known."""
    if len(row.params) < len(row.cell.params):
        return {}
    return row.cell.sizes({name: np.broadcast_to(0.0, node.shape) for name, node in row.params.items()})
