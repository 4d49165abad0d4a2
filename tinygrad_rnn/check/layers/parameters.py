"""The parameters and gradients of a layer: ``params`` and ``grads``, or attributes, ``self.Wx`` beside ``self.dWx``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import Uncheckable

PROTOCOL = ("params", "grads", "forward", "backward")
FORMS = ("d{}", "d_{}", "grad_{}", "{}_grad", "g{}")  # of the attribute that holds the gradient by another


def is_layer(layer: Any) -> None:
    """Raise Uncheckable unless it has forward and backward, and params and grads or arrays as attributes."""
    kind = layer.__name__ if isinstance(layer, type) else type(layer).__name__
    if isinstance(layer, type):
        raise Uncheckable(f"check_layer: {kind} is a class, should be a layer: {kind}(...)")
    if missing_parts(layer):
        raise Uncheckable(f"check_layer: {kind} has no {', '.join(missing_parts(layer))}; "
                      "a layer has params, grads, forward and backward")  # fmt: skip


def missing_parts(layer: Any) -> list[str]:
    """Which of params, grads, forward and backward an object does not have. Attributes can be params and grads."""
    missing = [name for name in PROTOCOL if not hasattr(layer, name)]
    return [] if missing == ["params", "grads"] and arrays_of(layer) else missing


def arrays_of(layer: Any) -> dict[str, np.ndarray]:
    """The arrays among the attributes of an object."""
    return {name: x for name, x in getattr(layer, "__dict__", {}).items() if isinstance(x, np.ndarray)}


def params_of(layer: Any) -> Any:
    """``params``. Of a layer without: the attributes by name that have a gradient, or could have one."""
    if hasattr(layer, "params"):
        return layer.params
    floats = {name: x for name, x in arrays_of(layer).items() if x.dtype.kind == "f"}
    gradients = [form.format(name) for name in floats for form in FORMS]
    return {name: x for name, x in floats.items() if name not in gradients}


def grads_of(layer: Any) -> Any:
    """``grads``. Of a layer without: the attributes that are gradients, by the names of the parameters."""
    if hasattr(layer, "grads"):
        return layer.grads
    keys = {name: [form.format(name) for form in FORMS if hasattr(layer, form.format(name))] for name in vars(layer)}
    return {name: getattr(layer, names[0]) for name, names in keys.items() if names}


def listed(arrays: Any, params: Any = None) -> list[Any]:
    """The parameters, or the gradients in the order of ``params``: a list, or a dict by name (W or dW)."""
    if not isinstance(arrays, dict):
        return list(arrays)
    if not isinstance(params, dict):
        return list(arrays.values())
    return [arrays[name] if name in arrays else arrays.get(f"d{name}") for name in params]


def parameter_names(layer: Any, params: Sequence[np.ndarray], taken: Sequence[str]) -> list[str]:
    """The name of each parameter: its key, the attribute that holds it, else its place in the list."""
    entries = params_of(layer)
    attributes = entries if isinstance(entries, dict) else getattr(layer, "__dict__", {})
    bound = {id(array): name for name, array in reversed(attributes.items()) if name not in taken}
    return [bound.get(id(p), f"params[{k}]") for k, p in enumerate(params)]
