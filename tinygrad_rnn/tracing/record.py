"""The recorder: it runs a function and notes its operations, their operands and the user's names for the values.

A name is the one in the user's code. ``Tensor(name=...)`` wins, parameters have theirs, their blocks are ``Wx.f``, and
a local variable of the function names the value that it holds at the end: ``f = sigmoid(f)`` makes the gate ``f``. An
argument keeps its name, so what is assigned to it is primed: ``c = f * c + g * i`` makes ``c'`` from ``c``.

Functions that it calls (`called_functions`) name the values that it leaves unnamed: `Value.inner_name`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from ..engine.context import context
from ..engine.graph import Node
from ..engine.observe import locals_of, observing
from ..engine.op import Op
from ..engine.tensor import Tensor, value
from .slices import slice_index
from .trace import Equation, Trace, Value


class Recorder(Trace):
    """An observer that numbers every value in the order of computation. It keeps the graph alive."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers: dict[int, int] = {}  # by the id of a node, or of a constant
        self._alive: list[Any] = []  # so that no id is used twice
        self._bound: dict[str, int] = {}  # the value that each local variable is bound to now

    # -- events

    def leaf(self, x: Any, name: str, kind: str) -> int:
        """Add a value that no operation computed; returns its number."""
        array = np.asarray(value(x))
        number_text = f"{value(x)}" if array.ndim == 0 and not isinstance(_key(x), Node) else ""
        return self.add(x, kind, name or number_text, array)

    def operation(self, op: Op, args: Any, result: Tensor) -> None:
        """Add the equation of an operation that has run."""
        operands = tuple([self.number(a) for a in args])
        number = self.add(result, "operation", "", result._array)
        attrs = (result.node.attrs if result.node is not None else None) or {}
        self.equations[number] = self.values[number].equation = Equation(number, op, operands, attrs)

    def gradient(self, node: Node, dy: Any) -> None:
        """Not needed: `pull` walks back by itself."""

    def locals(self, variables: Mapping[str, Any]) -> None:
        """The user's function has these local variables now."""
        self._bound.update(self.recorded(variables))

    def inner_locals(self, variables: Mapping[str, Any]) -> None:
        """A function that is called has these local variables now; the first name of a value counts."""
        for name, number in self.recorded(variables).items():
            self.values[number].inner_name = self.values[number].inner_name or name

    def recorded(self, variables: Mapping[str, Any]) -> dict[str, int]:
        """The variables that are recorded values, with their numbers."""
        tensors = {name: self._numbers.get(id(_key(x))) for name, x in variables.items() if isinstance(x, Tensor)}
        return {name: number for name, number in tensors.items() if number is not None}

    def number(self, x: Any) -> int:
        """The number of a value; a new value is added as a constant."""
        number = self._numbers.get(id(_key(x)))
        return self.leaf(x, getattr(x, "name", None) or "", "constant") if number is None else number

    def add(self, x: Any, kind: str, name: str, array: Any) -> int:
        """Add a value; returns its number."""
        number, key = len(self.values), _key(x)
        self.values.append(Value(number, kind, name, np.shape(array), str(array.dtype), "/".join(context.scope)))
        self.arrays[number], self._numbers[id(key)] = array, number
        self._alive.append(key)
        if isinstance(key, Node):
            self.nodes[number] = key
        return number

    def operand(self, number: int) -> Any:
        """A value as the operations got it: an array, or a Python number."""
        return self.arrays[number] if number in self.nodes else value(self._alive[number])

    # -- the end

    def finish(self, results: Mapping[str, Any], arguments: Any = ()) -> None:
        """Name every value. The names of ``results``, which are the outputs, are used for values without another."""
        for number, key in enumerate(self._alive):
            self.values[number].name = user_name(key) or self.values[number].name
        for name, number in self._bound.items():
            bound = self.values[number]
            bound.name = bound.name or (f"{name}'" if name in arguments else name)
        for name, x in results.items():
            result = self.values[self.number(x)]
            result.name = result.name or name
            self.outputs[untaken(result.name, self.outputs)] = result.number
        for equation in self.equations.values():
            source, target = self.values[equation.args[0]] if equation.args else None, self.values[equation.out]
            if source and source.kind == "parameter" and slice_index(equation) is not None:
                target.kind = "block" if target.name.startswith(f"{source.name}.") else target.kind


def user_name(x: Any) -> str | None:
    """The name that the user gave a node or a Tensor; not the name that `scan` gives to a last state."""
    is_state = isinstance(x, Node) and hasattr(x, "run") and x.op is not None
    return None if is_state else getattr(x, "name", None)


def untaken(name: str, taken: Mapping[str, Any]) -> str:
    """The name, with a number where it is taken: ``y·2``."""
    candidate, count = name, 1
    while candidate in taken:
        count += 1
        candidate = f"{name}·{count}"
    return candidate


def _key(x: Any) -> Any:
    """The identity of a value: its node if it has one, so that two Tensors on a node are the same value."""
    return x.node if isinstance(x, Tensor) and x.node is not None else x


@contextmanager
def watching(recorder: Recorder, codes: Sequence[Any] = ()) -> Iterator[None]:
    """Record what runs inside; ``recorder`` notes it, and the local variables of the functions with ``codes``."""
    before, context.recording = context.recording, True
    try:
        with observing(recorder), locals_of(codes, recorder.locals) if codes else nullcontext():
            yield
    finally:
        context.recording = before


def record(
    call: Callable[..., Any], inputs: Mapping[str, Any], kinds: Mapping[str, str], codes: Sequence[Any],
    recorder: Any = None,
) -> Any:  # fmt: skip
    """Run ``call(**tensors)`` on new leaves for ``inputs``: the `Recorder` and the result.

    ``codes`` are those of the functions whose local variables name the values.
    """
    recorder = recorder or Recorder()
    tensors = {}
    for name, array in inputs.items():
        floats = np.asarray(array).dtype.kind == "f"
        tensors[name] = Tensor(np.array(array), name=name, requires_grad=True) if floats else array
        recorder.inputs[name] = recorder.leaf(tensors[name], name, kinds.get(name, "input"))
    with watching(recorder, codes):
        return recorder, call(**tensors)
