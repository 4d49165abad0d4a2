"""Functions as a layer: all arguments of the forward are inputs, and global arrays that they read may be parameters."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import CodeType
from typing import Any

import numpy as np

from .discovered import as_method, floats_by_path
from .names import in_order

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
    the global variables. ``forward`` gets copies of the objects in ``layer.owner`` first.
    """

    def run(self: Any, *arrays: Any) -> Any:
        with in_place_of_globals(sources[0], self.variables):
            outputs, self.saved = forward(*self.owner, *arrays)
        return outputs

    def back(self: Any, *cotangents: Any) -> Any:
        with in_place_of_globals(sources[0], self.variables):
            return backward(self.saved, *cotangents)

    methods = {"forward": as_method(run, inputs), "backward": as_method(back, dys)}
    layer = type(name or getattr(sources[0], "__name__", "function"), (), methods)()
    layer.user_functions, layer.returned_names, layer.order = list(sources), list(returned), order
    layer.owner = []
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
