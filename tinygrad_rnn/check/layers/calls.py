"""Calling conventions of the forward and backward of a layer: trees of arrays, with None where there is no gradient.

forward takes and returns arrays, or tuples, lists and dicts of them. backward gets a gradient for each output, in the
form that its signature takes, and returns a gradient for each input.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...engine.pytree import flatten
from ...errors import Uncheckable
from ..numeric.derivatives import outputs
from ..numeric.inputs import paths
from .arguments import binds, parameters
from .names import key_of

Call = tuple[list[Any], dict[str, Any]]


def is_tree(x: Any) -> bool:
    """Is it a dict, or a tuple or list of arrays? A list of numbers is an array."""
    arrays = isinstance(x, (tuple, list, dict)) and any(hasattr(leaf, "shape") for leaf in flatten(x)[0])
    return isinstance(x, dict) or arrays


def tops(result: Any) -> list[Any]:
    """The outputs that forward returned, as a list."""
    return list(result) if isinstance(result, (tuple, list)) else [result]


def cotangents(backward: Callable[..., Any], result: Any, dys: Sequence[Any]) -> list[Call]:
    """The possible calls of ``backward`` with ``dys``, the cotangents of the floating leaves of ``result``.

    The likeliest is first: an argument for each output that has a gradient; an argument for each output, None without
    a gradient; one argument of the form of the result; keyword arguments, "d" and the key, for a dict.
    """
    remaining, gradients = iter(dys), []
    for top in tops(result):
        leaves, build = flatten(top)
        gradients.append(build([next(remaining) if np.asarray(leaf).dtype.kind in "fc" else None for leaf in leaves]))
    have = [dy for dy in gradients if any(leaf is not None for leaf in flatten(dy)[0])]
    calls: list[Call] = [(have, {}), (gradients, {})]
    if isinstance(result, (tuple, list)):
        whole = type(result)(*gradients) if hasattr(result, "_fields") else type(result)(gradients)
        calls.insert(0 if isinstance(result, list) and _takes_one(backward) else 2, ([whole], {}))
    if isinstance(result, dict):
        calls.append(([], {f"d{key}": dy for key, dy in gradients[0].items()}))
    return calls


def _takes_one(backward: Callable[..., Any]) -> bool:
    """Does the backward take exactly one argument?"""
    kinds = [parameter.kind for parameter in parameters(backward).values()]
    return len(kinds) == 1 and kinds[0] is not inspect.Parameter.VAR_POSITIONAL


def bound(layer: Any, calls: Sequence[Call]) -> Call:
    """The first of the calls that fits the signature of backward. Raises Uncheckable if there is none."""
    call = next((call for call in calls if binds(layer.backward, *call)), None)
    if call is not None:
        return call
    shapes = ", ".join(str(np.shape(dy)) for arg in calls[0][0] for dy in flatten(arg)[0])
    if not parameters(layer.backward):
        raise Uncheckable(f"check_layer: {type(layer).__name__}.backward() takes no gradient, should take that by the "
                          "output of forward and multiply by it: def backward(self, dout=1); or check a method that "
                          "calls both and returns the loss: check_loss(model.loss, ...)")  # fmt: skip
    raise Uncheckable(f"check_layer: {type(layer).__name__}.backward({', '.join(parameters(layer.backward))}) should "
                  f"take {len(calls[0][0])}: a gradient by each output of forward, {shapes}")  # fmt: skip


def run_backward(layer: Any, result: Any) -> Any:
    """What backward returns for cotangents of ones, by the ``result`` of forward."""
    dys = [np.ones_like(y) for y in outputs(result)]
    args, named = bound(layer, cotangents(layer.backward, result, dys))
    return layer.backward(*args, **named)


def gradients_by_input(returned: Any, arguments: Sequence[str], trees: Sequence[Any]) -> tuple[dict[str, Any], int]:
    """The gradients that backward returned, by the leaves of the inputs; and the number of gradients.

    backward returns a gradient for each input, or for each input with floats; a dict by the names of the inputs, with
    or without "d"; or an array, the gradient by the first input.
    """
    floats = [k for k, tree in enumerate(trees) if any(_is_float(leaf) for leaf in flatten(tree)[0])]
    several = isinstance(returned, (tuple, list))
    whole = several and len(trees) == 1 and is_tree(trees[0]) and len(flatten(returned)[0]) == len(flatten(trees[0])[0])
    steps = isinstance(returned, list) and len(floats) == 1 and len(returned) == len(trees[floats[0]]) and (
        not is_tree(trees[floats[0]]) and len({np.shape(g) for g in returned}) == 1)  # fmt: skip
    parts = list(returned) if several and not whole and not steps else [np.array(returned) if steps else returned]
    if not several and len(floats) > 1:
        parts += [None] * (len(floats) - 1)
    count, pairs = len(parts), dict(zip(range(len(trees)) if len(parts) >= len(trees) else floats, parts))
    if isinstance(returned, dict):
        keys = [key_of(name, returned) for name in arguments]
        count, pairs = len(arguments), {k: returned[key] for k, key in enumerate(keys) if key is not None}
    by_input = [_leaves(arguments[k], trees[k], part) for k, part in pairs.items()]
    return {name: g for leaves in by_input for name, g in leaves.items()}, count


def _is_float(x: Any) -> bool:
    return bool(np.asarray(x).dtype.kind == "f")


def _leaves(name: str, tree: Any, part: Any) -> dict[str, Any]:
    """The gradients by the leaves of an input: a tree of the same form, or an array with them along its first axis."""
    names = [leaf for leaf, _ in paths(name, tree)]
    if not is_tree(tree):
        return {name: part}
    parts = flatten(part)[0]
    if len(parts) == 1 and len(names) > 1:
        parts = [None] * len(names) if parts[0] is None else list(parts[0]) if np.ndim(parts[0]) else parts
    return dict(zip(names, parts))
