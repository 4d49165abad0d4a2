"""One LSTM layer written by hand in NumPy, as a reader of the book writes it: the yardstick of "ours / book".

A step keeps what its backward needs and has a backward of its own; the layer copies ``h`` into ``hs`` and, going back,
adds up the weight gradients step by step.  Gates are stacked f g i o::

    A = x Wx + h Wh + b,   f, i, o = σ(A_f), σ(A_i), σ(A_o),   g = tanh(A_g)
    c' = f ⊙ c + g ⊙ i,    h' = o ⊙ tanh c'
"""

from collections.abc import Callable

import numpy as np

from cases import LSTMCase, lstm_case
from spec import Array, Job


def sigmoid(x: Array) -> Array:
    """σ(x) = 1 / (1 + exp(-x))"""
    return 1 / (1 + np.exp(-x))


class LSTMStep:
    """One step of time: ``forward`` keeps, ``backward`` uses."""

    def __init__(self, Wx: Array, Wh: Array, b: Array) -> None:
        self.params = Wx, Wh, b
        self.kept: tuple[Array, ...] = ()

    def forward(self, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        """x (N, D), h (N, H), c (N, H) -> next h and c."""
        Wx, Wh, b = self.params
        H = h.shape[1]
        A = x @ Wx + h @ Wh + b
        f = sigmoid(A[:, :H])
        g = np.tanh(A[:, H:2 * H])
        i = sigmoid(A[:, 2 * H:3 * H])
        o = sigmoid(A[:, 3 * H:])
        c_next = f * c + g * i
        h_next = o * np.tanh(c_next)
        self.kept = x, h, c, f, g, i, o, c_next
        return h_next, c_next

    def backward(self, dh_next: Array, dc_next: Array) -> tuple[Array, ...]:
        """Gradients of what comes out -> dx, dh, dc and this step's dWx, dWh, db.

        ``dc_next`` comes from the step after; what flows through ``h' = o ⊙ tanh c'`` is added to it.
        """
        Wx, Wh, _ = self.params
        x, h, c, f, g, i, o, c_next = self.kept
        tanh_c = np.tanh(c_next)
        dc_next = dc_next + dh_next * o * (1 - tanh_c ** 2)
        df = dc_next * c * f * (1 - f)
        dg = dc_next * i * (1 - g ** 2)
        di = dc_next * g * i * (1 - i)
        do = dh_next * tanh_c * o * (1 - o)
        dA = np.hstack((df, dg, di, do))
        return dA @ Wx.T, dA @ Wh.T, dc_next * f, x.T @ dA, h.T @ dA, dA.sum(axis=0)


class OwningStep(LSTMStep):
    """A step that owns ``grads`` like any other layer, zeroed when it is made and filled in its backward.

    That is how the book's classes are laid out.  The arrays are as large as the weights and made again for each step
    of time, so at H = 650 they cost as much as the arithmetic.
    """

    def __init__(self, Wx: Array, Wh: Array, b: Array) -> None:
        super().__init__(Wx, Wh, b)
        self.grads = [np.zeros_like(w) for w in self.params]

    def backward(self, dh_next: Array, dc_next: Array) -> tuple[Array, ...]:
        """As above; the three last are ``grads``."""
        dx, dh, dc, *grads = super().backward(dh_next, dc_next)
        for own, grad in zip(self.grads, grads, strict=True):
            own[...] = grad
        return dx, dh, dc, *self.grads


class TimeLSTM:
    """``T`` steps that share their weights."""

    def __init__(self, Wx: Array, Wh: Array, b: Array, step: type[LSTMStep] = LSTMStep) -> None:
        self.step = step
        self.params = Wx, Wh, b
        self.grads = tuple(np.zeros_like(w) for w in self.params)
        self.steps: list[LSTMStep] = []
        self.last: tuple[Array, Array]

    def forward(self, xs: Array, h: Array, c: Array) -> Array:
        """xs (N, T, D) -> hs (N, T, H); ``last`` becomes the final h and c."""
        N, T, _ = xs.shape
        self.steps = []
        hs = np.empty((N, T, h.shape[1]), dtype=xs.dtype)
        for t in range(T):
            step = self.step(*self.params)
            h, c = step.forward(xs[:, t], h, c)
            hs[:, t] = h
            self.steps.append(step)
        self.last = h, c
        return hs

    def backward(self, dhs: Array) -> Array:
        """dhs (N, T, H) -> dxs (N, T, D); ``grads`` becomes dWx, dWh, db."""
        N, T, H = dhs.shape
        dxs = np.empty((N, T, self.params[0].shape[0]), dtype=dhs.dtype)
        for grad in self.grads:
            grad[...] = 0
        dh = dc = np.zeros((N, H), dtype=dhs.dtype)
        for t in reversed(range(T)):
            dx, dh, dc, *grads = self.steps[t].backward(dhs[:, t] + dh, dc)
            dxs[:, t] = dx
            for total, grad in zip(self.grads, grads, strict=True):
                total += grad
        return dxs


def loss_and_gradients(layer: TimeLSTM, case: LSTMCase) -> dict[str, Array]:
    """The loss ``sum(hs * dhs)`` and its gradients, by name."""
    hs = layer.forward(case.xs, case.h0, case.c0)
    loss = (hs * case.dhs).sum()
    dxs = layer.backward(case.dhs)
    dWx, dWh, db = layer.grads
    return {"loss": loss, "dxs": dxs, "dWx": dWx, "dWh": dWh, "db": db}


def layer(step: type[LSTMStep]) -> Callable[..., Job]:
    """A contender: the layer of this file on either kind of step."""

    def setup(N: int, T: int, D: int, H: int) -> Job:
        case = lstm_case(N, T, D, H)
        own = TimeLSTM(case.Wx, case.Wh, case.b, step)
        return Job(lambda: loss_and_gradients(own, case), lambda: loss_and_gradients(own, case))

    return setup
