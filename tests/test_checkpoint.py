"""checkpoint(f) is f, with less kept and the same gradients."""

import tracemalloc

import numpy as np
import pytest

import tinygrad_rnn as tg

RNG = np.random.default_rng(1)
W, X = RNG.standard_normal((3, 3)), RNG.standard_normal((2, 3))


def gradients(wrap):
    """Gradients by an input and by what the function closes over, through two outputs, twice in a row."""
    w, x = tg.tensor(W, requires_grad=True), tg.tensor(X, requires_grad=True)
    g = wrap(lambda y, k: (np.tanh(y @ w) * k, {"sum": (y * y).sum()}))
    a, b = g(x, 2.0)
    c, _ = g(a, 0.5)
    (c.sum() * b["sum"]).backward()
    return x.grad, w.grad


def test_gradients_are_those_without():
    for found, wanted in zip(gradients(tg.checkpoint), gradients(lambda g: g)):
        np.testing.assert_allclose(found, wanted, rtol=1e-13)


def test_it_can_be_differentiated_twice():
    inner = tg.checkpoint(lambda z: np.tanh(z @ W) ** 2)
    found = tg.hessian(lambda y: inner(y).sum())(X)
    np.testing.assert_allclose(found, tg.hessian(lambda y: (np.tanh(y @ W) ** 2).sum())(X), rtol=1e-12, atol=1e-12)


def test_less_is_kept():
    def chain(y):
        for _ in range(50):
            y = np.tanh(y)
        return y

    def kept(g):
        x = tg.tensor(np.zeros((200, 200)), requires_grad=True)
        tracemalloc.start()
        y = g(x)
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        y.sum().backward()
        assert np.all(x.grad == 1)
        return size

    assert kept(tg.checkpoint(chain)) < kept(chain) / 10


def test_a_function_that_changes_its_mind_is_refused():
    rng = np.random.default_rng(0)
    y = tg.checkpoint(lambda x: tg.dropout(x, rate=0.5, rng=rng))(tg.tensor(np.ones(100), requires_grad=True))
    with pytest.raises(tg.GraphError, match=r"^checkpoint: f gave another result when run again"):
        y.sum().backward()


def test_without_recording_it_is_the_function():
    with tg.no_grad():
        assert tg.checkpoint(np.tanh)(tg.tensor(X, requires_grad=True)).node is None
    assert type(tg.checkpoint(lambda x: x + 1)(X)) is np.ndarray


def test_what_it_closes_over_gets_its_gradient_also_where_no_input_needs_one():
    w = tg.tensor(W, requires_grad=True)
    tg.checkpoint(lambda x: np.tanh(x @ w))(X).sum().backward()
    np.testing.assert_allclose(w.grad, tg.grad(lambda w: np.tanh(X @ w).sum())(W), rtol=1e-13)


def test_one_value_given_out_twice_and_a_constant_beside_it():
    x = tg.tensor(X, requires_grad=True)

    def f(x):
        y = x * x
        return y, y, 3.0

    a, b, c = tg.checkpoint(f)(x)
    (a.sum() + 2 * b.sum() + c).backward()
    np.testing.assert_allclose(x.grad, 6 * X)
