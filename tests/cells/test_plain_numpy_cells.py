"""Forward passes written for plain NumPy, as *Deep Learning from Scratch 2* has them, run on Tensors unchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg

N, T, D, H = 2, 3, 4, 5


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


class RNN:
    def __init__(self, Wx: Any, Wh: Any, b: Any):
        self.params = [Wx, Wh, b]

    def forward(self, x: Any, h_prev: Any) -> Any:
        Wx, Wh, b = self.params
        t = np.dot(h_prev, Wh) + np.dot(x, Wx) + b
        return (np.tanh(t),)


class LSTM:
    def __init__(self, Wx: Any, Wh: Any, b: Any):
        self.params = [Wx, Wh, b]

    def forward(self, x: Any, h_prev: Any, c_prev: Any) -> Any:
        Wx, Wh, b = self.params
        _, H = h_prev.shape
        A = np.dot(x, Wx) + np.dot(h_prev, Wh) + b
        f = sigmoid(A[:, :H])
        g = np.tanh(A[:, H : 2 * H])
        i = sigmoid(A[:, 2 * H : 3 * H])
        o = sigmoid(A[:, 3 * H :])
        c_next = f * c_prev + g * i
        h_next = o * np.tanh(c_next)
        return h_next, c_next


class GRU:
    def __init__(self, Wx: Any, Wh: Any, b: Any):
        self.params = [Wx, Wh, b]

    def forward(self, x: Any, h_prev: Any) -> Any:
        Wx, Wh, b = self.params
        H = Wh.shape[0]
        Wxz, Wxr, Wxh = Wx[:, :H], Wx[:, H : 2 * H], Wx[:, 2 * H :]
        Whz, Whr, Whh = Wh[:, :H], Wh[:, H : 2 * H], Wh[:, 2 * H :]
        bz, br, bh = b[:H], b[H : 2 * H], b[2 * H :]
        z = sigmoid(np.dot(x, Wxz) + np.dot(h_prev, Whz) + bz)
        r = sigmoid(np.dot(x, Wxr) + np.dot(h_prev, Whr) + br)
        h_hat = np.tanh(np.dot(x, Wxh) + np.dot(r * h_prev, Whh) + bh)
        return ((1 - z) * h_prev + z * h_hat,)


CELLS = {"rnn": (RNN, 1, 1), "lstm": (LSTM, 4, 2), "gru": (GRU, 3, 1)}
each = pytest.mark.parametrize("name", CELLS)


def arrays(name: str) -> list[np.ndarray]:
    """xs, Wx, Wh, b, and the state."""
    _, gates, states = CELLS[name]
    rng = np.random.default_rng(0)
    shapes = [(N, T, D), (D, gates * H), (H, gates * H), (gates * H,), *[(N, H)] * states]
    return [0.5 * rng.standard_normal(shape) for shape in shapes]


def run(name: str, xs: Any, Wx: Any, Wh: Any, b: Any, *state: Any) -> Any:
    """All hidden states, as the book's TimeRNN and its kin collect them."""
    layer = CELLS[name][0](Wx, Wh, b)
    hs = []
    for t in range(T):
        state = layer.forward(xs[:, t, :], *state)
        hs.append(state[0])
    return np.stack(hs, axis=1)


@each
def test_forward_on_tensors_is_forward_on_arrays(name):
    given = arrays(name)
    hs = run(name, *(tg.tensor(x, requires_grad=True) for x in given))
    assert isinstance(hs, tg.Tensor) and hs.requires_grad
    np.testing.assert_array_equal(hs.numpy(), run(name, *given))


@each
def test_gradients_are_those_of_complex_step(name):
    """The plain NumPy class runs on complex numbers too: one tiny imaginary step, no cancellation."""
    given = arrays(name)
    rng = np.random.default_rng(1)
    dhs = rng.standard_normal((N, T, H))
    _, pull = tg.vjp(lambda *xs: run(name, *xs), *given)
    for k, g in enumerate(pull(dhs)):
        v = rng.standard_normal(given[k].shape)
        moved = [x + 1e-30j * v if j == k else x for j, x in enumerate(given)]
        expected = np.sum(dhs * run(name, *moved).imag / 1e-30)
        np.testing.assert_allclose(np.sum(g * v), expected, rtol=1e-12)


@each
def test_equals_the_cell_of_the_library(name):
    xs, Wx, Wh, b, *state = arrays(name)
    hs, _ = tg.scan(getattr(tg, name), xs, tuple(state), {"Wx": Wx, "Wh": Wh, "b": b})
    np.testing.assert_allclose(np.asarray(hs), run(name, xs, Wx, Wh, b, *state), rtol=1e-12)


@each
def test_float32_stays_float32(name):
    leaves = [tg.tensor(x.astype(np.float32), requires_grad=True) for x in arrays(name)]
    hs = run(name, *leaves)
    tg.mean(hs * hs).backward()
    assert hs.dtype == np.float32 and all(leaf.grad.dtype == np.float32 for leaf in leaves)
