"""What small autograd frameworks get wrong about memory and dtype, one test each, named for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import MutationError


def leaf(*shape: int, seed: int = 0, dtype: Any = np.float64) -> tg.Tensor:
    return tg.tensor(np.random.default_rng(seed).uniform(0.5, 2.0, shape).astype(dtype), requires_grad=True)


def test_pitfall_04_aliased_gradients():
    a, b = leaf(3), leaf(3, seed=1)
    tg.sum(a + b).backward()
    assert a.grad is not b.grad and not np.shares_memory(a.grad, b.grad)
    for x in (a, b):  # clipping to norm 1, in place
        x.grad *= 1 / np.linalg.norm(x.grad)
    for x in (a, b):
        np.testing.assert_allclose(np.linalg.norm(x.grad), 1)


def test_pitfall_04_the_gradient_given_is_not_the_gradient_kept():
    x, dy = leaf(3), np.ones(3)
    (x + 0).backward(dy)
    dy[...] = 7
    np.testing.assert_array_equal(x.grad, np.ones(3))


def test_pitfall_04_a_sum_that_is_a_number_is_not_written_to():
    s = tg.tensor(2.0, requires_grad=True)
    (tg.sum(s[None]) + s * 3).backward()
    assert s.grad == 4
    f = lambda v: (v[2] * v[2] + v[:2] @ v[:2]) ** 2
    np.testing.assert_allclose(
        tg.hessian(f)(np.array([1.0, 2.0, 3.0])), [[64, 16, 24], [16, 88, 48], [24, 48, 128]], rtol=1e-14
    )


def test_pitfall_05_dtype():
    x = leaf(3, dtype=np.float32)
    y = tg.sigmoid(2.0 * x + 1) ** 2 / 3 - np.float32(0.5)
    assert y.dtype == np.float32
    y.backward(np.ones(3))  # float64, but the gradient is of float32
    assert x.grad.dtype == np.float32
    mixed = x * leaf(3)
    assert mixed.dtype == np.float64
    mixed.backward(np.ones(3))
    assert x.grad.dtype == np.float32


def by_data(w: tg.Tensor) -> None:
    w.data[0] = 7.0


def by_view_of_data(w: tg.Tensor) -> None:
    w.data[1:][:] = 7.0


def by_new_data(w: tg.Tensor) -> None:
    w.data = np.zeros(3)


def by_step(w: tg.Tensor) -> None:
    with tg.no_grad():
        w -= 0.1


def by_assignment(w: tg.Tensor) -> None:
    with tg.no_grad():
        w[0] = 7.0


@pytest.mark.parametrize("change", [by_data, by_view_of_data])
@pytest.mark.parametrize("op", [tg.multiply, tg.divide, tg.hypot])
def test_pitfall_06_what_user_code_can_write_to_is_not_saved(change, op):
    w, x, grads = leaf(3), leaf(3, seed=1), []
    for write in (lambda w: None, change):
        x.grad, y = None, op(x, w)
        write(w)
        y.backward(np.ones(3))
        grads.append(x.grad)
    np.testing.assert_array_equal(*grads)


@pytest.mark.parametrize("change", [by_step, by_assignment])
@pytest.mark.parametrize("op", [tg.multiply, tg.divide, tg.hypot])
def test_pitfall_06_saved_arrays_mutated(change, op):
    w, x = leaf(3), leaf(3, seed=1)
    y = op(x, w)
    change(w)
    with pytest.raises(MutationError) as caught:
        y.backward(np.ones(3))
    assert str(caught.value) == (
        f"{op.spec.name}: an array of shape (3,) that its gradient needs was changed after the forward pass; "
        "change it after backward(), or compute with a copy"
    )


def test_pitfall_06_what_no_rule_keeps_may_change():
    w, x = leaf(3), leaf(3, seed=1)
    y = x + w
    by_step(w)
    y.backward(np.ones(3))
    np.testing.assert_array_equal(x.grad, np.ones(3))


def test_pitfall_06_new_data_is_another_array():
    """The rule has kept the old one, which is as it was."""
    w, x = leaf(3), leaf(3, seed=1)
    before, y = w.numpy(), x * w
    by_new_data(w)
    y.backward(np.ones(3))
    np.testing.assert_array_equal(x.grad, before)


def test_pitfall_06_the_output_is_kept_too():
    x = leaf(3)
    y = tg.tanh(x)
    with tg.no_grad():
        y *= 0.5
    y.backward(np.ones(3))
    np.testing.assert_allclose(x.grad, 1 - np.tanh(x.numpy()) ** 2, rtol=1e-14)


def test_pitfall_06_a_change_before_is_fine():
    w, x = leaf(3), leaf(3, seed=1)
    by_data(w)
    by_step(w)
    (x * w).backward(np.ones(3))
    np.testing.assert_array_equal(x.grad, w.numpy())
