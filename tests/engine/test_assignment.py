"""``hs[:, t] = h``: the gradients of what was written, overwritten and read before, at linear cost."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.assignment import H, N, T, assert_gradient, leaf, memory
from tinygrad_rnn.errors import GraphError


def test_filling_time_step_by_step_is_stacking():
    def loss(fill: bool, x: tg.Tensor, w: tg.Tensor) -> tg.Tensor:
        hs: Any = tg.zeros((N, T, H), dtype=np.float64) if fill else []
        h = x
        for t in range(T):
            h = tg.tanh(h @ w)
            if fill:
                hs[:, t] = h
            else:
                hs.append(h)
        hs = hs if fill else tg.stack(hs, axis=1)
        return tg.sum(hs * hs * hs)

    x, w = leaf(N, H), leaf(H, H, seed=1)
    by_filling = tg.grad(lambda x, w: loss(True, x, w), (0, 1))(x.numpy(), w.numpy())
    by_stacking = tg.grad(lambda x, w: loss(False, x, w), (0, 1))(x.numpy(), w.numpy())
    for a, b in zip(by_filling, by_stacking, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)


INDICES = [0, -1, slice(1, 3), slice(None, None, -1), (slice(None), 1), (..., 2), (1, 2), ..., None,
           np.array([0, 2]), (np.array([0, 1]), np.array([2, 2])), np.arange(12).reshape(4, 3) % 2 == 0]  # fmt: skip


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_what_is_overwritten_gets_no_gradient_and_what_is_written_all_of_it(index):
    def f(x: tg.Tensor, v: tg.Tensor) -> tg.Tensor:
        y = x * x
        before = tg.sum(y * y)  # an earlier reader sees the old value
        y[index] = v[index] * v[index]
        return before + tg.sum(y * y * y)

    assert_gradient(f, leaf(T, H).numpy(), leaf(T, H, seed=1).numpy())


@pytest.mark.parametrize("shape", [(), (1,), (H,), (1, H), (T, 1)], ids=str)
def test_what_is_written_may_be_stretched(shape):
    def f(x: tg.Tensor, v: tg.Tensor) -> tg.Tensor:
        y = x * 1
        y[...] = v * v
        return tg.sum(y * y * np.arange(12.0).reshape(T, H))

    assert_gradient(f, leaf(T, H).numpy(), np.asarray(leaf(*shape, seed=1).numpy()))


IN_PLACE = [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ipow]


@pytest.mark.parametrize("change", IN_PLACE, ids=lambda f: f.__name__)
def test_part_of_an_array_is_changed(change):
    def f(x: tg.Tensor, v: tg.Tensor) -> tg.Tensor:
        y = x * x
        for t in range(1, T):
            y[t] = change(y[t], v[t] * tg.tanh(y[t - 1]))
        return tg.sum(y * y)

    assert_gradient(f, leaf(T, H).numpy(), leaf(T, H, seed=1).numpy())


def test_overlapping_parts_are_read_before_they_are_written():
    def f(x: tg.Tensor) -> tg.Tensor:
        y = x * x
        y[1:] = y[:-1]
        return tg.sum(y * np.arange(1.0, T + 1))

    x = leaf(T).numpy()
    np.testing.assert_allclose(tg.grad(f)(x), 2 * x * np.array([3.0, 3.0, 4.0, 0.0]))


def test_a_reader_before_the_write_keeps_what_it_read():
    x, h = leaf(T, H), leaf(H, seed=1)
    y = x * 1
    row, squared = y[0], tg.square(y)
    y[0] = h
    np.testing.assert_array_equal(row.numpy(), x.numpy()[0])
    tg.sum(squared).backward()
    np.testing.assert_array_equal(x.grad, 2 * x.numpy())
    assert h.grad is None


def test_filling_costs_one_write_a_step():
    """The array stays where it is while nobody else holds it, also when rules that keep no values have read it."""
    hs, h = tg.zeros((N, 50, H), dtype=np.float64), leaf(N, H)
    where = memory(hs)
    for t in range(50):
        hs[:, t] = h
        if t:
            hs[:, t] += hs[:, t - 1]
    assert memory(hs) == where
    held = hs.numpy()
    view = hs[:, 0]
    hs[:, 1] = h
    assert memory(hs) != where, "a view was held, so the write went into a copy"
    np.testing.assert_array_equal(view.numpy(), held[:, 0])


def test_the_backward_pass_of_filling_copies_nothing():
    """As many elements are made new as one array has, whatever T is."""
    import tracemalloc

    def peak(steps: int) -> int:
        hs, h = tg.zeros((steps, 1000), dtype=np.float64), leaf(1000)
        for t in range(steps):
            hs[t] = h
        loss = tg.sum(hs)
        tracemalloc.start()
        loss.backward()
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        np.testing.assert_array_equal(h.grad, np.full(1000, steps))
        return top

    assert peak(80) < 2.5 * peak(40)


def test_dtype_of_the_array_is_kept():
    hs, h = tg.zeros((T, H)), leaf(H)
    hs[0] = h
    assert hs.dtype == np.float32
    tg.sum(hs).backward()
    assert h.grad.dtype == np.float64


def test_what_needs_a_gradient_cannot_be_written_into_integers():
    hs = tg.tensor(np.zeros((T, H), int))
    with pytest.raises(TypeError) as caught:
        hs[0] = leaf(H)
    assert str(caught.value) == "x[...] = v: v needs a gradient, and x is int64; make x with a floating dtype"


def test_shapes_that_do_not_fit():
    hs = tg.zeros((T, H))
    with pytest.raises(ValueError, match=r"^assign: could not broadcast .* v is \(2,\), x is \(4, 3\)$"):
        hs[0] = np.zeros(2)


def test_a_leaf_is_written_to_under_no_grad_only():
    w = leaf(T, H)
    w.name = "w"
    with pytest.raises(GraphError) as caught:
        w[0] = 0.0
    label = "w (a tensor of shape (4, 3))"
    assert str(caught.value) == f"x[...] = v: {label} is a leaf that requires grad; change it under no_grad()"
    where = memory(w)
    with tg.no_grad():
        w[0] = 0.0
        w[1] += 1.0
    assert memory(w) == where and w.requires_grad and not w.numpy()[0].any()
