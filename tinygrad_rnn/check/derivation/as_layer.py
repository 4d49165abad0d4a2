"""A forward and the user's backward as a layer without parameters, for the debugger: all arguments are inputs."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...engine.tensor import make
from ..numeric.derivatives import outputs
from .subjects import Subject


def as_layer(subject: Subject, given: Mapping[str, Any]) -> Any:
    """The layer. It computes in float64. The outputs whose gradient the backward does not take are left out."""
    names, subject = list(given), copy.copy(subject)
    subject.dtype = np.dtype(np.float64)

    def forward(self: Any, *inputs: Any) -> Any:
        self.given = dict(zip(names, inputs))
        arrays = {name: make(x, None) if np.asarray(x).dtype.kind in "fc" else x for name, x in self.given.items()}
        self.ys = outputs(subject.function(**arrays))
        return tuple(y for k, y in enumerate(self.ys) if k not in subject.unreached)

    def backward(self: Any, *dys: Any) -> dict[str, Any]:
        reached = iter(dys)
        full = [np.zeros_like(y) if k in subject.unreached else next(reached) for k, y in enumerate(self.ys)]
        gradients = subject.call({name: np.array(x) for name, x in self.given.items()}, full)
        return {name: gradients.get(f"d{name}") for name in names}

    kind = inspect.Parameter.POSITIONAL_ONLY
    signature = inspect.Signature([inspect.Parameter(name, kind) for name in ("self", *names)])
    forward.__signature__ = signature  # type: ignore[attr-defined]
    layer = type(subject.name, (), {"forward": forward, "backward": backward})()
    layer.params, layer.grads = [], []
    return layer
