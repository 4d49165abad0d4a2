"""The values of a layer's gates over a sequence: by name, as numbers, as a table by word, and as a picture.

A gate is the result of an activation in the equations of the cell. It has the name of the variable that holds it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..cells.cell import Cell, advice
from ..engine.tensor import value
from ..errors import InvalidType, InvalidValue, ShapeError
from ..tracing.sample import record_step
from ..tracing.trace import Trace
from .table import printable


@dataclass
class GateValues:
    """The result of `gate_values`: it keeps no graph.

    ``gates["f"]`` (N, T, H) are the values of gate f after each step, in the order of the equations. ``states["c"]``
    (N, T, H) are the states after each step. ``limits["f"]`` are the values between which a gate lies, (0, 1) of a
    sigmoid; None where there are none, as of relu. At steps from ``lengths`` on, all values are NaN.
    """

    cell: str
    gates: dict[str, np.ndarray]
    states: dict[str, np.ndarray]
    limits: dict[str, tuple[float, float] | None]

    def by_step(self, row: int = 0) -> dict[str, np.ndarray]:
        """The mean of each gate over its units at every step of a batch row: (T,) by gate."""
        return {name: values[row].reshape(len(values[row]), -1).mean(axis=1) for name, values in self.gates.items()}

    def by_word(self, words: Sequence[Any]) -> dict[Any, dict[str, float]]:
        """The mean of each gate over its units and over all places of a word, by word, in the order of first use.

        ``words`` has T words, or N rows of T words. Raises ShapeError for another number of words.
        """
        rows = self._rows(words)
        places: dict[Any, list[tuple[int, int]]] = {}
        for n, row in enumerate(rows):
            for t, word in enumerate(row):
                places.setdefault(word, []).append((n, t))
        return {word: {name: _mean([values[place] for place in at]) for name, values in self.gates.items()}
                for word, at in places.items()}  # fmt: skip

    def table(self, words: Sequence[Any] | None = None, row: int = 0) -> str:
        """A text for a terminal: a line for each step of a batch row with the mean of each gate over its units."""
        labels, means = self._labels(words, row), self.by_step(row)
        width = max([4, *map(len, labels)])
        head = "".join(f"  {printable(name):>7}" for name in means)
        lines = [f"{'':{width}}{head}"]
        for t, label in enumerate(labels):
            cells = [(name, "?" if np.isnan(mean[t]) else f"{mean[t]:.2f}") for name, mean in means.items()]
            lines.append(f"{label:{width}}" + "".join(f"  {text:>{max(7, len(name))}}" for name, text in cells))
        return "\n".join(lines)

    def plot(self, words: Sequence[Any] | None = None, path: str | os.PathLike[str] | None = None, row: int = 0) -> Any:
        """A matplotlib Figure: for each gate a picture of its units (rows) over the words (columns) of a batch row.

        It is written to ``path`` if one is given (.svg, .png, .pdf). Units stand in the order in which the first gate
        is most open. Raises MissingDependency without matplotlib.
        """
        from .gate_plot import plot

        return plot(self, self._labels(words, row), path, row)

    def __str__(self) -> str:
        return self.table()

    # -- words

    def _rows(self, words: Sequence[Any]) -> list[list[Any]]:
        """The words of each batch row."""
        N, T = next(iter(self.gates.values())).shape[:2]
        nested = len(words) > 0 and not isinstance(words[0], str) and np.ndim(words[0]) > 0
        rows = [list(row) for row in words] if nested else [list(words)]
        if [len(row) for row in rows] != [T] * N:
            got = f"{len(rows)} rows of {', '.join(str(len(row)) for row in rows)} words"
            raise ShapeError(f"gate_values: got {got}, should be {N} rows of {T}")
        return rows

    def _labels(self, words: Sequence[Any] | None, row: int) -> list[str]:
        """The words of a batch row as texts; the numbers of the steps without words."""
        N, T = next(iter(self.gates.values())).shape[:2]
        if not -N <= row < N:
            raise InvalidValue(f"gate_values: row is {row}, should be less than N = {N}")
        texts = [f"{t}" for t in range(T)] if words is None else [printable(f"{word}") for word in words]
        if len(texts) != T:
            raise ShapeError(f"gate_values: got {len(texts)} words, should be {T}, one for each step")
        return texts


def gate_values(
    layer: Any, xs: Any, state: Any = None, *, params: Mapping[str, Any] | None = None, lengths: Any = None
) -> GateValues:
    """The gates of a layer, or of a cell with ``params``, while it reads ``xs`` (N, T, D)::

        seen = gate_values(model.recurrent, model.embed(ids))
        print(seen.table(words))
        seen.plot(words, "gates.svg")

    It equals the loop ``state = cell(xs[:, t], *state, **params)`` in which each activation is noted. ``layer`` has a
    ``cell`` and its parameters, as `nn.Recurrent`; a layer with ``reverse`` is run from the last step. ``state`` are
    the states before the first step, by default zeros. Wrapped cells are run in their evaluation form. A gate is named
    after the variable that holds it, ``f``, or after its operation and operand, ``tanh(c')``.

    Raises InvalidType for what is no layer and no cell, and for a cell without an activation; ShapeError for arrays
    that do not fit.
    """
    cell = layer if isinstance(layer, Cell) else getattr(layer, "cell", None)
    if not isinstance(cell, Cell):
        raise InvalidType(f"gate_values: layer is a {type(layer).__name__}, should be a layer such as nn.Recurrent, or "
                          f"a cell with params{_hint(layer)}")  # fmt: skip
    held = _held(layer, cell) if params is None else params
    arrays = {name: np.asarray(value(x)) for name, x in held.items() if name in cell.params}
    cell.sizes(arrays)
    dtype = np.result_type(*arrays.values()) if arrays else np.float64
    inputs = np.asarray(value(xs), dtype)
    if inputs.ndim != 3 or not inputs.shape[1]:
        raise ShapeError(f"gate_values: xs is {inputs.shape}, should be (N, T, D)")
    start = cell.zero_state(len(inputs), arrays, dtype) if state is None else state
    start = start if isinstance(start, (tuple, list)) else (start,)
    steps = _Steps(cell, arrays, [np.asarray(value(part), dtype) for part in start])
    times = range(inputs.shape[1])
    kept = np.arange(inputs.shape[1]) < _lengths(lengths, *inputs.shape[:2])[:, None]
    for t in reversed(times) if getattr(layer, "reverse", False) else times:
        steps.run(inputs[:, t], t, kept[:, t] if lengths is not None else None)
    if not steps.gates:
        raise InvalidType(f"gate_values: {cell.name} has no activation, should have a gate such as sigmoid(...)")
    return GateValues(
        cell.name, _over_time(steps.gates, len(times)), _over_time(steps.states, len(times)), steps.limits
    )


def _hint(layer: Any) -> str:
    """What may help who gave another object than a layer: the path of a layer in it."""
    parts = [name for name, part in getattr(layer, "modules", {}).items() if isinstance(getattr(part, "cell", 0), Cell)]
    return f" (it has the layer {parts[0]})" if parts else advice(layer, "gate_values", tensors=False)


def _held(layer: Any, cell: Cell) -> dict[str, Any]:
    """The parameters of a layer by name, frozen ones too; none of a cell, which holds none."""
    names = cell.params if layer is not cell else ()
    return {name: getattr(layer, name) for name in names if hasattr(layer, name)}


def _lengths(lengths: Any, N: int, T: int) -> np.ndarray:
    """The lengths as an array (N,); T for each row if there are none."""
    array = np.full(N, T) if lengths is None else np.asarray(value(lengths))
    if array.shape != (N,) or array.dtype.kind not in "iu":
        raise ShapeError(f"gate_values: lengths is {array.dtype} {array.shape}, should be integers ({N},), one a row")
    for length in array[(array < 0) | (array > T)]:
        raise InvalidValue(f"gate_values: lengths holds {length}, should be from 0 to T = {T}")
    return array


class _Steps:
    """The steps of a cell, each recorded; ``gates[name][t]`` and ``states[name][t]`` are arrays."""

    def __init__(self, cell: Cell, params: Mapping[str, Any], state: Sequence[Any]):
        self.cell, self.params, self.state = cell, params, list(state)
        self.gates: dict[str, dict[int, np.ndarray]] = {}
        self.states: dict[str, dict[int, np.ndarray]] = {name: {} for name in cell.states}
        self.limits: dict[str, tuple[float, float] | None] = {}

    def run(self, x: np.ndarray, t: int, kept: np.ndarray | None) -> None:
        """Step t; rows that are not ``kept`` are past their length."""
        given = {self.cell.input: x, **dict(zip(self.cell.states, self.state)), **self.params}
        trace = record_step(self.cell, given)
        for number, name in activations(trace).items():
            self.gates.setdefault(name, {})[t] = _masked(trace.arrays[number], kept)
            self.limits[name] = trace.equations[number].op.traits.limits
        new = [np.array(trace.arrays[number]) for number in trace.outputs.values()]
        for name, old, array in zip(self.cell.states, self.state, new):
            self.states[name][t] = _masked(array, kept)
            if kept is not None:
                array[~kept] = old[~kept]
        self.state = new


def activations(trace: Trace) -> dict[int, str]:
    """The names of the activations of a recorded step, by the number of the value, each name once."""
    names: dict[int, str] = {}
    for number, equation in trace.equations.items():
        if equation.op.traits.activation:
            operand = trace.values[equation.args[0]].name
            name = trace.values[number].name or (f"{equation.op.name}({operand})" if operand else equation.op.name)
            count = [*names.values()].count(name)
            names[number] = f"{name} {count + 1}" if count else name
    return names


def _mean(arrays: Sequence[np.ndarray]) -> float:
    """The mean of all elements that are not NaN; NaN if there are none."""
    flat = np.concatenate([np.ravel(array) for array in arrays])
    known = flat[~np.isnan(flat)]
    return float(known.mean()) if known.size else float("nan")


def _masked(array: np.ndarray, kept: np.ndarray | None) -> np.ndarray:
    array = np.array(array)
    if kept is not None and len(array) == len(kept):
        array[~kept] = np.nan
    return array


def _over_time(arrays: Mapping[str, Mapping[int, np.ndarray]], T: int) -> dict[str, np.ndarray]:
    """The arrays of all steps side by side, (N, T, ...); NaN at a step that does not have the gate."""
    result = {}
    for name, by_step in arrays.items():
        missing = np.full_like(next(iter(by_step.values())), np.nan)
        result[name] = np.stack([by_step.get(t, missing) for t in range(T)], axis=1)
    return result
