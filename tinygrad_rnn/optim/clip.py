"""The norm of all gradients, and keeping it within bounds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from ..engine.tensor import Tensor
from ..errors import InvalidType, InvalidValue, NumericalError


class HasParams(Protocol):
    """A module, or anything else with named parameters."""

    @property
    def params(self) -> Mapping[str, Tensor]: ...


Parameters = Mapping[str, Tensor] | Iterable[Tensor] | HasParams


def named(params: Any) -> dict[str, Tensor]:
    """The parameters in a dict, a list, or anything with ``params``, by name; each once, by identity."""
    params = getattr(params, "params", params)
    if isinstance(params, Tensor):
        params = [params]
    found: dict[str, Tensor] = {}
    seen: dict[int, None] = {}
    for key, one in params.items() if isinstance(params, Mapping) else enumerate(params):
        name = key if isinstance(key, str) else getattr(one, "name", None) or f"number {key}"
        if not isinstance(one, Tensor) or one.node is None or one.node.parents:
            raise InvalidType(
                f"optim: parameter {name} is {_what(one)}, should be a leaf Tensor with requires_grad=True"
            )
        if id(one) not in seen:
            seen[id(one)] = None
            found[name if name not in found else f"{name} (number {key})"] = one
    return found


def _what(one: Any) -> str:
    if not isinstance(one, Tensor):
        return f"a {type(one).__name__}"
    return f"a Tensor {one.shape} that needs no gradient" if one.node is None else one.node.label()


def grad_norm(params: Parameters) -> float:
    """The Euclidean norm of all gradients taken as one vector; parameters without a gradient count as 0."""
    grads = [one.grad for one in named(params).values() if one.grad is not None]
    total = math.sqrt(sum(float(np.vdot(g, g)) for g in grads))
    if math.isfinite(total):
        return total
    largest = max(float(np.abs(g).max(initial=0)) for g in grads)  # the sum of squares may only have overflowed
    if not math.isfinite(largest):
        return largest
    return largest * math.sqrt(sum(float(np.square(g.astype(np.float64) / largest).sum()) for g in grads))


def clip_grad_norm(params: Parameters, max_norm: float) -> float:
    """Scale all gradients by one factor, so that their norm is at most ``max_norm``; returns the norm before.

    ``g *= max_norm / (norm + 1e-6)`` where that is less than 1 (Pascanu et al. 2013, as in the book). A gradient that
    is NaN or infinite raises FloatingPointError before anything is scaled, which would hide where it came from (see
    `trace_nans`).
    """
    if not max_norm > 0:
        raise InvalidValue(f"clip_grad_norm: max_norm is {max_norm}, should be more than 0")
    params = named(params)
    norm = grad_norm(params)
    if not math.isfinite(norm):
        bad = [name for name, one in params.items() if one.grad is not None and not np.isfinite(one.grad).all()]
        raise NumericalError(f"clip_grad_norm: the gradient of {', '.join(bad)} is not finite")
    rate = max_norm / (norm + 1e-6)
    if rate < 1:
        for one in params.values():
            if one.grad is not None:
                one.grad *= one.dtype.type(rate)
    return norm
