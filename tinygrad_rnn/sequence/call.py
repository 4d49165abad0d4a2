"""A call of `scan`: its arguments, checked, as Tensors.

The checks depend on the kinds of the arguments alone: shapes, dtypes, and which need a gradient. So they run at the
first call with arguments of these kinds. What they find out is a `Form`, which later calls share.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..engine.codegen import SIMPLE
from ..engine.tensor import Tensor, make, value
from ..errors import InvalidType, InvalidValue, ShapeError

MOST = 256  #: forms that a cell keeps


class Form:
    """What calls of `scan` with arguments of the same kinds share.

    ``arrays``: no argument is a Tensor. ``zeros``: the shape and dtype of each first state that is not given, or None.
    ``requests``: what these calls ask the planner for (see `plan.cache`).
    """

    __slots__ = ("arrays", "requests", "zeros")

    def __init__(self, arrays: bool, zeros: Sequence[tuple[Any, Any]] | None):
        self.arrays, self.zeros = arrays, zeros
        self.requests: dict[Any, Any] = {}


class Call:
    """A call of `scan`: ``xs`` and ``state`` are Tensors, ``mask`` is that of the lengths, or None.

    ``tensors`` are the input, the states and the parameters by name, ``config`` the configuration of the cell.
    ``windows`` counts the calls through which the state has been carried without detach, this one included. Raises
    InvalidType and ShapeError, in the names of the cell, for arguments that do not fit.
    """

    __slots__ = ("cell", "checkpoint", "config", "form", "mask", "params", "reverse", "state", "tensors", "windows",
                 "xs")  # fmt: skip

    def __init__(self, cell: Cell, xs: Any, state: Any, params: Any = None, lengths: Any = None, reverse: bool = False,
                 checkpoint: int | None = None):  # fmt: skip
        params = {} if params is None else params
        kinds = _kinds(xs, state, params) if isinstance(cell, Cell) and isinstance(params, Mapping) else None
        form = None if kinds is None else cell.forms.get(kinds)
        if form is None:
            form = _checked(cell, xs, state, params)
            if kinds is not None:
                if len(cell.forms) >= MOST:
                    cell.forms.clear()
                cell.forms[kinds] = form
        self.cell, self.params, self.form, self.reverse, self.checkpoint = cell, params, form, reverse, checkpoint
        self.xs = xs if isinstance(xs, Tensor) else make(np.asarray(xs) if form.arrays else np.array(xs), None)
        self.state = _initial(state, form)
        self.tensors: dict[str, Any] = {cell.input: self.xs, **dict(zip(cell.states, self.state))}
        self.config: dict[str, Any] = {}
        for name, arg in params.items():
            if name not in cell.params:
                self.config[name] = arg
        for name in cell.params:
            self.tensors[name] = params[name]
        self.mask = None if lengths is None else length_mask(lengths, self.xs.shape[0], self.xs.shape[1])
        self.windows = 1
        for tensor in self.state:
            if tensor.node is not None and hasattr(tensor.node, "run"):
                self.windows = max(self.windows, 1 + tensor.node.run.windows)


def _kinds(xs: Any, state: Any, params: Mapping[str, Any]) -> Any:
    """The kinds of the arguments, which the checks depend on; None if they depend on more."""
    states = state if isinstance(state, (tuple, list)) else (state,)
    kinds: list[Any] = [tuple(params), state is None]
    for x in (xs, *states, *params.values()):
        if isinstance(x, Tensor):
            array = x._array
            kinds.append((array.shape, array.dtype, x.node is None))
        elif x.__class__ is np.ndarray:
            kinds.append((x.shape, x.dtype))
        elif x.__class__ in SIMPLE:
            kinds.append((x.__class__, repr(x)))
        elif x.__class__ is np.random.Generator:
            kinds.append(x.__class__)
        else:
            return None
    return tuple(kinds)


def _checked(cell: Any, xs: Any, state: Any, params: Any) -> Form:
    """The form of a call. Raises for arguments that do not fit."""
    if not isinstance(cell, Cell) or not isinstance(params, Mapping) or isinstance(xs, Mapping | str):
        raise InvalidType(_misused(cell, xs, params))
    if isinstance(state, Mapping | str):
        raise InvalidType(_no_state(cell, state))
    if np.ndim(value(xs)) != 3:
        raise ShapeError(f"scan: xs is {np.shape(value(xs))}, should be (N, T, D)")
    if np.shape(value(xs))[1] == 0:
        raise ShapeError("scan: xs has T = 0 steps, should have at least one")
    arrays = not any(isinstance(argument, Tensor) for argument in [xs, *_tuple(state), *params.values()])
    array = np.asarray(value(xs))
    form = Form(arrays, _zeros(cell, params, array) if state is None else None)
    cell.check(array[:, 0], _initial(state, form), params)
    return form


def _zeros(cell: Cell, params: Mapping[str, Any], xs: np.ndarray) -> list[tuple[Any, Any]]:
    """The shapes of the first states; their dtype is that which xs and the parameters promote to."""
    dtypes = [np.asarray(value(array)).dtype for name, array in params.items() if name in cell.params]
    zeros = cell.zero_state(len(xs), params, np.result_type(xs.dtype, *dtypes))
    return [(tensor.shape, tensor.dtype) for tensor in zeros]


def _initial(state: Any, form: Form) -> tuple[Tensor, ...]:
    """The first states as Tensors."""
    if form.zeros is not None:
        return tuple([make(np.zeros(shape, dtype), None) for shape, dtype in form.zeros])
    return tuple([array if isinstance(array, Tensor) else make(np.array(array), None) for array in _tuple(state)])


def _tuple(state: Any) -> Sequence[Any]:
    return state if isinstance(state, (tuple, list)) else () if state is None else (state,)


def _no_state(cell: Cell, state: Any) -> str:
    """The error text for parameters, or a dict of states, in the place of the state."""
    states = ", ".join(cell.states) + "," * (len(cell.states) == 1)
    wanted = f"should be a tuple ({states}), or None for zeros; params come after it"
    return f"scan: state is a {type(state).__name__}, {wanted}: scan({cell.name}, xs, None, params)"


def _misused(cell: Any, xs: Any, params: Any) -> str:
    """The error text for a function that is no cell, for named inputs, or for parameters without names."""
    if not isinstance(cell, Cell):
        return f"scan: cell is a {type(cell).__name__}, should be a cell: equations under @cell"
    if isinstance(xs, Mapping | str):
        return f"scan: xs is a {type(xs).__name__}, should be an array (N, T, D): scan({cell.name}, xs, None, params)"
    return f"scan: params is a {type(params).__name__}, should be a dict such as {cell.name}.init(...) gives"


def length_mask(lengths: Any, N: int, T: int, where: str = "scan") -> np.ndarray | None:
    """The mask of the steps within ``lengths``, (N, T, 1); None if all steps are. ``where`` is the caller, for errors.

    Raises ShapeError for other than N integers, InvalidValue for a length below 0 or above T.
    """
    lengths = np.asarray(value(lengths))
    if lengths.shape != (N,) or lengths.dtype.kind not in "iu":
        raise ShapeError(f"{where}: lengths is {lengths.dtype} {lengths.shape}, should be integers ({N},), one a row")
    wrong = lengths[(lengths < 0) | (lengths > T)]
    if wrong.size:
        raise InvalidValue(f"{where}: lengths holds {operator.index(wrong[0])}, should be from 0 to T = {T}")
    return None if (lengths == T).all() else (np.arange(T) < lengths[:, None])[:, :, None]
