"""The linear network of the notes, which counts the ones in a sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..cells.cell import cell
from ..cells.param import Param
from ..engine.tensor import Tensor, value
from ..nn import Recurrent
from ..nn.evaluating import evaluating
from .answers import Answers, check_shape


@cell(states={"s": "N 1"})
def counting(x, s, *, U=Param("1"), W=Param("1")):
    """The linear cell of the notes.  s' = x U + s W"""
    s = x * U + s * W
    return s


class CountingNetwork(Answers):
    """s_t = x_t U + s_{t-1} W for the numbers x (N, T); with U = W = 1, the last s is the number of ones in x.

    The smallest network whose gradients explode:  ds_T / dx_1 = U W^(T-1). ``U`` and ``W`` are the first values of the
    two parameters ``recurrent.U`` and ``recurrent.W``, each (1,). The prediction is the last s, rounded.
    """

    def __init__(self, U: float = -1.5, W: float = 2.0, *, dtype: Any = np.float64):
        self.recurrent = Recurrent(counting, rng=0, dtype=dtype, init={"U": constant(U), "W": constant(W)})

    def forward(self, xs: Any, lengths: Any = None) -> Tensor:
        """The last state s, (N,)."""
        check_shape("CountingNetwork", "xs", xs, "N", "T")
        _, (s,) = self.recurrent(np.asarray(value(xs))[:, :, None], lengths=lengths)
        return s[:, 0]

    def loss(self, xs: Any, counts: Any, lengths: Any = None) -> Tensor:
        """The mean squared error of the last state, for ``counts`` (N,), a scalar Tensor."""
        s, counts = self(xs, lengths), np.asarray(value(counts))
        check_shape("CountingNetwork", "counts", counts, len(s))
        return ((s - counts) ** 2).mean()

    def predict(self, xs: Any, lengths: Any = None) -> np.ndarray:
        """The last state of every row as a whole number, (N,)."""
        with evaluating(self):
            return np.rint(self(xs, lengths).numpy()).astype(np.int64)


def constant(number: float) -> Any:
    """The scheme of a parameter whose elements are all ``number``."""
    return lambda rng, shape: np.full(shape, number)
