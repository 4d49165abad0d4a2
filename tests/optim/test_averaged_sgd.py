"""ASGD: what the average is, when it begins, and how it is put into the parameters."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.optim import ASGD


def steps(optimizer, w, count, seed=0):
    """Make steps with random gradients; the parameter after each."""
    rng, after = np.random.default_rng(seed), []
    for _ in range(count):
        w.grad = rng.standard_normal(w.shape)
        optimizer.step()
        after.append(w.numpy())
    return after


def test_after_the_trigger_the_average_is_the_mean_from_its_second_step_on():
    w = tg.tensor(np.ones((2, 3)), requires_grad=True)
    optimizer = ASGD([w], lr=0.1)
    steps(optimizer, w, 4)
    optimizer.trigger()
    after = steps(optimizer, w, 6, seed=1)
    with optimizer.averaged():
        np.testing.assert_allclose(w.numpy(), np.mean(after[1:], axis=0), rtol=1e-14)
    np.testing.assert_array_equal(w.numpy(), after[-1])
    optimizer.trigger()
    again = steps(optimizer, w, 3, seed=2)
    with optimizer.averaged():
        np.testing.assert_allclose(w.numpy(), np.mean(again[1:], axis=0), rtol=1e-14)


def test_without_a_trigger_the_average_is_the_parameter():
    w = tg.tensor(np.ones(3), requires_grad=True)
    optimizer = ASGD([w], lr=0.1)
    last = steps(optimizer, w, 5)[-1]
    with optimizer.averaged():
        np.testing.assert_array_equal(w.numpy(), last)


def test_an_error_inside_puts_the_parameters_back():
    w = tg.tensor(np.ones(3), requires_grad=True)
    optimizer = ASGD([w], lr=0.1)
    optimizer.trigger()
    last = steps(optimizer, w, 5)[-1]
    with pytest.raises(KeyError), optimizer.averaged():
        assert not np.array_equal(w.numpy(), last)
        raise KeyError
    np.testing.assert_array_equal(w.numpy(), last)


def test_a_graph_from_before_the_exchange_is_refused():
    w = tg.tensor(np.ones(3), requires_grad=True)
    optimizer = ASGD([w], lr=0.1)
    steps(optimizer, w, 1)
    loss = (w * w).sum()
    with optimizer.averaged(), pytest.raises(tg.MutationError):
        loss.backward()
