"""One step of a cell, recorded as a `Program`: on the arrays of a call, and again on others.

The second recording has to give the same equations, attributes and constants. Where it does not, the cell decides by
values, draws random numbers, or reads something that changes, and PlanError says so.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...engine.context import context
from ...engine.debug import place
from ...engine.graph import Node
from ...engine.op import Op
from ...engine.tensor import Tensor, make, value
from ...errors import PlanError
from ...tracing.called_functions import called, inner_locals_of
from ...tracing.record import Recorder, watching
from ...tracing.sample import codes
from .program import Program, attr_key
from .traced import Traced, TracedArray, TracedParameter, bare


class StepRecorder(Recorder):
    """A recorder that gives the cell `Traced` results, and records comparisons too."""

    def __init__(self) -> None:
        super().__init__()
        self.reason: PlanError | None = None
        self.functions: dict[int, tuple[str, tuple[int, ...], Mapping[str, Any]]] = {}  # that are no operations
        self.places: dict[int, str] = {}

    def operation(self, op: Op, args: Any, result: Tensor) -> None:
        super().operation(op, args, result)
        self.places[len(self.values) - 1] = place()
        if type(result) is Tensor:
            result.__class__ = Traced

    def compared(self, ufunc: Any, *inputs: Any) -> Any:
        """Record a ufunc whose result has no gradient."""
        return self._function(ufunc.__name__, inputs, ufunc(*map(bare, inputs)), {})

    def cast(self, x: Any, dtype: Any) -> Any:
        """Record a cast of a comparison."""
        return self._function("astype", (x,), bare(x).astype(dtype), {"dtype": np.dtype(dtype)})

    def _function(self, name: str, inputs: Sequence[Any], result: Any, attrs: Mapping[str, Any]) -> Any:
        args = tuple([self.number(x) for x in inputs])
        traced = np.asarray(result).view(TracedArray)
        number = self.add(traced, "operation", "", np.asarray(result))
        self.functions[number], self.places[number] = (name, args, attrs), place()
        return traced


def record_step(cell: Cell, arrays: Mapping[str, Any], config: Mapping[str, Any], outer: Mapping[str, Any],
                step: int) -> StepRecorder:  # fmt: skip
    """The recording of one step; ``arrays`` are input, states and parameters by name, which the cell may change."""
    recorder, tensors = StepRecorder(), {}
    for name, array in arrays.items():
        kind = "input" if name == cell.input else "state" if name in cell.states else "parameter"
        tensors[name] = make(array, Node((None,), array.shape, array.dtype))  # no leaf: the cell may change it
        tensors[name].name = name
        recorder.inputs[name] = recorder.leaf(tensors[name], name, kind)
    for kind, leaves in (("config", config), ("outer", outer)):
        for name, leaf in leaves.items():
            if isinstance(leaf, (np.ndarray, Tensor)):
                recorder.inputs[name] = recorder.leaf(leaf, name, kind)
    bound = {**cell.bind({name: tensors[name] for name in cell.params}), **config}
    for name in cell.params:
        bound[name].__class__ = TracedParameter
    x, *state = [_as_traced(tensors[name]) for name in (cell.input, *cell.states)]
    before, context.step = context.step, step
    try:
        with watching(recorder, codes(cell)), inner_locals_of(called(cell), recorder):
            new = cell.step(x, state, bound, check=True)
    finally:
        context.step = before
    if recorder.reason is not None:
        raise recorder.reason
    recorder.finish({f"{name}'": tensor for name, tensor in zip(cell.states, new)}, [cell.input, *cell.states])
    return recorder


def _as_traced(tensor: Tensor) -> Tensor:
    twin = make(tensor._array, tensor.node)
    twin.__class__ = Traced
    return twin


def compare(first: StepRecorder, second: StepRecorder) -> None:
    """Raise PlanError unless both recordings have the same equations, attributes and constants."""
    for number in range(max(len(first.values), len(second.values))):
        if number >= min(len(first.values), len(second.values)) or _signature(first, number) != _signature(
            second, number
        ):
            recorder = max(first, second, key=lambda recorder: len(recorder.values))
            at = next((recorder.places[k] for k in range(number, len(recorder.values)) if k in recorder.places), "")
            raise PlanError(f"two steps on different values differ{f' at {at}' if at else ''}: the cell decides by "
                            "values, draws random numbers, or computes outside of operations")  # fmt: skip
    if list(first.outputs.values()) != list(second.outputs.values()):
        raise PlanError("two steps on different values return different values")


def _signature(recorder: StepRecorder, number: int) -> Any:
    """What has to be equal in every recording of a step, for one value."""
    known, equation = recorder.values[number], recorder.equations.get(number)
    head = (known.kind, known.shape, known.dtype)
    if equation is not None:
        attrs = tuple((name, _content(attr)) for name, attr in equation.attrs.items())
        return (*head, equation.op.name, equation.args, attrs)
    if number in recorder.functions:
        return (*head, *recorder.functions[number][:2])
    return (
        *head,
        _content(recorder.arrays[number]) if known.kind == "constant" and not _link(recorder, number) else "",
    )


def _content(attr: Any) -> Any:
    if isinstance(attr, (tuple, list)):
        return tuple(map(_content, attr))
    if isinstance(attr, np.ndarray):
        return attr.shape, attr.dtype.str, attr.tobytes()
    return "rng" if isinstance(attr, np.random.Generator) else attr_key(attr)


def _link(recorder: StepRecorder, number: int) -> int | None:
    """The value that a constant was detached from: an earlier one on the same array."""
    array = recorder.arrays[number]
    if not isinstance(array, np.ndarray) or number in recorder.nodes:
        return None
    return next((k for k in range(number) if recorder.arrays[k] is array), None)


def fresh(recorder: StepRecorder) -> list[int]:
    """The constant arrays: the cell has computed them outside of operations."""
    return [value.number for value in recorder.values if value.kind == "constant" and value.shape
            and value.number not in recorder.nodes and _link(recorder, value.number) is None]  # fmt: skip


def as_program(recorder: StepRecorder, rng: Any) -> tuple[Program, dict[int, int], dict[str, int], list[int]]:
    """The recording as a program, the numbers of its values there, the leaves by name, and the new states."""
    program, numbers = Program(rng=copy.deepcopy(rng)), dict[int, int]()
    for known in recorder.values:
        equation, function = recorder.equations.get(known.number), recorder.functions.get(known.number)
        name = known.name if known.kind != "constant" else ""
        if equation is not None:
            attrs = dict(equation.attrs)
            draws = isinstance(attrs.get("rng"), np.random.Generator)
            if draws:
                del attrs["rng"]
            args, name = [numbers[arg] for arg in equation.args], name or known.inner_name
            result = [recorder.arrays[known.number]] if equation.op.name == "matmul" else ()  # no view of an operand
            numbers[known.number] = program.add(equation.op.name, args, attrs, name, draws=draws, known=result)
        elif function is not None:
            sources = [numbers[arg] for arg in function[1]]
            numbers[known.number] = program.add(function[0], sources, function[2], name)
        elif known.kind == "constant" and (source := _link(recorder, known.number)) is not None:
            numbers[known.number] = program.add("detach", [numbers[source]], {}, name)
        else:
            operand = recorder.operand(known.number) if known.kind == "constant" else recorder.arrays[known.number]
            array = bare(value(operand))
            if known.kind == "constant" and isinstance(array, np.ndarray):  # it may be a view of the user's array
                array = np.array(array)
            numbers[known.number] = program.leaf(known.kind, name, array)
    leaves = {name: numbers[number] for name, number in recorder.inputs.items()}
    return program, numbers, leaves, [numbers[number] for number in recorder.outputs.values()]
