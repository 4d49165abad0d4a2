"""``x += w`` and its kin: a new value for the same Tensor, or a step written into a leaf under no_grad."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.assignment import H, T, assert_gradient, leaf, memory
from tinygrad_rnn.errors import GraphError, MutationError

CHANGES = [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ipow, operator.imod]


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
def test_in_place_is_the_operation_and_a_new_value(change):
    def f(x: tg.Tensor, w: tg.Tensor) -> tg.Tensor:
        y = x * x
        before = tg.sum(y * y)
        same = y
        y = change(y, w)
        assert y is same
        return before + tg.sum(y * y)

    assert_gradient(f, leaf(T, H).numpy() + 0.3, leaf(H, seed=1).numpy())


def test_in_place_matrix_product():
    def f(x: tg.Tensor, w: tg.Tensor) -> tg.Tensor:
        y = x * x
        y @= w
        return tg.sum(y * y)

    assert_gradient(f, leaf(T, H).numpy(), leaf(H, H, seed=1).numpy())


def test_adding_up_a_loss():
    loss, x = tg.tensor(0.0), leaf(T)
    for t in range(T):
        loss += x[t] * x[t]
    loss.backward()
    np.testing.assert_allclose(x.grad, 2 * x.numpy())


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
def test_in_place_keeps_the_dtype(change):
    x = leaf(T, dtype=np.float32) * 1
    x = change(x, np.full(T, 0.7))
    assert x.dtype == np.float32
    x = change(x, 2.0)
    assert x.dtype == np.float32


def test_in_place_refuses_another_shape_or_kind():
    x, n = leaf(H) * 1, tg.tensor(np.arange(3))
    with pytest.raises(TypeError) as caught:
        x += np.ones((T, H))
    assert str(caught.value) == "x += w: the result is float64 (4, 3), should be float64 (3,) as x is"
    with pytest.raises(TypeError) as caught:
        n *= 0.5
    assert str(caught.value) == "x *= w: the result is float64 (3,), should be int64 (3,) as x is"


def test_in_place_on_a_leaf_is_refused_while_recording():
    w = leaf(H)
    with pytest.raises(GraphError) as caught:
        w -= 0.1
    assert str(caught.value) == (
        "x -= w: a tensor of shape (3,) is a leaf that requires grad; change it under no_grad(), or give the result "
        "another name: z = x - w"
    )


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
def test_a_step_under_no_grad_writes_into_the_leaf(change):
    w, g = leaf(T, H), np.full((T, H), 0.5)
    expected, same, where = change(w.numpy(), g), w, memory(w)
    with tg.no_grad():
        w = change(w, g)
    assert w is same and memory(w) == where and w.requires_grad
    np.testing.assert_array_equal(w.numpy(), expected)


def test_a_step_between_forward_and_backward_is_noticed():
    w = leaf(H)
    y = tg.sum(w * w)
    with tg.no_grad():
        w -= 0.1
    with pytest.raises(MutationError, match=r"^multiply: an array of shape \(3,\) that its gradient needs was changed"):
        y.backward()


def test_detached_values_do_not_follow():
    w = leaf(H)
    d = w.detach()
    d += 1.0
    np.testing.assert_allclose(d.numpy(), w.numpy() + 1)


def test_a_number_that_needs_a_gradient_changes_under_no_grad():
    loss = tg.sum(leaf(H))
    before = loss.item()
    with tg.no_grad():
        loss *= 2.0
    assert loss.item() == 2 * before and loss.dtype == np.float64
