"""The norm of all gradients, and keeping it within bounds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from ..tensor import Tensor


class HasParams(Protocol):
    """A module, or anything else with named parameters."""

    @property
    def params(self) -> Mapping[str, Tensor]: ...


Parameters = Mapping[str, Tensor] | Iterable[Tensor] | HasParams

def listed(params: Any) -> list[Tensor]:
    """The parameters in a dict, a list, or anything with ``params``; each once, by identity."""
    if hasattr(params, "params"):
        params = params.params
    if isinstance(params, Tensor):
        params = [params]
    found = list(params.values() if isinstance(params, Mapping) else params)
    for one in found:
        if not isinstance(one, Tensor) or one.node is None or one.node.edges:
            raise TypeError(f"optim: a parameter is {one!r}, should be a leaf Tensor with requires_grad=True")
    return list({id(one): one for one in found}.values())


def grad_norm(params: Parameters) -> float:
    """The Euclidean norm of all gradients taken as one vector; parameters without a gradient count as 0."""
    grads = [one.grad for one in listed(params) if one.grad is not None]
    total = math.sqrt(sum(float(np.vdot(g, g)) for g in grads))
    if math.isfinite(total):
        return total
    return math.sqrt(sum(float(np.square(g, dtype=np.float64).sum()) for g in grads))  # float32 may have overflowed


def clip_grad_norm(params: Parameters, max_norm: float) -> float:
    """Scale all gradients by one factor, so that their norm is at most ``max_norm``; returns the norm before.

    ``g *= max_norm / (norm + 1e-6)`` where that is less than 1 (Pascanu et al. 2013, as in the book). A gradient that
    is NaN or infinite raises FloatingPointError: scaling it would hide where it came from (see `trace_nans`).
    """
    if not max_norm > 0:
        raise ValueError(f"clip_grad_norm: max_norm is {max_norm}, should be more than 0")
    params = listed(params)
    norm = grad_norm(params)
    if not math.isfinite(norm):
        bad = [one.name or f"number {k}" for k, one in enumerate(params) if not _finite(one.grad)]
        raise FloatingPointError(f"clip_grad_norm: the gradient of {', '.join(bad)} is not finite")
    rate = max_norm / (norm + 1e-6)
    if rate < 1:
        for one in params:
            if one.grad is not None:
                one.grad *= one.dtype.type(rate)
    return norm


def _finite(g: np.ndarray | None) -> bool:
    return g is None or bool(np.isfinite(g).all())
