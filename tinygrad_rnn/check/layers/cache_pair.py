"""A forward that returns a cache beside its outputs, and the backward that takes it, as a layer.

out, cache = forward(x, prev_h, Wx, Wh, b)
dx, dprev_h, dWx, dWh, db = backward(dout, cache)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from ...cells.cell import Cell
from ...errors import Uncheckable
from .guess_cell import a_cell, binds, is_backward, parameters


def right_way_round(forward: Any, backward: Any, inputs: Sequence[Any]) -> None:
    """Raise unless ``forward`` can be one, of so many inputs, and ``backward`` be its backward."""
    if isinstance(forward, str):
        a_cell("check_backward", forward)
    names = [getattr(f, "__name__", getattr(f, "name", type(f).__name__)) for f in (forward, backward)]
    functions = not isinstance(forward, (Cell, type)) and callable(forward) and bool(parameters(backward))
    if isinstance(backward, Cell) or (functions and _by_name(forward) and not _by_name(backward)):
        raise Uncheckable(f"check_backward: {names[0]} is handed over first and {names[1]} second, should be the "
                      f"forward and then its backward: check_backward({names[1]}, {names[0]}, ...)")  # fmt: skip
    for what, f, name in zip(("forward", "backward"), (forward, backward), names):
        if isinstance(f, type) or not callable(f):
            kind = f"the class {name}" if isinstance(f, type) else f"a {name}"
            raise Uncheckable(f"check_backward: {what} is {kind}, should be a function; a layer, an object with "
                          "forward and backward, is for check_layer")  # fmt: skip
    if inputs and not isinstance(forward, Cell) and not binds(forward, inputs):
        wanted, count = ", ".join(parameters(forward)), f"{len(inputs)} input{'s' * (len(inputs) != 1)}"
        raise Uncheckable(f"check_backward: {names[0]}({wanted}) is handed {count}, should be check_backward("
                      f"{names[0]}, {names[1]}, {wanted})")  # fmt: skip


def _by_name(f: Callable[..., Any]) -> bool:
    """Does it take a gradient by name?"""
    anything = any(one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL) for one in parameters(f).values())
    return takes_cache(f) or (not anything and is_backward(f))


def takes_cache(backward: Any) -> bool:
    """Does a backward take what forward has kept?"""
    return any("cache" in name for name in parameters(backward))


def pair(forward: Any, backward: Any) -> Any:
    """The two as a layer without parameters: all that forward takes is an input."""

    def run(self: Any, *inputs: Any) -> Any:
        result = forward(*inputs)
        if not isinstance(result, tuple) or len(result) < 2:
            raise Uncheckable(f"check_backward: forward returns a {type(result).__name__}, should be out, cache: "
                          f"backward({', '.join(parameters(backward))}) takes a cache")  # fmt: skip
        *outputs, self.cache = result
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def back(self: Any, *dys: Any) -> Any:
        at = next(k for k, name in enumerate(parameters(backward)) if "cache" in name)
        return backward(*dys[:at], self.cache, *dys[at:])

    own = inspect.signature(forward)
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    same = [one.replace(kind=one.POSITIONAL_ONLY) if one.kind is one.POSITIONAL_OR_KEYWORD else one
            for one in own.parameters.values()]  # fmt: skip
    run.__signature__ = own.replace(parameters=[this, *same])  # type: ignore[attr-defined]
    made = type(getattr(forward, "__name__", "forward"), (), {"forward": run, "backward": back})()
    made.params, made.grads = [], []
    return made
