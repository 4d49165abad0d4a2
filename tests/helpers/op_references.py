"""Independent values: NumPy's function where there is a namesake, a formula written differently where there is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from helpers.op_samples import is_variadic, subjects
from tinygrad_rnn.engine.op import Composite, Op


def _erf(x: Any) -> Any:
    """2/√π Σ (-1)ⁿ x²ⁿ⁺¹ / n! (2n + 1), summed far enough for |x| < 5."""
    terms = [(-1.0) ** n * x ** (2 * n + 1) / (math.factorial(n) * (2 * n + 1)) for n in range(60)]
    return 2 / math.sqrt(math.pi) * np.asarray(sum(terms))


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _softmax(x: Any, axis: int = -1) -> Any:
    return np.exp(x) / np.exp(x).sum(axis, keepdims=True)


def _cross_entropy(x: Any, labels: Any, ignore: int = -1) -> Any:
    counted = [i for i in np.ndindex(np.shape(labels)) if labels[i] != ignore]
    return -sum(np.log(_softmax(x)[(*i, labels[i])]) for i in counted) / max(len(counted), 1)


def _scatter(x: Any, index: Any, shape: Any) -> Any:
    y = np.zeros(shape)
    np.add.at(y, index, x)
    return y


def _assign(v: Any, x: Any, index: Any) -> Any:
    y = x.copy()
    y[index] = v
    return y


def _dropout(x: Any, rate: float, rng: np.random.Generator) -> Any:
    return np.where(rng.random(x.shape, dtype=np.float32) >= rate, x / (1 - rate), 0)


FORMULAS: dict[str, Callable[..., Any]] = {
    "sigmoid": _sigmoid,
    "relu": lambda x: x * (x > 0),
    "leaky_relu": lambda x, slope=0.01: x * (x > 0) + slope * x * (x <= 0),
    "elu": lambda x, alpha=1.0: x * (x > 0) + alpha * (np.exp(x) - 1) * (x <= 0),
    "erf": _erf,
    "erfc": lambda x: 1 - _erf(x),
    "gelu": lambda x: x * (1 + _erf(x / math.sqrt(2))) / 2,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "hard_sigmoid": lambda x: np.minimum(np.maximum(x / 6 + 0.5, 0), 1),
    "hadamard": lambda x, w: x * w,
    "affine": lambda x, w, b: x @ w + b,
    "einsum": lambda *xs, subscripts: np.einsum(subscripts, *xs),
    "logsumexp": lambda x, axis=None, keepdims=False: np.log(np.exp(x).sum(axis, keepdims=keepdims)),
    "norm": np.linalg.norm,
    "softmax": _softmax,
    "log_softmax": lambda x, axis=-1: np.log(_softmax(x, axis)),
    "mean_squared_error": lambda x, t: ((x - t) ** 2).mean(),
    "binary_cross_entropy": lambda x, t: -(t * np.log(_sigmoid(x)) + (1 - t) * np.log(1 - _sigmoid(x))).mean(),
    "softmax_cross_entropy": _cross_entropy,
    "getitem": lambda x, index: x[index],
    "scatter": _scatter,
    "clip": lambda x, min=None, max=None: np.clip(x, min, max),  # keywords of NumPy from 2.1 on
    "reshape": lambda x, shape: np.reshape(x, shape),
    "assign": _assign,
    "embedding": lambda W, ids: W[ids],
    "dropout": _dropout,
    "astype": lambda x, dtype: x.astype(dtype),
}


def without_reference() -> list[str]:
    """The operations whose values nothing independent confirms."""
    return [subject.name for subject in subjects() if reference(subject) is None]


def reference(subject: Op | Composite) -> Callable[..., Any] | None:
    """What the values are compared with, called as the operation is, ``f(*arrays, **attributes)``; None if unknown."""
    if subject.name in FORMULAS:
        return FORMULAS[subject.name]
    found = getattr(subject, "reference", None) or getattr(np, subject.name, None)
    if found is None:
        return None
    variadic = subject.variadic if isinstance(subject, Op) else is_variadic(subject.function)
    return found if not variadic or is_variadic(found) else lambda *xs, **attrs: found(xs, **attrs)
