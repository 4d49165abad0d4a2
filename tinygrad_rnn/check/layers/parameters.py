"""The parameters and gradients of a layer, ``params`` and ``grads``, as lists, and their names."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import Uncheckable
from .names import key_of

METHODS = {
    "forward": ("forward", "forward_pass", "feedforward", "feed_forward", "forward_prop", "fprop", "fwd", "__call__"),
    "backward": ("backward", "backward_pass", "backprop", "back_prop", "backpropagation", "bprop", "bptt", "bwd"),
}


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


def parameter_names(layer: Any, params: Sequence[np.ndarray], taken: Sequence[str]) -> list[str]:
    """The name of each parameter: its key, the attribute that holds it, else its place in the list."""
    attributes = layer.params if isinstance(layer.params, dict) else getattr(layer, "__dict__", {})
    bound = {id(array): name for name, array in reversed(attributes.items()) if name not in taken}
    return [bound.get(id(p), f"params[{k}]") for k, p in enumerate(params)]
