"""A function that returns the loss and then gradients, as min-char-rnn has it, as a layer.

loss, dWxh, dWhh, dWhy, dbh, dby, hprev = lossFun(inputs, targets, hprev, Wxh, Whh, Why, bh, by)

All arguments are inputs of the layer. Its forward gives the loss; its backward gives the gradients that the function
has returned, times the gradient by the loss. Weights may be global variables, as in min-char-rnn itself, or attributes
of the object whose method it is. Gradients may be kept beside them, and the loss returned alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import Uncheckable
from .discovered import beside, floats_by_path
from .functions import functions_as_layer, global_variables
from .names import fitting, returned_names


def loss_as_layer(function: Callable[..., Any]) -> Any:
    """The function, or the method of an object, as a layer: all its arguments are inputs."""
    call, variables = getattr(function, "__func__", function), getattr(inspect.unwrap(function), "__globals__", {})
    read = list(global_variables(function))

    def kept_gradients(inputs: tuple[Any, ...]) -> dict[Any, np.ndarray]:
        """The gradients beside the weights, in the object of the method and in global variables, by path."""
        arrays = floats_by_path([inputs[: inspect.ismethod(function)], {name: variables[name] for name in read}])
        return {place: arrays[place] for path in arrays if (place := beside(path, arrays)) is not None}

    def forward(*inputs: Any) -> Any:
        for g in kept_gradients(inputs).values():
            g[...] = 0  # the function may add to them
        result = call(*inputs)
        kept = {path: g.copy() for path, g in kept_gradients(inputs).items()}
        parts = (result,) if kept and not isinstance(result, (tuple, list)) else result
        if not isinstance(parts, (tuple, list)) or len(parts) < 2 - bool(kept) or np.ndim(parts[0]):
            raise Uncheckable(f"check_loss: {getattr(function, '__name__', 'function')} returns {_text(result)}, should"
                              " be the loss, then gradients: return loss, dW, or return loss, {'W': dW}")  # fmt: skip
        return np.asarray(parts[0])[()], (parts[1:], inputs, kept)

    def backward(saved: Any, dloss: Any) -> tuple[Any, ...]:
        gradients, inputs, kept = saved
        for path, g in kept_gradients(inputs).items():
            g[...] = kept[path] * dloss
        return tuple(_scaled(g, dloss) for g in gradients)

    signature, names = inspect.signature(function), returned_names(function)[1:]
    layer = functions_as_layer(forward, backward, [function], signature, returned=names, order=fitting)
    layer.owner = [function.__self__] if inspect.ismethod(function) else []
    return layer


def _scaled(g: Any, factor: Any) -> Any:
    if isinstance(g, dict):
        return {key: _scaled(part, factor) for key, part in g.items()}
    if isinstance(g, (list, tuple)):
        return [_scaled(part, factor) for part in g]
    return g * factor if np.asarray(g).dtype.kind in "fiuc" else g


def _text(result: Any) -> str:
    return f"a tuple that begins with {np.shape(result[0])}" if isinstance(result, tuple) and result else (
        f"a {type(result).__name__}")  # fmt: skip
