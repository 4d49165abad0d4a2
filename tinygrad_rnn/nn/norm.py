"""Normalisation of the features: over the units of each row, or over the rows of a batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..cells.builtin import layer_norm
from ..engine.tensor import Tensor, detach
from ..errors import InvalidValue, ShapeError
from .layers import as_dtype
from .module import Module
from .parameter import Buffer, check_sizes, parameter


class _Norm(Module):
    """What both layers have: gain (H,), which starts at 1, b (H,), which starts at 0, and eps."""

    def __init__(self, H: int, *, eps: float = 1e-5, dtype: Any = np.float32):
        check_sizes(type(self).__name__, H=H)
        self.eps = eps
        self.gain, self.b = parameter(np.ones(H, dtype), "gain"), parameter(np.zeros(H, dtype), "b")

    def _input(self, x: Any) -> Tensor:
        """x in the dtype of the layer; raises ShapeError unless its last axis is H."""
        x, H = as_dtype(x, self.gain.dtype), self.gain.shape[0]
        if x.ndim < 1 or x.shape[-1] != H:
            raise ShapeError(f"{type(self).__name__}: x is {x.shape}, should be (..., H) with H = {H}")
        return x


class LayerNorm(_Norm):
    """Normalise each row:  y = gain ⊙ (x - mean) / √(var + eps) + b,  over the last axis (Ba et al. 2016).

    x (..., H) -> (..., H). The same in training and in evaluation.
    """

    def forward(self, x: Any) -> Tensor:
        return layer_norm(self._input(x), self.gain, self.eps) + self.b


class BatchNorm(_Norm):
    """Normalise each feature over the batch:  y = gain ⊙ (x - mean) / √(var + eps) + b  (Ioffe and Szegedy 2015).

    x (N, H), or (N, T, H), where rows and steps together are the batch -> the same shape. In training mean and var are
    those of the batch, and the buffers follow them:  running ← (1 - momentum) running + momentum batch,  with the
    unbiased variance n/(n - 1) var, as PyTorch does. In evaluation mode the buffers ``running_mean`` and
    ``running_var`` take their place. Raises ShapeError for another shape, InvalidValue for a batch of one row in
    training.
    """

    def __init__(self, H: int, *, momentum: float = 0.1, eps: float = 1e-5, dtype: Any = np.float32):
        super().__init__(H, eps=eps, dtype=dtype)
        if not 0 <= momentum <= 1:
            raise InvalidValue(f"BatchNorm: momentum is {momentum}, should be from 0 to 1")
        self.momentum = momentum
        self.running_mean, self.running_var = Buffer(np.zeros(H, dtype)), Buffer(np.ones(H, dtype))

    def forward(self, x: Any) -> Tensor:
        x = self._input(x)
        if x.ndim not in (2, 3):
            raise ShapeError(f"BatchNorm: x is {x.shape}, should be (N, H) or (N, T, H)")
        if not self.training:
            return self._scaled(x - self.running_mean, self.running_var)
        axes, count = tuple(range(x.ndim - 1)), x.size // max(x.shape[-1], 1)
        if count < 2:
            raise InvalidValue(f"BatchNorm: x is {x.shape}, should have two rows or more in training, or be in eval()")
        mean = ops.mean(x, axis=axes)
        centred = x - mean
        var = ops.mean(ops.square(centred), axis=axes)
        self._follow("running_mean", mean)
        self._follow("running_var", var * (count / (count - 1)))
        return self._scaled(centred, var)

    def _scaled(self, centred: Tensor, var: Tensor) -> Tensor:
        return self.gain * (centred / ops.sqrt(var + self.eps)) + self.b

    def _follow(self, name: str, batch: Tensor) -> None:
        """Move a running statistic towards that of the batch."""
        setattr(self, name, (1 - self.momentum) * getattr(self, name) + self.momentum * detach(batch))
