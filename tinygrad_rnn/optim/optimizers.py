"""SGD and Adam."""

from __future__ import annotations

import math

import numpy as np

from ..engine.graph import clock
from ..engine.versions import wrote
from ..errors import InvalidType, InvalidValue
from .clip import Parameters, named

#: Updates work through blocks of so many elements, which stay in cache.
BLOCK = 1 << 16


class Optimizer:
    """What every optimiser does: ``step()`` changes the parameters by their gradients, ``zero_grad()`` forgets these.

    ``params`` is a dict, a list or a `Module`; ``optimizer.params`` has each once, by name. A parameter without a
    gradient is left as it is. ``lr`` may be changed between steps. A backward pass through a graph from before a step
    raises, since its arrays have changed.
    """

    def __init__(self, params: Parameters, lr: float):
        if not 0 < lr < math.inf:
            raise InvalidValue(f"{type(self).__name__}: lr is {lr}, should be more than 0, and finite")
        self.params, self.lr = named(params), lr
        if not self.params:
            raise InvalidValue(f"{type(self).__name__}: there are no parameters, should be at least one")

    def step(self) -> None:
        """Change every parameter that has a gradient, in place."""
        for k, one in enumerate(self.params.values()):
            if one.grad is not None:
                p, g = one._array.reshape(-1), one.grad.reshape(-1)
                for start in range(0, p.size, BLOCK):
                    here = slice(start, start + BLOCK)
                    self.update(k, here, p[here], g[here])
                if not one._array.flags.c_contiguous:  # then p was a copy
                    one._array[...] = p.reshape(one.shape)
                wrote(one._array, clock())

    def update(self, k: int, here: slice, p: np.ndarray, g: np.ndarray) -> None:
        """Change a block ``here`` of parameter k, flat, in place."""
        raise InvalidType(f"{type(self).__name__} has no update rule")

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for one in self.params.values():
            one.grad = None


class SGD(Optimizer):
    """Stochastic gradient descent.  p ← p - lr g; with momentum m: v ← m v - lr g, p ← p + v."""

    def __init__(self, params: Parameters, lr: float, momentum: float = 0.0):
        super().__init__(params, lr)
        if not 0 <= momentum < 1:
            raise InvalidValue(f"SGD: momentum is {momentum}, should be from 0 to less than 1")
        self.momentum = momentum
        self.v = [np.zeros(one.size, one.dtype) for one in self.params.values()] if momentum else []

    def update(self, k: int, here: slice, p: np.ndarray, g: np.ndarray) -> None:
        if not self.momentum:
            p -= self.lr * g
            return
        v = self.v[k][here]
        v *= self.momentum
        v -= self.lr * g
        p += v


class Adam(Optimizer):
    """Adam with bias correction (Kingma and Ba 2015).  p ← p - lr m̂ / (√v̂ + eps)."""

    def __init__(
        self,
        params: Parameters,
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ):
        super().__init__(params, lr)
        if not all(0 <= beta < 1 for beta in betas):
            raise InvalidValue(f"Adam: betas is {betas}, should be two numbers from 0 to less than 1")
        if not eps > 0:
            raise InvalidValue(f"Adam: eps is {eps}, should be more than 0")
        self.betas, self.eps, self.steps = betas, eps, 0
        self.m = [np.zeros(one.size, one.dtype) for one in self.params.values()]
        self.v = [np.zeros(one.size, one.dtype) for one in self.params.values()]

    def step(self) -> None:
        self.steps += 1
        super().step()

    def update(self, k: int, here: slice, p: np.ndarray, g: np.ndarray) -> None:
        (b1, b2), m, v = self.betas, self.m[k][here], self.v[k][here]
        m += (1 - b1) * (g - m)
        v += (1 - b2) * (g * g - v)
        rate = self.lr * (1 - b2**self.steps) ** 0.5 / (1 - b1**self.steps)
        p -= rate * m / (np.sqrt(v) + self.eps * (1 - b2**self.steps) ** 0.5)
