"""A layer with gradients as attributes (``self.dWx`` beside ``self.Wx``), as a layer with params and grads."""

from __future__ import annotations

from typing import Any

import numpy as np

FORMS = ("d{}", "d_{}", "grad_{}", "{}_grad", "g{}")


class AttributeLayer:
    """The layer: ``params`` are the attributes that have a gradient, or could have one, and ``grads`` the gradients."""

    def __init__(self, layer: Any):
        self.layer = layer
        arrays = {name: x for name, x in vars(layer).items() if isinstance(x, np.ndarray) and x.dtype.kind == "f"}
        gradients = [form.format(name) for name in arrays for form in FORMS]
        self.names = [name for name in arrays if name not in gradients]
        self.__class__ = type(type(layer).__name__, (AttributeLayer,), {})

    @property
    def params(self) -> dict[str, Any]:
        return {name: getattr(self.layer, name) for name in self.names}

    @property
    def grads(self) -> dict[str, Any]:
        keys = {name: next((form.format(name) for form in FORMS if hasattr(self.layer, form.format(name))), "")
                for name in self.names}  # fmt: skip
        return {name: getattr(self.layer, key) for name, key in keys.items() if key}

    @property
    def forward(self) -> Any:
        return self.layer.forward

    @property
    def backward(self) -> Any:
        return self.layer.backward


def needs_names(layer: Any) -> bool:
    """Has a layer neither ``params`` nor ``grads``, but forward, backward and arrays as attributes?"""
    methods = callable(getattr(layer, "forward", None)) and callable(getattr(layer, "backward", None))
    arrays = any(isinstance(x, np.ndarray) for x in getattr(layer, "__dict__", {}).values())
    return methods and arrays and not isinstance(layer, type) and not hasattr(layer, "params") and not (
        hasattr(layer, "grads"))  # fmt: skip
