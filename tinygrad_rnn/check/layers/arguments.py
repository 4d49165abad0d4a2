"""The arguments of user-defined functions; the methods, parameters and gradients of user-defined layers."""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...cells.builtin import BUILT_IN
from ...cells.cell import Cell
from ...errors import Uncheckable
from .names import METHODS, key_of


def as_cell(where: str, cell: Any) -> Cell | None:
    """The argument ``cell=``. Raises Uncheckable for anything but a cell or None, and says what to write."""
    if cell is None or isinstance(cell, Cell):
        return cell
    if isinstance(cell, str):
        known = [name for name in BUILT_IN if name == plain(cell) or name == cell]
        write = f"cell=tg.{known[0]}" if known else f"a cell such as cell=tg.lstm ({', '.join(BUILT_IN)}, or your own)"
        raise Uncheckable(f"{where}: cell is the string {cell!r}, should be {write}, without quotes")
    raise Uncheckable(f"{where}: cell is a {type(cell).__name__}, should be a cell: equations under @cell, or tg.lstm")


def refuse_deferred(where: str, *functions: Any) -> None:
    """Raise Uncheckable for a generator and an async function: their calls give no result."""
    for function in functions:
        name = getattr(function, "__qualname__", type(function).__name__)
        if inspect.isgeneratorfunction(function):
            raise Uncheckable(f"{where}: {name} is a generator, should return its result: it has a yield")
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise Uncheckable(f"{where}: {name} is async, should be a plain def")


def refuse_dataclasses(inputs: Sequence[Any]) -> None:
    """Raise Uncheckable for an input that is a dataclass: what its arrays are is not known."""
    for x in inputs:
        if dataclasses.is_dataclass(x):
            raise Uncheckable(f"check: an input is the dataclass {type(x).__name__}, should be an array, or a dict, a "
                              "named tuple or a list of arrays")  # fmt: skip


def with_signature(function: Any) -> Any:
    """The function; with the signature of the function that a decorator has replaced by ``inner(*args, **kwargs)``."""
    kinds = [parameter.kind for parameter in parameters(function).values()]
    hidden = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    replaced = [part for part in hidden if inspect.isfunction(part)]
    if kinds != [inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD] or len(replaced) != 1:
        return function

    def call(*args: Any, **named: Any) -> Any:
        return function(*args, **named)

    return functools.update_wrapper(call, replaced[0])


def plain(name: str) -> str:
    """A name in lower case without underscores and digits: ``W_x`` is wx, ``TimeLSTM`` is timelstm."""
    return re.sub("[^a-z]", "", name.lower())


def parameters(f: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters of a function by name; empty if it has no signature."""
    try:
        return dict(inspect.signature(f).parameters)
    except (TypeError, ValueError):
        return {}


def required(function: Any) -> list[str]:
    """The names of the arguments without a default."""
    return [name for name, argument in parameters(function).items() if argument.default is argument.empty]


def is_backward(function: Callable[..., Any]) -> bool:
    """Can a function be a backward: does it take a gradient, or any argument? Otherwise it makes a layer."""
    names = parameters(function)
    takes_gradient = any(name == "dhs" or (name.startswith("d") and name[1:] in names) for name in names)
    return not names or takes_any(function, "VAR_POSITIONAL", "VAR_KEYWORD") or takes_gradient


def binds(f: Callable[..., Any], args: Sequence[Any], named: Mapping[str, Any] | None = None) -> bool:
    """Do the arguments fit the signature of a function?"""
    try:
        inspect.signature(f).bind(*args, **(named or {}))
    except TypeError:
        return False
    except ValueError:  # no signature: only the call can show it
        return True
    return True


def takes_any(f: Callable[..., Any], *stars: str) -> bool:
    """Does a function have ``*args`` ("VAR_POSITIONAL") or ``**kwargs`` ("VAR_KEYWORD"), whichever is asked for?"""
    return any(parameter.kind.name in stars for parameter in parameters(f).values())


def refuse_inputs(where: str, name: str, f: Callable[..., Any], inputs: Sequence[Any], call: str) -> None:
    """Raise Uncheckable unless a function takes this number of inputs; ``call`` with its arguments is what to write."""
    if not binds(f, inputs):
        wanted, count = ", ".join(parameters(f)), f"{len(inputs)} input{'s' * (len(inputs) != 1)}"
        raise Uncheckable(f"{where}: {name}({wanted}) is handed {count}, should be {call.format(wanted)}")


def has_methods(thing: Any) -> bool:
    """Does a layer, or a class of layers, have a forward and a backward, under one of their usual names?"""
    around = thing.__mro__ if isinstance(thing, type) else [thing, *type(thing).__mro__]
    names = {name for kind in around for name in getattr(kind, "__dict__", ()) if callable(getattr(thing, name, None))}
    return all(any(name in names for name in usual) for usual in METHODS.values())


def with_usual_names(layer: Any) -> Any:
    """A layer whose methods have other names, ``forward_pass`` and ``bptt``, as a copy with forward and backward."""
    if isinstance(layer, type) or not has_methods(layer) or all(hasattr(layer, name) for name in METHODS):
        return layer
    layer = copy.copy(layer)
    for usual, names in METHODS.items():
        if not hasattr(layer, usual):
            setattr(layer, usual, next(getattr(layer, name) for name in names if hasattr(layer, name)))
    return layer


def backward_without_cotangent(thing: Any) -> str:
    """The method of an object, or of a class, that computes gradients by a loss and has no arguments; "" if none."""
    owners = int(isinstance(thing, type))  # a function of a class has ``self``
    methods = ((name, getattr(thing, name, None)) for name in METHODS["backward"])
    return next((name for name, method in methods if callable(method) and not isinstance(method, type)
                 and binds(method, [None] * owners) and len(parameters(method)) == owners), "")  # fmt: skip


def is_layer(layer: Any) -> None:
    """Raise Uncheckable unless it has forward and backward."""
    kind = layer.__name__ if isinstance(layer, type) else type(layer).__name__
    if isinstance(layer, type):
        raise Uncheckable(f"check_layer: {kind} is a class, should be a layer: {kind}(...)")
    missing = [name for name in ("forward", "backward") if not callable(getattr(layer, name, None))]
    if missing:
        raise Uncheckable(f"check_layer: {kind} has no {', '.join(missing)}, should be a layer: forward and backward, "
                          "and arrays with gradients: params and grads, W and dW, ...")  # fmt: skip


def listed(arrays: Any, params: Any = None) -> list[Any]:
    """The parameters, or the gradients in the order of ``params``: a list, or a dict by name (W, dW, W_grad, ...)."""
    if not isinstance(arrays, dict):
        return list(arrays)
    if not isinstance(params, dict):
        return list(arrays.values())
    return [arrays.get(key_of(name, arrays)) for name in params]


def parameter_names(layer: Any, kept: Any, params: Sequence[np.ndarray], taken: Sequence[str]) -> list[str]:
    """The name of each parameter: its key, the attribute that holds it, else its place in the list."""
    attributes = kept if isinstance(kept, dict) else getattr(layer, "__dict__", {})
    bound = {id(array): name for name, array in reversed(attributes.items()) if name not in taken}
    return [bound.get(id(p), f"params[{k}]") for k, p in enumerate(params)]
