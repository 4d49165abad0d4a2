"""Any index NumPy knows, drawn at random: reading, scattering and writing are right and adjoint to each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_rnn as tg

SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)


@st.composite
def indexed(draw: Any) -> tuple[np.ndarray, Any]:
    """An array and an index into it: basic, of integers that may repeat, of truth values, or mixed."""
    shape = draw(SHAPES)
    x = np.arange(1.0, 1.0 + np.prod(shape)).reshape(shape)
    kind = draw(st.sampled_from(["basic", "integers", "mask", "mixed"]))
    if kind == "basic":
        return x, draw(hnp.basic_indices(shape, allow_newaxis=True))
    if kind == "mask":
        return x, draw(hnp.arrays(bool, shape[: draw(st.integers(1, len(shape)))]))
    indexed_axes = shape[: draw(st.integers(1, len(shape)))]
    index = draw(hnp.integer_array_indices(indexed_axes, result_shape=hnp.array_shapes(max_dims=2)))
    if kind == "mixed" and len(index) < len(shape):
        return x, (*index, ..., draw(st.sampled_from([slice(None), slice(None, None, -1), None, 0])))
    return x, index


@settings(max_examples=150, deadline=None)
@given(indexed())
def test_reading_and_scattering_are_adjoint(drawn):
    x, index = drawn
    y, pull = tg.vjp(lambda x: x[index], x)
    np.testing.assert_array_equal(y, x[index])
    dy = np.cos(np.arange(np.size(y))).reshape(np.shape(y))
    expected = np.zeros_like(x)
    np.add.at(expected, index, dy)
    np.testing.assert_allclose(pull(dy)[0], expected, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(tg.scatter(dy, index=index, shape=x.shape), expected, rtol=1e-14, atol=1e-14)


@settings(max_examples=100, deadline=None)
@given(indexed())
def test_writing_reads_back_and_sends_gradients_both_ways(drawn):
    x, index = drawn
    v = tg.tensor(np.cos(np.arange(np.size(x[index]))).reshape(np.shape(x[index])), requires_grad=True)
    leaf = tg.tensor(x, requires_grad=True)
    y, expected = leaf * 1, x.copy()
    y[index] = v
    expected[index] = v.numpy()
    np.testing.assert_array_equal(y.numpy(), expected)
    y.backward(np.ones(x.shape))
    covered = np.ones_like(x)
    covered[index] = 0
    np.testing.assert_array_equal(leaf.grad, covered)
    if len(np.unique(np.arange(x.size).reshape(x.shape)[index])) == v.size:  # each place written once
        np.testing.assert_array_equal(v.grad, np.ones(v.shape))


def test_rows_named_many_times_are_summed():
    ids = np.random.default_rng(0).integers(0, 5, (40, 7))
    W = tg.tensor(np.ones((5, 3)), requires_grad=True)
    tg.sum(tg.embedding(W, ids) * 2).backward()
    np.testing.assert_array_equal(W.grad, np.repeat(2.0 * np.bincount(ids.ravel(), minlength=5)[:, None], 3, axis=1))


def test_an_empty_batch_of_ids():
    W = tg.tensor(np.ones((5, 3)), requires_grad=True)
    y = tg.embedding(W, np.zeros((0, 4), int))
    y.backward(np.zeros(y.shape))
    assert y.shape == (0, 4, 3) and not W.grad.any()


def test_tensors_as_indices():
    x, ids = tg.tensor(np.arange(12.0).reshape(4, 3), requires_grad=True), tg.tensor(np.array([2, 0, 2]))
    for y in (x[ids], np.take(x, ids, axis=0), tg.embedding(x, ids)):
        np.testing.assert_array_equal(y.numpy(), x.numpy()[[2, 0, 2]])
    np.testing.assert_array_equal(x[x > 4].numpy(), np.arange(5.0, 12.0))
    np.testing.assert_array_equal(x[[1, 1], [0, 2]].numpy(), [3, 5])
