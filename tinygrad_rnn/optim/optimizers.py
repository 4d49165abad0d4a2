"""SGD and Adam."""

from __future__ import annotations

import math

import numpy as np

from ..engine.graph import clock
from ..engine.versions import bump
from ..errors import InvalidType, InvalidValue
from .clip import Parameters, named

#: Elements that an update works on at a time: so many stay in the cache.
BLOCK = 1 << 16


class Optimizer:
    """Base class: ``step()`` changes the parameters in place by their gradients, ``zero_grad()`` clears the gradients.

    ``params`` is a dict, a list or a `Module`; ``optimizer.params`` has each parameter once, by name. A parameter
    without a gradient is left as it is. ``lr`` may be changed between steps. A backward pass through a graph recorded
    before a step raises MutationError, since its arrays have changed. A subclass implements `update`.
    """

    def __init__(self, params: Parameters, lr: float):
        if not 0 < lr < math.inf:
            raise InvalidValue(f"{type(self).__name__}: lr is {lr}, should be more than 0, and finite")
        self.params, self.lr = named(params), lr
        if not self.params:
            raise InvalidValue(f"{type(self).__name__}: there are no parameters, should be at least one")

    def step(self) -> None:
        """Update every parameter that has a gradient, in place."""
        for k, tensor in enumerate(self.params.values()):
            if tensor.grad is not None:
                p, g = tensor._array.reshape(-1), tensor.grad.reshape(-1)
                for start in range(0, p.size, BLOCK):
                    here = slice(start, start + BLOCK)
                    self.update(k, here, p[here], g[here])
                if not tensor._array.flags.c_contiguous:  # then p was a copy
                    tensor._array[...] = p.reshape(tensor.shape)
                bump(tensor._array, clock())

    def update(self, k: int, here: slice, p: np.ndarray, g: np.ndarray) -> None:
        """Update the elements ``here`` of the flat parameter number k in place: p by its gradient g, both (n,)."""
        raise InvalidType(f"{type(self).__name__} has no update rule")

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to None."""
        for tensor in self.params.values():
            tensor.grad = None


class SGD(Optimizer):
    """Stochastic gradient descent.  p ← p - lr g;  with momentum m:  v ← m v - lr g,  p ← p + v."""

    def __init__(self, params: Parameters, lr: float, momentum: float = 0.0):
        super().__init__(params, lr)
        if not 0 <= momentum < 1:
            raise InvalidValue(f"SGD: momentum is {momentum}, should be from 0 to less than 1")
        self.momentum = momentum
        self.v = [np.zeros(tensor.size, tensor.dtype) for tensor in self.params.values()] if momentum else []

    def update(self, k: int, here: slice, p: np.ndarray, g: np.ndarray) -> None:
        if not self.momentum:
            p -= self.lr * g
            return
        v = self.v[k][here]
        v *= self.momentum
        v -= self.lr * g
        p += v


class Adam(Optimizer):
    """Adam with bias correction (Kingma and Ba 2015, algorithm 1).  p ← p - lr m̂ / (√v̂ + eps).

    m ← β₁ m + (1 - β₁) g,  v ← β₂ v + (1 - β₂) g²,  m̂ = m / (1 - β₁ᵗ),  v̂ = v / (1 - β₂ᵗ),  t the number of the step.
    """

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
        self.m = [np.zeros(tensor.size, tensor.dtype) for tensor in self.params.values()]
        self.v = [np.zeros(tensor.size, tensor.dtype) for tensor in self.params.values()]

    def step(self) -> None:
        self.steps += 1
        super().step()

    def update(self, k: int, here: slice, p: np.ndarray, g: np.ndarray) -> None:
        (b1, b2), m, v = self.betas, self.m[k][here], self.v[k][here]
        m += (1 - b1) * (g - m)
        v += (1 - b2) * (g * g - v)
        rate = self.lr * (1 - b2**self.steps) ** 0.5 / (1 - b1**self.steps)
        p -= rate * m / (np.sqrt(v) + self.eps * (1 - b2**self.steps) ** 0.5)
