"""The norm of all gradients, and clipping by the norm or by the value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real

import numpy as np

from ..errors import InvalidValue, NumericalError
from .params import BLOCK, Gradients, blocks, gradients


def grad_norm(params: Gradients) -> float:
    """The Euclidean norm of all gradients together:  √(Σ g²)  over every element of every gradient.

    ``params`` is a module, an optimiser, a dict or a list of parameters, or a dict or a list of gradients as arrays.
    Parameters without a gradient count as 0. No array is copied.
    """
    return _norm(gradients(params, "grad_norm"))


def _norm(grads: Mapping[str, np.ndarray]) -> float:
    total = math.sqrt(sum([_squares(grad) for grad in grads.values()]))
    if math.isfinite(total):
        return total
    largest = _largest(grads)  # the sum of squares may only have overflowed
    if not math.isfinite(largest):
        return largest
    scaled = (g.astype(np.float64) / largest for grad in grads.values() for (g,) in blocks(grad))
    return largest * math.sqrt(sum(float(np.vdot(g, g)) for g in scaled))


def _squares(grad: np.ndarray) -> float:
    """Σ g², in blocks: a single sum of many float32 numbers would lose digits."""
    if grad.size <= BLOCK:
        return float(np.vdot(grad, grad))
    return sum(float(np.vdot(g, g)) for (g,) in blocks(grad))


def _largest(grads: Mapping[str, np.ndarray]) -> float:
    """The largest |g|; NaN if any g is."""
    return float(np.max([0.0, *(float(np.abs(g).max(initial=0)) for grad in grads.values() for (g,) in blocks(grad))]))


def _finite(where: str, size: float, grads: Mapping[str, np.ndarray]) -> None:
    """Raise NumericalError, with the names of the gradients, if ``size``, which is that of all, is not finite."""
    if not math.isfinite(size):
        bad = [name for name, grad in grads.items() if not all(np.isfinite(g).all() for (g,) in blocks(grad))]
        raise NumericalError(f"{where}: the gradient of {', '.join(bad)} is not finite")


def _limit(where: str, what: str, value: float) -> None:
    if not isinstance(value, Real) or not value > 0:
        raise InvalidValue(f"{where}: {what} is {value!r}, should be more than 0")


def clip_grad_norm(params: Gradients, max_norm: float) -> float:
    """Scale all gradients by one factor, so that their norm is at most ``max_norm``; return the norm before.

    Equal to ``g *= min(1, max_norm / (norm + 1e-6))`` for each gradient g (Pascanu et al. 2013, as in the book), in
    place and without a copy. ``params`` is as in `grad_norm`; the list may be of arrays, as in the book's
    ``clip_grads(grads, max_norm)``. Raises NumericalError, a FloatingPointError, if a gradient is NaN or infinite,
    before any is scaled: scaling would hide where it came from (see `trace_nans`).
    """
    _limit("clip_grad_norm", "max_norm", max_norm)
    grads = gradients(params, "clip_grad_norm")
    norm = _norm(grads)
    _finite("clip_grad_norm", norm, grads)
    rate = max_norm / (norm + 1e-6)
    if rate < 1:
        for grad in grads.values():
            grad *= grad.dtype.type(rate)
    return norm


def clip_grad_value(params: Gradients, max_value: float) -> float:
    """Limit every element of every gradient to ``[-max_value, max_value]``; return the largest |g| before.

    Equal to ``np.clip(g, -max_value, max_value, out=g)`` for each gradient g (Mikolov 2012). The direction of the
    gradient changes, unlike in `clip_grad_norm`. ``params`` and the errors are as there.
    """
    _limit("clip_grad_value", "max_value", max_value)
    grads = gradients(params, "clip_grad_value")
    largest = _largest(grads)
    _finite("clip_grad_value", largest, grads)
    if largest > max_value:
        for grad in grads.values():
            np.clip(grad, -max_value, max_value, out=grad)
    return largest
