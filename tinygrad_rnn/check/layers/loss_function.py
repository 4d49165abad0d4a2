"""A function that returns the loss and then gradients, as min-char-rnn has it, as a layer.

loss, dWxh, dWhh, dWhy, dbh, dby, hprev = lossFun(inputs, targets, hprev, Wxh, Whh, Why, bh, by)

All arguments are inputs of the layer. Its forward gives the loss; its backward gives the gradients that the function
has returned, times the gradient by the loss.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import Uncheckable
from ..numeric.inputs import argument_names
from .functions import functions_as_layer

PREFIXES = ("d", "grad_", "d_", "g_", "")


def loss_as_layer(function: Callable[..., Any], inputs: Sequence[Any]) -> Any:
    """The function as a layer without parameters: all its arguments are inputs."""
    arguments, names = argument_names(function, len(inputs)), returned_names(function)

    def forward(*inputs: Any) -> Any:
        result = function(*inputs)
        if not isinstance(result, (tuple, list)) or len(result) < 2 or np.ndim(result[0]):
            name = getattr(function, "__name__", "function")
            raise Uncheckable(f"check_loss: {name} returns {_text(result)}, should be the loss, then gradients")
        return np.asarray(result[0])[()], (inputs, result[1:])

    def backward(saved: Any, dloss: Any) -> tuple[Any, ...]:
        by_input = matched(arguments, saved[0], saved[1], names)
        return tuple(_scaled(by_input.get(name), dloss) for name in arguments)

    return functions_as_layer(forward, backward, [function], inspect.signature(function))


def matched(
    arguments: Sequence[str], inputs: Sequence[Any], gradients: Sequence[Any], names: Sequence[str]
) -> dict[str, Any]:
    """The gradient by each input: by name, then by order and shape. What fits none is left out."""
    by_input: dict[str, Any] = {}
    at = 0  # the argument after the last that was matched
    for k, g in enumerate(gradients):
        name = names[k + 1] if len(names) == len(gradients) + 1 else ""
        argument = next((a for a, x in zip(arguments, inputs) if name in [p + a for p in PREFIXES[:-1]]), None)
        if argument is not None:
            by_input[argument], at = g, arguments.index(argument) + 1
        elif isinstance(g, dict):
            by_input.update(_by_key(arguments, inputs, g))
        else:
            fits = [n for n in range(at, len(arguments)) if arguments[n] not in by_input and _is_like(inputs[n], g)]
            if fits:
                by_input[arguments[fits[0]]], at = g, fits[0] + 1
    return by_input


def _by_key(arguments: Sequence[str], inputs: Sequence[Any], g: dict[str, Any]) -> dict[str, Any]:
    """A dict of gradients: by the keys of an input that is a dict, and by the names of inputs."""
    by_input: dict[str, Any] = {}
    for argument, x in zip(arguments, inputs):
        names = list(x) if isinstance(x, dict) else []
        keys = {key: next((p + key for p in PREFIXES if p + key in g), None) for key in names}
        if any(keys.values()):
            by_input[argument] = {key: g[mine] if mine is not None else None for key, mine in keys.items()}
        elif any(p + argument in g for p in PREFIXES):
            by_input[argument] = next(g[p + argument] for p in PREFIXES if p + argument in g)
    return by_input


def returned_names(function: Callable[..., Any]) -> list[str]:
    """The names in the last return statement of a function; nothing without source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return []
    returns = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return)]
    if not returns or not isinstance(returns[-1], ast.Tuple):
        return []
    return [part.id if isinstance(part, ast.Name) else "" for part in returns[-1].elts]


def _is_like(x: Any, g: Any) -> bool:
    """Can it be the gradient by an input: an array, or a list of arrays, of its shape?"""
    if isinstance(x, (list, tuple)) != isinstance(g, (list, tuple)) or isinstance(x, dict) or g is None:
        return False
    if isinstance(x, (list, tuple)):
        return len(x) == len(g) and all(_is_like(a, b) for a, b in zip(x, g))
    return np.asarray(x).dtype.kind in "fc" and np.shape(x) == np.shape(g)


def _scaled(g: Any, factor: Any) -> Any:
    if isinstance(g, dict):
        return {key: _scaled(part, factor) for key, part in g.items()}
    return None if g is None else [_scaled(x, factor) for x in g] if isinstance(g, (list, tuple)) else g * factor


def _text(result: Any) -> str:
    return f"a tuple that begins with {np.shape(result[0])}" if isinstance(result, tuple) and result else (
        f"a {type(result).__name__}")  # fmt: skip
