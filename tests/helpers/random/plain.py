"""The operations on plain arrays, written in NumPy alone: what random programs are compared with.

One text of a program runs twice: with ``F`` the operations of the library, and with ``F`` a `Plain`. In ``wide`` form
arrays may be complex or longdouble (for derivatives of the whole program), and no cast takes that away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from helpers import op_references, op_samples
from tinygrad_rnn.engine.op import COMPOSITES

Array = Any


def floating(x: Any) -> np.dtype:
    """The dtype that a function of x with values between the integers has: NumPy's for tanh."""
    return np.tanh(np.zeros((), np.asarray(x).dtype)).dtype


def _cross_entropy(x: Any, labels: Any, ignore: int = -1) -> Any:
    rows, flat = np.reshape(x, (-1, np.shape(x)[-1])), np.reshape(labels, -1)
    losses = [np.log(np.sum(np.exp(row))) - row[label] for row, label in zip(rows, flat) if label != ignore]
    return sum(losses) / len(losses) if losses else np.zeros((), x.dtype)[()]


def _dropout(x: Any, rate: float, rng: np.random.Generator) -> Any:
    return x * (rng.random(np.shape(x), dtype=np.float32) >= rate) / (1 - rate)


def _triangle(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, k=0: np.where(function(np.ones(np.shape(x)[-2:]), k) > 0, x, np.zeros((), np.asarray(x).dtype))


def _scatter(x: Any, index: Any, shape: Any) -> Any:
    y = np.zeros(shape, np.asarray(x).dtype)
    np.add.at(y, index, x)
    return y


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    return np.linalg.norm(x, ord=ord, axis=axis, keepdims=keepdims)


FORMULAS: dict[str, Callable[..., Any]] = {
    **op_references.FORMULAS,
    "norm": _norm,
    "erfc": lambda x: 1 - op_references.FORMULAS["erf"](x),
    "dropout": _dropout,
    "softmax_cross_entropy": _cross_entropy,
    "affine_cross_entropy": lambda x, w, b, labels, ignore=-1: _cross_entropy(x @ w + b, labels, ignore),
    "scatter": lambda x, index, shape: _scatter(x, index, shape),
    "assign": lambda v, x, index: Plain.assigned(x, index, v),
    "matmul": np.matmul,
    "tril": _triangle(np.tril),
    "triu": _triangle(np.triu),
    "split": lambda x, indices_or_sections, axis=-1: np.split(x, indices_or_sections, axis),
    "einsum": lambda subscripts, *xs: np.einsum(subscripts, *xs),
    "clip": lambda x, min=None, max=None: np.clip(x, min, max),
    "expand_dims": lambda x, axis: np.expand_dims(x, axis),
}
#: Computed in float64 or wider, then given the dtype of their first argument.
OF_FIRST = ["mean_squared_error", "binary_cross_entropy", "softmax_cross_entropy", "logsumexp", "softmax",
            "log_softmax"]  # fmt: skip
OF_FLOAT = ["sigmoid", "relu", "leaky_relu", "elu", "erf", "erfc", "gelu", "silu", "softplus", "hard_sigmoid",
            "dropout"]  # fmt: skip

WIDEST = np.dtype(np.clongdouble)


class Plain:
    """``F.name(...)`` in NumPy; ``wide`` keeps complex and longdouble through every cast."""

    def __init__(self, wide: bool = False, constants: dict[str, Any] | None = None):
        self.wide = wide
        self.constants = {} if constants is None else constants

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = FORMULAS.get(name) or getattr(np, name)
        if name in OF_FIRST or name in OF_FLOAT:
            function = self._computed_wide(function, name in OF_FLOAT)
        elif name not in FORMULAS and not op_samples.is_variadic(function) and name in VARIADIC:
            function = _listed(function)
        self.__dict__[name] = function
        return function

    def _computed_wide(self, function: Callable[..., Any], by_float: bool) -> Callable[..., Any]:
        def apply(x: Any, *args: Any, **attrs: Any) -> Any:
            x = np.asarray(x)
            wide = [np.asarray(a).dtype for a in (x, *args) if np.asarray(a).dtype in (np.longdouble, complex, WIDEST)]
            if wide:
                return function(x.astype(np.longdouble) if x.dtype.kind == "f" else x, *args, **attrs)
            args = tuple(a.astype(np.float64) if getattr(a, "dtype", x.dtype).kind == "f" else a for a in args)
            dtype = floating(x) if by_float else x.dtype
            return np.asarray(function(x.astype(np.float64), *args, **attrs)).astype(dtype)[()]

        return apply

    def astype(self, x: Any, dtype: Any) -> Any:
        if self.wide and np.dtype(dtype).kind == "f" and np.asarray(x).dtype.kind in "cf":
            return x
        return np.asarray(np.real(x) if self.wide else x).astype(dtype)[()]

    def zeros(self, shape: Any, dtype: Any, like: Any) -> Any:
        """Zeros to write into; wide ones have the dtype of what will be written."""
        return np.zeros(shape, np.result_type(like, dtype) if self.wide else dtype)

    @staticmethod
    def assigned(x: Any, index: Any, v: Any) -> Any:
        """x with v at index, and the old x as it was."""
        y = np.array(x)
        if np.asarray(v).dtype.kind == "c" or np.asarray(v).dtype == np.longdouble:
            y = y.astype(np.result_type(y, v))
        y[index] = v
        return y

    def like(self, y: Any, x: Any) -> Any:
        """y in the dtype of x: what ``x += w`` gives, and what a gradient by x is."""
        return self.astype(y, np.asarray(x).dtype) if np.asarray(x).dtype.kind == "f" else y

    def detach(self, x: Any, key: str) -> Any:
        """A constant: the value that it had at first, also where the program runs on moved leaves."""
        return self.constants.setdefault(key, x)

    def scan(self, step: Any, xs: Any, state: Any, params: Any, lengths: Any = None, reverse: bool = False) -> Any:
        """The loop over time, row by row."""
        N, T = np.shape(xs)[:2]
        rows, last = [], []
        for n in range(N):
            count = T if lengths is None else int(lengths[n])
            now, outputs = [s[n : n + 1] for s in state], [np.zeros_like(state[0][:1])] * T
            for t in range(count)[:: -1 if reverse else 1]:
                mine = {key: a[n : n + 1] if key.startswith("mask_") else a for key, a in params.items()}
                now = step(xs[n : n + 1, t], *now, **mine)
                now = list(now) if isinstance(now, tuple) else [now]
                outputs[t] = now[0]
            rows.append(np.stack(outputs, axis=1))
            last.append(now)
        return np.concatenate(rows), tuple(np.concatenate(parts) for parts in zip(*last))


VARIADIC = {s.name for s in op_samples.subjects() if getattr(s, "variadic", False)} | {
    name for name, s in COMPOSITES.items() if op_samples.is_variadic(s.function)
}


def _listed(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of NumPy that takes a list, called as ours are: with the arrays one by one, or with the list."""

    def apply(*xs: Any, **attrs: Any) -> Any:
        return function(xs[0] if len(xs) == 1 and isinstance(xs[0], (list, tuple)) else xs, **attrs)

    return apply


class Ours:
    """``F.name(...)`` in the library; `detach` gives ``constants`` where the program runs on moved leaves."""

    def __init__(self, constants: dict[str, Any] | None = None):
        self.constants = constants

    def __getattr__(self, name: str) -> Any:
        function = getattr(tg.ops, name, None) or getattr(tg, name)
        self.__dict__[name] = function
        return function

    def detach(self, x: Any, key: str) -> Any:
        return tg.detach(x) if self.constants is None else self.constants[key]

    @staticmethod
    def zeros(shape: Any, dtype: Any, like: Any) -> Any:
        wide = getattr(like, "dtype", np.dtype(dtype))
        return tg.zeros(shape, wide if wide.kind == "c" or wide == np.longdouble else dtype)
