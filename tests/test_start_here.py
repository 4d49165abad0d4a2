"""An introduction to the library in six tests, each against plain NumPy. Read it from top to bottom.

An expression, a cell, the gradient of the cell, the cell over time, a backward pass derived by hand, and the same with
a mistake. The other tests state one property each, in the folder of the room that they test.
"""

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import Param, tanh

N, T, D, H = 2, 5, 3, 4  # batch, time, input features, hidden units


def test_an_expression():
    """z = tanh(x W) + x²: the same numbers as NumPy's, and the gradient that calculus gives."""
    rng = np.random.default_rng(0)
    x, W = rng.standard_normal((N, D)), rng.standard_normal((D, D))

    x_leaf, W_leaf = tg.tensor(x, requires_grad=True), tg.tensor(W, requires_grad=True)
    z = tanh(x_leaf @ W_leaf) + x_leaf**2
    z.sum().backward()

    y = np.tanh(x @ W)
    np.testing.assert_allclose(z.numpy(), y + x**2)
    np.testing.assert_allclose(x_leaf.grad, (1 - y**2) @ W.T + 2 * x)
    np.testing.assert_allclose(W_leaf.grad, x.T @ (1 - y**2))


@tg.cell
def my_rnn(x, h, *, Wx=Param("D H"), Wh=Param("H H"), b=Param("H")):
    """h' = tanh(x Wx + h Wh + b)"""
    h = tanh(x @ Wx + h @ Wh + b)
    return h


def sample():
    """Input (N, T, D), state (N, H) and parameters of the cell, as float64 arrays."""
    rng = np.random.default_rng(1)
    shapes = {"Wx": (D, H), "Wh": (H, H), "b": (H,)}
    params = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    return rng.standard_normal((N, T, D)), rng.standard_normal((N, H)), params


def test_a_cell_is_its_equation():
    xs, h, params = sample()
    h_new = my_rnn(xs[:, 0], h, **params)
    np.testing.assert_allclose(h_new, np.tanh(xs[:, 0] @ params["Wx"] + h @ params["Wh"] + params["b"]))


def test_the_gradient_of_a_cell_is_that_of_differences():
    """(L(Wh + s V) - L(Wh - s V)) / 2 s is the sum of dWh ⊙ V, for a small s and any direction V."""
    xs, h, params = sample()

    def loss(Wh):
        return tg.sum(my_rnn(xs[:, 0], h, **{**params, "Wh": Wh}) ** 2)

    dWh = tg.grad(loss)(params["Wh"])
    V, s = np.random.default_rng(2).standard_normal((H, H)), 1e-6
    difference = (loss(params["Wh"] + s * V) - loss(params["Wh"] - s * V)) / (2 * s)
    np.testing.assert_allclose(np.sum(dWh * V), difference, rtol=1e-7)

    assert tg.check_gradients(lambda x, h: my_rnn(x, h, **params), xs[:, 0], h).ok  # the same, by the library


def test_scan_is_the_loop_over_time():
    xs, h, params = sample()
    hs, (last,) = tg.scan(my_rnn, xs, h, params)
    for t in range(T):
        h = my_rnn(xs[:, t], h, **params)
        np.testing.assert_allclose(hs[:, t], h)
    np.testing.assert_allclose(last, h)


def rnn_backward(x, h, *, Wx, Wh, b, dh):
    """The gradients of one step by hand; ``dh`` is the gradient by the new state."""
    h_new = np.tanh(x @ Wx + h @ Wh + b)
    dA = dh * (1 - h_new**2)
    return {"dx": dA @ Wx.T, "dh": dA @ Wh.T, "dWx": x.T @ dA, "dWh": h.T @ dA, "db": dA.sum(axis=0)}


def test_a_backward_pass_by_hand_is_right():
    report = tg.check_backward(my_rnn, rnn_backward)
    assert report.verdict == "right"


def test_a_planted_mistake_is_caught_and_named():
    def wrong(x, h, *, Wx, Wh, b, dh):
        """The derivative of tanh at the old state, where that at the new one belongs."""
        h_new = np.tanh(x @ Wx + h @ Wh + b)  # noqa: F841 (the right line reads it)
        dA = dh * (1 - h**2)
        return {"dx": dA @ Wx.T, "dh": dA @ Wh.T, "dWx": x.T @ dA, "dWh": h.T @ dA, "db": dA.sum(axis=0)}

    report = tg.check_backward(my_rnn, wrong)
    assert report.verdict == "wrong"
    assert report.diagnoses[0].old.strip() == "dA = dh * (1 - h**2)"
    assert report.diagnoses[0].new.strip() == "dA = dh * (1 - h_new**2)"
