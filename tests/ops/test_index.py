"""Any index NumPy knows, drawn at random: reading, scattering and writing are right and adjoint to each other."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
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


def laid_out(x: np.ndarray, layout: str) -> np.ndarray:
    """The same values, in another order in memory."""
    if not x.ndim:
        return x
    return {"C": np.array(x), "F": np.asfortranarray(x), "backwards": np.array(x[..., ::-1])[..., ::-1]}[layout]


@settings(max_examples=200, deadline=None)
@given(indexed(), st.data())
def test_writing_is_a_loop_over_the_places_in_order(drawn, data):
    """What is written last stays, and its v alone gets the gradient; v may be stretched, or have axes of 1 in front."""
    x, index = drawn
    layout = st.sampled_from(["C", "F", "backwards"])
    index = index if not isinstance(index, tuple) else tuple(
        laid_out(part, data.draw(layout)) if np.ndim(part) > 0 else part for part in index)  # fmt: skip
    places = np.arange(x.size).reshape(x.shape)[index]
    shape = tuple(1 if data.draw(st.booleans()) and data.draw(st.booleans()) else n for n in places.shape)
    masks = isinstance(index, np.ndarray) and index.dtype == bool  # NumPy takes no more axes than a mask gives
    if places.ndim and not masks:
        shape = (1,) * data.draw(st.integers(0, 1)) + shape
    v = laid_out(np.cos(np.arange(np.prod(shape, dtype=int))).reshape(shape), data.draw(layout))
    sources = np.broadcast_to(np.arange(v.size).reshape(shape[len(shape) - places.ndim :]), places.shape)
    stays = dict(zip(places.ravel().tolist(), sources.ravel().tolist()))
    expected, dv, dy = x.ravel().copy(), np.zeros(v.size), np.sin(1 + np.arange(x.size))
    dx = dy.copy()
    for place, source in stays.items():
        expected[place], dx[place] = v.ravel()[source], 0
        dv[source] += dy[place]

    leaf, value = tg.tensor(x, requires_grad=True), tg.Tensor(v, requires_grad=True)
    y = leaf * 1
    y[index] = value
    np.testing.assert_array_equal(y.numpy().ravel(), expected)
    y.backward(dy.reshape(x.shape))
    np.testing.assert_allclose(value.grad.ravel(), dv, rtol=1e-14, atol=1e-14)
    np.testing.assert_array_equal(leaf.grad.ravel(), dx)


@pytest.mark.parametrize(("index", "expected"), [
    ([0, 0], [0, 1]), ([1, -2], [0, 1]), ([0, 1, 0, 2, -3], [0, 1, 0, 1, 1]), (([0, 0, 0], [1, 1, 0]), [0, 1, 1]),
    ((np.array([True, False, True]), [1, 1]), [1, 1]), ((slice(0, 1), [2, 2]), [[0, 1]]),
], ids=str)  # fmt: skip
def test_of_values_written_to_one_place_the_last_has_the_gradient(index, expected):
    x = np.zeros(3) if not isinstance(index, tuple) else np.zeros((3, 3))
    h, v = tg.Tensor(x), tg.tensor(np.ones(np.shape(expected)), requires_grad=True)
    h[index] = v
    tg.sum(h).backward()
    np.testing.assert_array_equal(v.grad, expected)


def test_under_no_grad_the_last_value_stays_as_well():
    x = tg.tensor(np.zeros(3), requires_grad=True)
    with tg.no_grad():
        x[[0, 2, 0]] = [1.0, 2.0, 3.0]
    np.testing.assert_array_equal(x.numpy(), [3, 0, 2])


SMALL = [np.dtype(kind) for kind in "bhilqBHILQ"]


@pytest.mark.parametrize("kind", SMALL, ids=str)
@pytest.mark.parametrize("rows", [127, 128, 129, 255, 256, 257, 300, 40000, 70000])
def test_ids_of_every_integer_type_in_tables_larger_than_they_count(kind, rows):
    least = -rows if kind.kind == "i" else 0
    top = min(np.iinfo(kind).max, rows - 1)
    ids = np.array([0, 1, top, top, max(least, np.iinfo(kind).min)], kind)
    table, across = np.arange(rows, dtype=float).reshape(-1, 1), ids.reshape(-1, 1)
    uses = {"getitem": lambda W: W[ids], "take": lambda W: np.take(W, ids, axis=0), "column": lambda W: W[ids, 0],
            "take_along_axis": lambda W: np.take_along_axis(W, across, axis=0)}  # fmt: skip
    if ids.min() >= 0:
        uses["embedding"] = lambda W: tg.embedding(W, ids)
        uses["labels"] = lambda W: -tg.softmax_cross_entropy(W.T + np.zeros((5, 1)), ids) * 5
    counts = np.zeros((rows, 1))
    np.add.at(counts, ids.astype(int), 1)
    for name, use in uses.items():
        y, pull = tg.vjp(use, table)
        g = pull(np.ones(np.shape(y)))[0]
        softmax = 5 * np.exp(table - rows) / np.exp(table - rows).sum() if name == "labels" else 0
        np.testing.assert_allclose(g, counts - softmax, rtol=1e-12, atol=1e-12, err_msg=name)
        W = tg.tensor(np.zeros((rows, 1)), requires_grad=True)
        use(W).backward(np.ones(np.shape(y)))
        assert W.grad[top].item() != 0 and W.grad.shape == (rows, 1)


@pytest.mark.parametrize("ignore", [-1, 255])
def test_labels_without_a_sign_and_labels_to_ignore(ignore):
    x, labels = np.random.default_rng(0).standard_normal((3, 300)), np.array([0, 250, 255])
    of_ints, of_bytes = (
        tg.value_and_grad(lambda x, ids=labels.astype(kind): tg.softmax_cross_entropy(x, ids, ignore=ignore))(x)
        for kind in (int, np.uint8)
    )
    np.testing.assert_array_equal(of_bytes[0], of_ints[0])
    np.testing.assert_array_equal(of_bytes[1], of_ints[1])


#: What keeps an index, a list or an array, as a function of it and of x (5, 4).
KEEP = {
    "x[i]": (np.array([0, 3]), lambda x, i: x[i]),
    "x[list]": ([0, 3], lambda x, i: x[i]),
    "x[i, j]": (np.array([0, 3]), lambda x, i: x[i, i]),
    "x[mask]": (np.eye(5, 4, dtype=bool), lambda x, i: x[i]),
    "take": (np.array([1, 2]), lambda x, i: np.take(x, i, axis=1)),
    "take of a list": ([1, 2], lambda x, i: np.take(x, i, axis=1)),
    "take_along_axis": (np.zeros((5, 1), int), lambda x, i: np.take_along_axis(x, i, axis=1)),
    "scatter": (np.array([0, 1, 2, 3, 0]), lambda x, i: tg.scatter(x, index=i, shape=(6, 4))),
    "h[i] = x": (np.array([1, 0, 3, 1, 2]), lambda x, i: written(x, i)),
    "roll": ([1, 2], lambda x, i: np.roll(x, i, axis=(0, 1))),
    "repeat": ([1, 2, 0, 3, 1], lambda x, i: np.repeat(x, i, axis=0)),
    "pad": ([[1, 0], [2, 1]], lambda x, i: np.pad(x, i)),
    "transpose": ([1, 0], lambda x, i: np.transpose(x, i)),
    "moveaxis": ([0, 1], lambda x, i: np.moveaxis(x, i, [1, 0])),
    "tensor": (np.array([0, 3]), lambda x, i: x[tg.Tensor(i)]),
}


def written(x: tg.Tensor, index: Any) -> tg.Tensor:
    h = tg.zeros((6, 4), dtype=x.dtype)
    h[index] = x
    return h


@pytest.mark.parametrize("name", KEEP)
def test_an_index_may_be_overwritten_after_it_was_used(name):
    index, use = KEEP[name]
    gradients = []
    for change in (False, True):
        x, i = tg.tensor(np.arange(20.0).reshape(5, 4), requires_grad=True), deepcopy(index)
        y = use(x, i)
        if change and isinstance(i, list):
            i[:] = [1] * len(i)
        elif change:
            i[...] = 2 if i.dtype.kind == "i" else True
        y.backward(np.cos(np.arange(y.size)).reshape(y.shape))
        gradients.append(x.grad)
    np.testing.assert_array_equal(*gradients)


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
