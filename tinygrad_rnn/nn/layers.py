"""The layers below and above the recurrent layer. They take any leading axes: all time steps are one call."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..cells import initializers as schemes
from ..engine.tensor import Tensor
from ..ops import affine, embedding
from .module import Module, parameter


class Embedding(Module):
    """Words to vectors:  y = W[ids],  ids (...) of integers from 0 to V - 1 -> (..., D),  W (V, D).

    ``init`` is a scheme of `tg.init` for W, by default normal with standard deviation 1/100, as in the book.
    """

    def __init__(
        self, V: int, D: int, *, rng: np.random.Generator, init: Any = schemes.embedding, dtype: Any = np.float32
    ):
        self.W = parameter(schemes.draw(init, rng, (V, D), "Embedding: W").astype(dtype), "W")

    def __call__(self, ids: Any) -> Tensor:
        return embedding(self.W, ids)


class Linear(Module):
    """The affine layer:  y = x @ W + b,  x (..., H) -> (..., V),  W (H, V),  b (V,).

    ``init`` is a scheme of `tg.init` for W, by default normal with standard deviation 1/√H, as in the book; b starts at
    0. x is cast to the dtype of the layer.
    """

    def __init__(self, H: int, V: int, *, rng: np.random.Generator, init: Any = schemes.book, dtype: Any = np.float32):
        self.W = parameter(schemes.draw(init, rng, (H, V), "Linear: W").astype(dtype), "W")
        self.b = parameter(np.zeros(V, dtype), "b")

    def __call__(self, x: Any) -> Tensor:
        return affine(as_dtype(x, self.W.dtype), self.W, self.b)


def as_dtype(x: Any, dtype: Any) -> Tensor:
    """``x`` as a Tensor of ``dtype``."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    return x if x.dtype == dtype else x.astype(dtype)
