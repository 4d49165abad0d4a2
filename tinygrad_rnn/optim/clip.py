"""The norm of all gradients, and clipping by it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from ..engine.tensor import Tensor
from ..errors import InvalidType, InvalidValue, NumericalError


class HasParams(Protocol):
    """A module, or any other object with named parameters."""

    @property
    def params(self) -> Mapping[str, Tensor]: ...


Parameters = Mapping[str, Tensor] | Iterable[Tensor] | HasParams


def named(params: Any) -> dict[str, Tensor]:
    """The parameters of a dict, an iterable, or an object with ``params``, by name; each once, by identity.

    Raises InvalidType for what is not a leaf Tensor that requires a gradient.
    """
    params = getattr(params, "params", params)
    if isinstance(params, Tensor):
        params = [params]
    by_name: dict[str, Tensor] = {}
    seen: dict[int, None] = {}
    for key, parameter in params.items() if isinstance(params, Mapping) else enumerate(params):
        name = key if isinstance(key, str) else getattr(parameter, "name", None) or f"number {key}"
        if not isinstance(parameter, Tensor) or parameter.node is None or parameter.node.parents:
            raise InvalidType(
                f"optim: parameter {name} is {_what(parameter)}, should be a leaf Tensor with requires_grad=True"
            )
        if id(parameter) not in seen:
            seen[id(parameter)] = None
            by_name[name if name not in by_name else f"{name} (number {key})"] = parameter
    return by_name


def _what(parameter: Any) -> str:
    if not isinstance(parameter, Tensor):
        return f"a {type(parameter).__name__}"
    return f"a Tensor {parameter.shape} that needs no gradient" if parameter.node is None else parameter.node.label()


def grad_norm(params: Parameters) -> float:
    """The Euclidean norm of all gradients together:  √(Σ g²)  over every element of every gradient.

    Parameters without a gradient count as 0.
    """
    grads = [tensor.grad for tensor in named(params).values() if tensor.grad is not None]
    total = math.sqrt(sum(float(np.vdot(g, g)) for g in grads))
    if math.isfinite(total):
        return total
    largest = max(float(np.abs(g).max(initial=0)) for g in grads)  # the sum of squares may only have overflowed
    if not math.isfinite(largest):
        return largest
    return largest * math.sqrt(sum(float(np.square(g.astype(np.float64) / largest).sum()) for g in grads))


def clip_grad_norm(params: Parameters, max_norm: float) -> float:
    """Scale all gradients by one factor, so that their norm is at most ``max_norm``; return the norm before.

    Equal to ``g *= min(1, max_norm / (norm + 1e-6))`` for each gradient g (Pascanu et al. 2013, as in the book). Raises
    NumericalError, a FloatingPointError, if a gradient is NaN or infinite, before any is scaled: scaling would hide
    where it came from (see `trace_nans`).
    """
    if not max_norm > 0:
        raise InvalidValue(f"clip_grad_norm: max_norm is {max_norm}, should be more than 0")
    params = named(params)
    norm = grad_norm(params)
    if not math.isfinite(norm):
        grads = {name: tensor.grad for name, tensor in params.items() if tensor.grad is not None}
        bad = [name for name, grad in grads.items() if not np.isfinite(grad).all()]
        raise NumericalError(f"clip_grad_norm: the gradient of {', '.join(bad)} is not finite")
    rate = max_norm / (norm + 1e-6)
    if rate < 1:
        for tensor in params.values():
            if tensor.grad is not None:
                tensor.grad *= tensor.dtype.type(rate)
    return norm
