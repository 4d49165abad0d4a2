"""What the tests of assignment share: sizes, leaves, and a gradient against differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_rnn as tg

N, T, H = 2, 4, 3


def leaf(*shape: int, seed: int = 0, dtype: Any = np.float64) -> tg.Tensor:
    return tg.tensor(np.random.default_rng(seed).uniform(0.5, 2.0, shape).astype(dtype), requires_grad=True)


def memory(x: tg.Tensor) -> int:
    """Where the values are, without holding on to them."""
    return x._array.__array_interface__["data"][0]


def assert_gradient(f: Callable[..., tg.Tensor], *xs: np.ndarray) -> None:
    """tg's gradient of the number f(*xs), f writing into arrays on its way, against differences."""
    grads = tg.grad(f, tuple(range(len(xs))))(*xs)
    rng = np.random.default_rng(1)
    for k, (x, g) in enumerate(zip(xs, grads, strict=True)):
        v, h = rng.standard_normal(x.shape), 1e-5

        def at(step: float, k: int = k, v: np.ndarray = v) -> float:
            moved = [tg.tensor(x + step * v if j == k else x) for j, x in enumerate(xs)]
            return f(*moved).item()

        expected = (at(h) - at(-h)) / (2 * h)
        np.testing.assert_allclose(np.sum(g * v), expected, rtol=1e-7)
