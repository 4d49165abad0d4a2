"""Functions as a layer: all arguments of the forward are inputs, and global arrays that they read may be parameters.

A custom operation in PyTorch's manner has a static ``forward(ctx, x)`` and ``backward(ctx, dy)``. A function may also
return its loss and then gradients, as min-char-rnn has it:

loss, dWxh, dWhh, dWhy, dbh, dby, hprev = lossFun(inputs, targets, hprev, Wxh, Whh, Why, bh, by)

Its forward gives the loss; its backward gives the gradients that the function has returned, times the gradient by the
loss. Weights may be global variables, as in min-char-rnn itself, or attributes of the object whose method it is.
Gradients may be kept beside them, and the loss returned alone; another method may compute them afterwards.
"""

from __future__ import annotations

import dis
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import CodeType
from typing import Any

import numpy as np

from ...engine.pytree import flatten
from ...errors import Uncheckable
from .arguments import backward_without_cotangent, parameters
from .discovered import beside, floats_by_path
from .names import fitting, in_order, returned_names

SELF = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
ANY = inspect.Signature([inspect.Parameter("dys", inspect.Parameter.VAR_POSITIONAL)])


def functions_as_layer(
    forward: Callable[..., tuple[Any, Any]], backward: Callable[..., Any], sources: Sequence[Callable[..., Any]],
    inputs: inspect.Signature, dys: inspect.Signature = ANY, name: str = "", returned: Sequence[str] = (),
    order: Callable[..., Any] = in_order,
) -> Any:  # fmt: skip
    """A layer whose forward and backward call two functions.

    ``forward(*inputs)`` returns the outputs and what it saves. ``backward(saved, *dys)`` returns gradients, whose names
    in the user's code are ``returned``; ``order`` puts them into the order of the inputs. ``sources`` are the user's
    functions behind them. The layer has the name of the first of them. A call has ``layer.variables`` in the place of
    the global variables. Of a method, ``forward`` gets a copy of its object first, which is in ``layer.owner``.
    """

    def run(self: Any, *arrays: Any) -> Any:
        with in_place_of_globals(sources[0], self.variables):
            outputs, self.saved = forward(*self.owner, *arrays)
        return outputs

    def back(self: Any, *cotangents: Any) -> Any:
        with in_place_of_globals(sources[0], self.variables):
            return backward(self.saved, *cotangents)

    for method, signature in ((run, inputs), (back, dys)):
        shown = signature.replace(parameters=[SELF, *signature.parameters.values()])
        method.__signature__ = shown  # type: ignore[attr-defined]
    name = name or getattr(sources[0], "__name__", "function")
    layer: Any = type(name, (), {"forward": run, "backward": back})()
    layer.user_functions, layer.returned_names, layer.order = list(sources), list(returned), order
    layer.owner = [sources[0].__self__] if inspect.ismethod(sources[0]) else []
    layer.variables = {key: x for source in sources for key, x in global_variables(source).items()}
    return layer


def global_variables(function: Any) -> dict[str, Any]:
    """The global variables with arrays of floats that a function and the functions of its module that it calls read.

    They are arrays, dicts and lists, and objects of the module's classes.
    """
    first: Any = inspect.unwrap(function)
    around: dict[str, Any] = getattr(first, "__globals__", {})
    names, waiting = dict[str, Any](), [first]
    while waiting:
        read = globals_read(code) if (code := getattr(waiting.pop(), "__code__", None)) else []
        new = [name for name in read if name in around and name not in names]
        names.update((name, around[name]) for name in new)
        waiting += [around[name] for name in new if getattr(around[name], "__globals__", None) is around]
    module, single_first = around.get("__name__"), sorted(names.items(), key=lambda pair: isinstance(pair[1], list))
    return {name: x for name, x in single_first if floats_by_path(x) and (
        isinstance(x, (np.ndarray, dict, list)) or type(x).__module__ == module)}  # fmt: skip


def globals_read(code: CodeType) -> list[str]:
    """The names of global variables that a function and the functions inside of it read."""
    here = [part.argval for part in dis.get_instructions(code) if part.opname in ("LOAD_GLOBAL", "LOAD_NAME")]
    inner = [name for part in code.co_consts if isinstance(part, CodeType) for name in globals_read(part)]
    return list(dict.fromkeys([*here, *inner]))


@contextmanager
def in_place_of_globals(function: Any, variables: Mapping[str, Any]) -> Iterator[None]:
    """Run with other values of global variables of a function's module; the values before are put back at the end."""
    around = getattr(inspect.unwrap(function), "__globals__", {})
    before = {name: around[name] for name in variables if name in around}
    around.update({name: variables[name] for name in before})
    try:
        yield
    finally:
        around.update(before)


class Context:
    """What forward saves for backward: ``save_for_backward``, ``saved_tensors``, and any attribute."""

    saved_tensors: tuple[Any, ...] = ()

    def save_for_backward(self, *arrays: Any) -> None:
        self.saved_tensors = arrays

    def mark_non_differentiable(self, *arrays: Any) -> None:
        """Accepted, as PyTorch does; integers have no gradient in any case."""


def is_operation(target: Any) -> bool:
    """Is it a class whose forward and backward are static and take ``ctx`` first?"""
    static = [isinstance(inspect.getattr_static(target, name, None), staticmethod) for name in ("forward", "backward")]
    return isinstance(target, type) and all(static) and all(
        next(iter(parameters(getattr(target, name))), "") == "ctx" for name in ("forward", "backward"))  # fmt: skip


def operation_as_layer(operation: Any) -> Any:
    """The operation as a layer without parameters: all arguments of forward after ``ctx`` are inputs."""

    def forward(*inputs: Any) -> Any:
        context = Context()
        return operation.forward(context, *inputs), context

    functions = operation.forward, operation.backward
    inputs, dys = (inspect.signature(functools.partial(function, None)) for function in functions)
    return functions_as_layer(forward, operation.backward, functions, inputs, dys, operation.__name__)


def loss_as_layer(function: Any, name: str = "") -> Any:
    """The function, or the method of an object, as a layer: all its arguments are inputs."""
    later = backward_without_cotangent(function.__self__) if inspect.ismethod(function) else ""
    sources = [function, *([getattr(function.__self__, later)] if later else [])]
    call, variables = getattr(function, "__func__", function), getattr(inspect.unwrap(function), "__globals__", {})
    read, places = list(global_variables(function)), dict[Any, list[Any]]()

    def kept_gradients(inputs: tuple[Any, ...]) -> dict[Any, np.ndarray]:
        """The gradients beside the weights, in the object of the method and in global variables, by path."""
        arrays = floats_by_path([inputs[: inspect.ismethod(function)], {name: variables[name] for name in read}])
        return {place: arrays[place] for place in _places(arrays, places)}

    def forward(*inputs: Any) -> Any:
        for g in kept_gradients(inputs).values():
            g[...] = 0  # the function may add to them
        result = _with_gradients(call(*inputs), later, inputs)
        kept = {path: g.copy() for path, g in kept_gradients(inputs).items()}
        parts = _parts(result, bool(kept), function)
        return np.asarray(parts[0])[()], (parts[1:], inputs, kept)

    def backward(saved: Any, dloss: Any) -> tuple[Any, ...]:
        gradients, inputs, kept = saved
        for path, g in kept_gradients(inputs).items():
            g[...] = kept[path] * dloss
        return _scaled(gradients, dloss)

    signature, names = inspect.signature(function), returned_names(function)[1:] or returned_names(sources[-1])
    return functions_as_layer(forward, backward, sources, signature, name=name, returned=names, order=fitting)


def _parts(result: Any, kept: bool, function: Callable[..., Any]) -> Any:
    """The loss and what follows it. Raises Uncheckable without a loss, and without gradients unless they are kept."""
    parts = (result,) if kept and not isinstance(result, (tuple, list)) else result
    if not isinstance(parts, (tuple, list)) or len(parts) < 2 - kept or np.ndim(parts[0]):
        raise Uncheckable(f"check_loss: {getattr(function, '__name__', 'function')} returns {_text(result)}, should"
                          " be the loss, then gradients: return loss, dW, or return loss, {'W': dW}")  # fmt: skip
    return parts


def _places(arrays: dict[Any, np.ndarray], known: dict[Any, list[Any]]) -> list[Any]:
    """The paths of the gradients among all arrays; they are asked for at each call, so those ``known`` are kept."""
    kinds = tuple((path, x.shape) for path, x in arrays.items())
    if kinds not in known:
        known[kinds] = [place for path in arrays for place in beside(path, arrays)[:1]]
    return known[kinds]


def _with_gradients(result: Any, later: str, inputs: tuple[Any, ...]) -> Any:
    """The loss, and the gradients that another method of the object, the first of the inputs, returns afterwards."""
    if not later or isinstance(result, (tuple, list)):
        return result
    if later == "backward" and np.ndim(result):
        raise Uncheckable(f"check_layer: {type(inputs[0]).__name__}.backward() takes no gradient, should take that by "
                          "the output of forward and multiply by it: def backward(self, dout=1); or forward should "
                          "return a loss")  # fmt: skip
    returned = getattr(inputs[0], later)()
    return result if returned is None else (result, *(returned if type(returned) is tuple else [returned]))


def _scaled(gradients: Any, factor: Any) -> tuple[Any, ...]:
    leaves, build = flatten(list(gradients))
    return tuple(build([g * factor if np.asarray(g).dtype.kind in "fiuc" else g for g in leaves]))


def _text(result: Any) -> str:
    return f"a tuple that begins with {np.shape(result[0])}" if isinstance(result, tuple) and result else (
        f"a {type(result).__name__}")  # fmt: skip
