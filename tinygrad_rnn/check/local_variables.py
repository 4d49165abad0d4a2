"""A backward without source, as one that is typed into a REPL: its local variables after each line."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .layers.adapter import Adapter
from .layers.arguments import parameters
from .layers.names import is_gradient
from .numeric.compare import ROUNDED
from .report import distance


def wrong_variable(adapter: Adapter, function: Any, dys: Sequence[Any]) -> str:
    """The first local variable that is named as a gradient and is never that gradient, in words; "" if there is none.

    ``df`` is the gradient by f, or by what goes into the activation that gives f, at any step. Arguments do not count.
    """
    right = adapter.known_gradients(dys)
    changes = recorded(inspect.unwrap(function), lambda: adapter.run(adapter.floats, dys)) if right else []
    for name in dict.fromkeys(name for name, _, _ in changes if name not in parameters(function)):
        meant = [of for of in right if is_gradient(name, of.split(",")[0].rstrip("'"))]
        gradients = [g for of in meant for g in right[of]]
        arrays = [x for other, _, x in changes if other == name]
        fits = [g for g in gradients if any(np.shape(g) == np.shape(x) for x in arrays)]
        if fits and not any(distance(x, g) <= ROUNDED for x in arrays for g in fits):
            line = next(line for other, line, _ in changes if other == name)
            return f"its local variable {name}, from line {line} on, is never the gradient by {meant[0].split(',')[0]}"
    return ""


def recorded(function: Any, run: Callable[[], Any]) -> list[tuple[str, int, Any]]:
    """The arrays that the local variables of a function become during ``run``: name, line, and the array, in order."""
    changes: list[tuple[str, int, Any]] = []
    last: dict[str, Any] = {}
    lines = [0]

    def local(frame: Any, event: str, _: Any) -> Any:
        changes.extend((name, lines[0], x) for name, x in _new(frame.f_locals, last).items())
        last.update({name: x for name, _, x in changes})
        lines[0] = frame.f_lineno
        return local

    def trace(frame: Any, event: str, _: Any) -> Any:
        return local if frame.f_code is function.__code__ else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(before)
    return changes


def _new(variables: Mapping[str, Any], last: Mapping[str, Any]) -> dict[str, Any]:
    """Copies of the arrays of floats that differ from the last ones."""
    arrays = {name: x for name, x in variables.items() if isinstance(x, np.ndarray) and x.dtype.kind == "f"}
    return {name: np.array(x) for name, x in arrays.items()
            if name not in last or not np.array_equal(x, last[name], equal_nan=True)}  # fmt: skip
