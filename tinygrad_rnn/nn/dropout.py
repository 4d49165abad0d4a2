"""Dropout in depth: between layers, of each element or of each unit for a whole sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..engine.tensor import Tensor
from ..errors import InvalidValue, ShapeError
from .module import Module
from .parameter import generator


class Dropout(Module):
    """In training each element is 0 with probability ``rate``, else divided by 1 - rate (Srivastava et al. 2014).

    x of any shape -> the same shape. In evaluation mode, and for rate 0, y = x. The masks come from the generator
    ``rng``, a new mask for each call. Raises InvalidValue for a rate below 0 or from 1.
    """

    def __init__(self, rate: float = 0.5, *, rng: Any = None):
        where = type(self).__name__
        if not isinstance(rate, (int, float, np.floating)) or not 0 <= rate < 1:
            raise InvalidValue(f"{where}: rate is {rate!r}, should be at least 0 and less than 1")
        self.rate, self.rng = rate, generator(rng, where)

    def forward(self, x: Any) -> Tensor:
        x = x if isinstance(x, Tensor) else Tensor(x)
        return self._drop(x) if self.training and self.rate else x

    def _drop(self, x: Tensor) -> Tensor:
        return ops.dropout(x, rate=self.rate, rng=self.rng)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.rate})"


class VariationalDropout(Dropout):
    """Dropout with one mask for all time steps of a sequence (Gal and Ghahramani 2016), in depth.

    xs (N, T, D) -> xs ⊙ mask, mask (N, 1, D), drawn for each call in training mode. For the connection over time, wrap
    the cell: ``variational_dropout(cell, h=rate)``. Raises ShapeError for x that is not (N, T, D).
    """

    def forward(self, x: Any) -> Tensor:
        if np.ndim(x) != 3:
            raise ShapeError(f"VariationalDropout: xs is {np.shape(x)}, should be (N, T, D)")
        return super().forward(x)

    def _drop(self, x: Tensor) -> Tensor:
        N, _, D = x.shape
        return x * ops.dropout(np.ones((N, 1, D), x.dtype), rate=self.rate, rng=self.rng)
