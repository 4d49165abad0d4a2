"""A backward without source, as one that is typed into a REPL: its local variables after each line."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.observe import locals_of
from .layers.adapter import Adapter
from .layers.arguments import parameters
from .layers.names import is_gradient
from .numeric.compare import ROUNDED
from .report import distance


def wrong_variable(adapter: Adapter, function: Any, dys: Sequence[Any]) -> str:
    """The first local variable that is named as a gradient and is never that gradient, in words; "" if there is none.

    ``df`` is the gradient by f, or by what goes into the activation that gives f, at any step. Arguments do not count.
    """
    right, code = adapter.known_gradients(dys), inspect.unwrap(function).__code__
    changes: list[tuple[str, int, Any]] = []  # the arrays that the variables become, with the line
    last: dict[str, Any] = {}

    def note(variables: dict[str, Any]) -> None:
        for name, x in variables.items():
            array = isinstance(x, np.ndarray) and x.dtype.kind == "f" and name not in parameters(function)
            if array and not (name in last and np.array_equal(x, last[name], equal_nan=True)):
                last[name] = np.array(x)
                changes.append((name, lines[-1], last[name]))
        lines.append(sys._getframe(2).f_lineno)  # the line that runs next

    lines = [code.co_firstlineno]
    with locals_of([code] if right else [], note):
        adapter.run(adapter.floats, dys)
    for name in dict.fromkeys(name for name, _, _ in changes):
        meant = [of for of in right if is_gradient(name, of.split(",")[0].rstrip("'"))]
        arrays = [x for other, _, x in changes if other == name]
        fits = [g for of in meant for g in right[of] if any(np.shape(g) == np.shape(x) for x in arrays)]
        if fits and not any(distance(x, g) <= ROUNDED for x in arrays for g in fits):
            line = next(line for other, line, _ in changes if other == name)
            return f"its local variable {name}, from line {line} on, is never the gradient by {meant[0].split(',')[0]}"
    return ""
