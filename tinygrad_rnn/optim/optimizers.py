"""The update rules of the optimisers, and the table of them by name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..engine.graph import clock
from ..engine.row_gradient import held
from ..engine.tensor import Tensor
from ..engine.versions import bump
from .optimizer import Optimizer
from .params import Parameters, blocks, pair, within


class SGD(Optimizer):
    """Stochastic gradient descent.  p ← p - lr g;  with momentum m:  v ← m v + g,  p ← p - lr v.

    With ``nesterov``, p ← p - lr (g + m v). v is PyTorch's: for a constant lr the steps are those of the book's form
    v ← m v - lr g, p ← p + v. After a change of lr, the whole step here has the new lr, and there the new gradients.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ):
        super().__init__(params, lr, weight_decay)
        within("SGD", "momentum", momentum, below=1, zero=not nesterov)
        self.momentum, self.nesterov = momentum, nesterov

    def slots(self) -> tuple[str, ...]:
        return ("v",) if self.momentum else ()

    def _gradient(self, tensor: Tensor) -> Any:
        """The rows of an embedding that a batch has read, without momentum and weight decay."""
        plain = type(self).update is SGD.update and not self.momentum and not self.weight_decay
        return held(tensor.node) if plain else tensor.grad

    def update(self, p: np.ndarray, g: np.ndarray, v: np.ndarray | None = None) -> None:
        if v is None:
            p -= self.lr * g
            return
        v *= self.momentum
        v += g
        p -= self.lr * (g + self.momentum * v if self.nesterov else v)


class ASGD(Optimizer):
    """Averaged SGD.  p ← p - lr g;  once triggered:  a ← the mean of p over the steps since.

    Polyak and Juditsky 1992, with the trigger of AWD-LSTM (Merity et al. 2018). `trigger` begins the average, for
    example when the validation perplexity is no better; ``with optimizer.averaged():`` puts the averages into the
    parameters. Equal to PyTorch's ``ASGD(lambd=0, t0=0)`` from the trigger on, whose average begins with the second
    step.
    """

    numbers = ("lr", "t0")

    def __init__(self, params: Parameters, lr: float, weight_decay: float = 0.0):
        super().__init__(params, lr, weight_decay)
        self.t0 = -1  #: the number of steps before the trigger; -1 without

    def trigger(self) -> None:
        """Begin the average with the parameters as they are; a second call begins it anew."""
        self.t0 = max((state["t"] for state in self.state.values() if state), default=0)

    def update(self, p: np.ndarray, g: np.ndarray, a: np.ndarray, t: int) -> None:
        p -= self.lr * g
        if self.t0 < 0 or t <= self.t0 + 2:
            a[...] = p
        else:
            a += (p - a) / (t - self.t0 - 1)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The parameters are their averages inside of the ``with`` block, in place, and are themselves again after it.

        A parameter that has had no gradient stays as it is. Do not call `step` inside.
        """
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, tensor in self.params.items():
            if "a" in self.state[name]:
                for p, a in blocks(tensor._array, self.state[name]["a"]):
                    p[...], a[...] = a.copy(), p.copy()
                bump(tensor._array, clock())


class AdaGrad(Optimizer):
    """AdaGrad (Duchi et al. 2011).  s ← s + g²,  p ← p - lr g / (√s + eps)."""

    def __init__(self, params: Parameters, lr: float = 0.01, eps: float = 1e-10, weight_decay: float = 0.0):
        super().__init__(params, lr, weight_decay)
        within("AdaGrad", "eps", eps, zero=False)
        self.eps = eps

    def update(self, p: np.ndarray, g: np.ndarray, s: np.ndarray) -> None:
        s += g * g
        p -= self.lr * g / (np.sqrt(s) + self.eps)


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton 2012).  v ← ρ v + (1 - ρ) g²,  p ← p - lr g / (√v + eps)."""

    def __init__(
        self, params: Parameters, lr: float = 0.01, rho: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0
    ):
        super().__init__(params, lr, weight_decay)
        within("RMSprop", "rho", rho, below=1)
        within("RMSprop", "eps", eps, zero=False)
        self.rho, self.eps = rho, eps

    def update(self, p: np.ndarray, g: np.ndarray, v: np.ndarray) -> None:
        v += (1 - self.rho) * (g * g - v)
        p -= self.lr * g / (np.sqrt(v) + self.eps)


class Rprop(Optimizer):
    """Rprop: a step size for each element, changed by the signs of the gradients alone (Riedmiller and Braun 1993).

    With g₀ the gradient of the previous step and d the step size, which begins as lr: where g g₀ > 0, d ← η⁺ d; where
    g g₀ < 0, d ← η⁻ d and g ← 0; d stays within ``step_sizes``; p ← p - d sign g, g₀ ← g. For gradients of the whole
    data, not of batches.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 0.01,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
    ):
        super().__init__(params, lr)
        etas, step_sizes = pair("Rprop", "etas", etas), pair("Rprop", "step_sizes", step_sizes)
        within("Rprop", "etas[0]", etas[0], below=1, zero=False)
        within("Rprop", "etas[1]", etas[1], least=1, zero=False)
        within("Rprop", "step_sizes[0]", step_sizes[0], zero=False)
        within("Rprop", "step_sizes[1]", step_sizes[1], least=step_sizes[0])
        self.etas, self.step_sizes = etas, step_sizes

    def update(self, p: np.ndarray, g: np.ndarray, g0: np.ndarray, d: np.ndarray, t: int) -> None:
        if t == 1:
            d[...] = self.lr
        same = np.sign(g) * np.sign(g0)  # not the product g g₀, which may underflow
        d *= np.where(same > 0, self.etas[1], np.where(same < 0, self.etas[0], 1)).astype(d.dtype)
        np.clip(d, *self.step_sizes, out=d)
        g0[...] = np.where(same < 0, 0, g)
        p -= d * np.sign(g0)


class Adam(Optimizer):
    """Adam with bias correction (Kingma and Ba 2015, algorithm 1).  p ← p - lr m̂ / (√v̂ + eps).

    m ← β₁ m + (1 - β₁) g,  v ← β₂ v + (1 - β₂) g²,  m̂ = m / (1 - β₁ᵗ),  v̂ = v / (1 - β₂ᵗ),  t the number of the step,
    counted for each parameter.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        super().__init__(params, lr, weight_decay)
        where = type(self).__name__
        betas = pair(where, "betas", betas)
        within(where, "betas[0]", betas[0], below=1)
        within(where, "betas[1]", betas[1], below=1)
        within(where, "eps", eps, zero=False)
        self.betas, self.eps = betas, eps

    def update(self, p: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray, t: int) -> None:
        b1, b2 = self.betas
        m += (1 - b1) * (g - m)
        v += (1 - b2) * (g * g - v)
        rate = self.lr * (1 - b2**t) ** 0.5 / (1 - b1**t)
        p -= rate * m / (np.sqrt(v) + self.eps * (1 - b2**t) ** 0.5)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).  p ← (1 - lr λ) p,  then the update of `Adam`."""

    decoupled = True

    def __init__(
        self,
        params: Parameters,
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ):
        super().__init__(params, lr, betas, eps, weight_decay)


#: The optimisers by name, as a command line takes them: each is called with the parameters, and ``lr=`` if wanted;
#: those of SGD need it.
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "momentum": functools.partial(SGD, momentum=0.9),
    "nesterov": functools.partial(SGD, momentum=0.9, nesterov=True),
    "asgd": ASGD,
    "adagrad": AdaGrad,
    "rmsprop": RMSprop,
    "rprop": Rprop,
    "adam": Adam,
    "adamw": AdamW,
}
