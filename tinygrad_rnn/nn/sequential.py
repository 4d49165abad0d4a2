"""Layers one after another, and the step of a sequence at which a layer after them reads."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine.tensor import Tensor, value
from ..errors import InvalidType, ShapeError
from ..sequence.call import length_mask
from .layers import as_dtype
from .module import Module


class Sequential(Module):
    """Layers one after another: ``Sequential(Embedding(...), Recurrent(...), LastStep(), Linear(...))``. Equal to::

        for layer in layers:
            x = layer(x)          # of (hs, state), hs; with lengths=lengths where the layer takes them

    A layer is a module or any function of one argument, such as `tg.tanh`. States of recurrent layers start at zero and
    are dropped; a model that carries them is a Module of its own. ``model[k]`` is layer k, ``len(model)`` their number.
    """

    def __init__(self, *layers: Callable[..., Any]):
        for k, layer in enumerate(layers):
            if not callable(layer) or isinstance(layer, type):
                what = f"the class {layer.__name__}" if isinstance(layer, type) else f"a {type(layer).__name__}"
                raise InvalidType(f"Sequential: layer {k} is {what}, should be a module or a function of one argument")
        self.layers = list(layers)

    def forward(self, x: Any, lengths: Any = None) -> Any:
        for layer in self.layers:
            x = layer(x, lengths=lengths) if lengths is not None and _takes_lengths(layer) else layer(x)
            x = x[0] if isinstance(x, tuple) else x
        return x

    def __getitem__(self, k: int) -> Any:
        return self.layers[k]

    def __len__(self) -> int:
        return len(self.layers)

    def __repr__(self) -> str:
        return f"Sequential({', '.join(getattr(layer, '__name__', repr(layer)) for layer in self.layers)})"


def _takes_lengths(layer: Any) -> bool:
    """Has a call of the layer an argument ``lengths``?"""
    return isinstance(layer, Module) and "lengths" in inspect.signature(layer).parameters


class LastStep(Module):
    """The output at the last step:  hs (N, T, H) -> hs[:, -1] (N, H);  with ``lengths``, hs[n, lengths[n] - 1].

    A row of length 0 gives its output at the last step, which a recurrent layer leaves at zero.
    """

    def forward(self, hs: Any, lengths: Any = None) -> Tensor:
        if np.ndim(hs) != 3:
            raise ShapeError(f"LastStep: hs is {np.shape(hs)}, should be (N, T, H)")
        hs = as_dtype(hs, np.asarray(value(hs)).dtype)
        if lengths is None:
            return hs[:, -1]
        length_mask(lengths, hs.shape[0], hs.shape[1], "LastStep")  # raises for lengths that do not fit
        return hs[np.arange(len(hs)), np.asarray(value(lengths)) - 1]
