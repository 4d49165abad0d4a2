"""Softmax and cross-entropy as a single operation: the output layer of a language model, which takes most of its time.

The scores for V = 10000 words are a large array. So the code passes over it as rarely as possible, in blocks of rows
that stay in cache, which several threads share. Forward saves eˣ and the sums of its rows; backward scales eˣ in place,
which gives the gradient. A sum is saved in two parts, the largest term and all others, so that the small loss and
gradient of a row that is sure of its label keep their digits.
"""

from __future__ import annotations

import numpy as np

from ..engine.op import case, op
from ..engine.threads import over_blocks
from ..errors import InvalidIndex, InvalidType, InvalidValue
from .loss import exact_exp, shift, softmax
from .precision import floats, wide

BLOCK = 1 << 18  # elements of a block: 1 MB of float32, which stays in cache


def _classes(labels, shape):
    """Flat labels; the label of a one-hot row is the place of its 1. ``shape`` is that of the scores."""
    labels = np.asarray(labels)
    return (labels.argmax(axis=-1) if labels.shape == shape and labels.size else labels).reshape(-1)


def _checked(where, shape, labels, ignore):
    """Flat labels after checks of shape and range, and which of them count; ``shape`` is that of the scores."""
    labels = np.asarray(labels)
    if not shape:
        raise InvalidValue(f"{where}: the scores are (), should be (..., V), one for each of V classes")
    if labels.shape == shape:
        _check_one_hot(where, labels)
    elif labels.dtype.kind not in "iu":
        raise InvalidType(f"{where}: labels is {labels.dtype}, should be integers")
    elif labels.shape != shape[:-1]:
        raise InvalidValue(f"{where}: labels is {labels.shape}, should be {shape[:-1]} for scores {shape}")
    flat = _classes(labels, shape)
    counts = flat != ignore
    used = flat[counts]
    if used.size and (used.min() < 0 or used.max() >= shape[-1]):
        wrong = used.min() if used.min() < 0 else used.max()
        raise InvalidIndex(
            f"{where}: labels holds {wrong}, should be from 0 to {shape[-1] - 1} (there are {shape[-1]} classes) "
            f"or {ignore} to be ignored"
        )
    return flat, counts


def _check_one_hot(where, labels):
    """Raise InvalidValue unless every row of labels (..., V) has a single 1, and 0 elsewhere."""
    rows = labels.reshape(-1, labels.shape[-1])
    wrong = np.flatnonzero(((rows != 0).sum(axis=-1) != 1) | ((rows == 1).sum(axis=-1) != 1))
    if wrong.size:
        should = "labels as large as the scores should be one-hot: a single 1 in each row, and 0 elsewhere"
        raise InvalidValue(f"{where}: row {wrong[0]} of labels is no one-hot row; {should}")


def _forward(scores, shape, dtype, flat, counts, e=None):
    """The loss, eˣ with the shape of the scores x, and for each row its largest eˣ and the sum of all others.

    ``scores(here, block)`` gives a block of rows. It may use ``block``, that of e, which is overwritten. x is shifted
    in each row, so nothing overflows.
    """
    e, count, wider = np.empty(shape, dtype) if e is None else e, len(flat), np.result_type(wide(dtype.type(0)))
    rows, label = e.reshape(count, shape[-1]), np.where(counts, flat, 0)
    sums, losses = np.empty((2, count), wider), np.zeros(count, wider)

    def block(here):
        with np.errstate(invalid="ignore", over="ignore"):  # ignored rows may hold inf
            x = scores(here, rows[here])
            each, largest = np.arange(len(x)), x.argmax(axis=1)
            top = x[each, largest]
            losses[here] = top - x[each, label[here]]
            c = shift(top, shape[-1])
            np.exp(np.subtract(x, c[:, None], out=rows[here]) if c.any() else x, out=rows[here])
            first = exact_exp(top - c)
            rows[here][each, largest] = 0
            sums[:, here] = first, np.add.reduce(rows[here], axis=1, dtype=wider)
            rows[here][each, largest] = first

    over_blocks(block, count if e.size else 0, max(1, BLOCK // max(shape[-1], 1)))
    counted = np.flatnonzero(counts)
    losses = losses[counted] + np.log1p(sums[1, counted] / sums[0, counted])
    return dtype.type(losses.sum(dtype=np.float64) / max(len(counted), 1)), e, sums


def _finish(dy, labels, e, sums, ignore):
    """The gradient by the scores, dy (e/total - onehot(label)) / count, in the memory of e; 0 in ignored rows."""
    flat = _classes(labels, e.shape)
    counts = flat != ignore
    rows = e.reshape(len(flat), e.shape[-1])
    weight = np.where(counts, wide(dy) / max(np.count_nonzero(counts), 1), 0).astype(sums.dtype)
    counted, (first, others), total = np.flatnonzero(counts), sums, sums[0] + sums[1]
    at_label = (rows[counted, flat[counted]] - first[counted] - others[counted]) / total[counted]  # softmax - 1
    with np.errstate(invalid="ignore"):
        factors = _factors(weight, total)

    def block(here):
        with np.errstate(invalid="ignore"):
            for factor in factors:
                rows[here] *= factor[here, None]

    over_blocks(block, len(flat), max(1, BLOCK // max(e.shape[-1], 1)))
    rows[counted, flat[counted]] = weight[counted] * at_label
    rows[~counts] = 0
    return e


def _factors(weight, total):
    """weight/total, or two factors if the quotient has lost digits."""
    both = weight / total
    lost = (np.abs(both) < np.finfo(both.dtype).tiny) & (weight != 0)
    return [1 / total, weight] if lost.any() else [both]


@op(symbol="softmax\nloss", keeps=["e", "sums"], cases=[
    case((3, 4), np.array([0, 3, 1])), case((2, 3, 4), np.array([[0, -1, 1], [2, 2, -1]])),
    case((3, 4), np.array([-1, -1, -1])), case((4,), np.array(2)), case((2, 3), np.array([5, 1]), ignore=5),
    case((0, 3), np.zeros(0, int)), case((2, 0, 3), np.zeros((2, 0), int)),
    case((2, 3), np.array([2, 0], "u1")), case((3, 3), np.array([2, 255, 0], "u1"), ignore=255),
    case((2, 3), np.eye(3, dtype=int)[[2, 0]]), case((2, 1, 2), np.eye(2, dtype=int)[[[1], [0]]], ignore=0),
    case((2, 3), np.array([[1, 0, 0], [1, 1, 0]]),
         raises="softmax_cross_entropy: row 1 of labels is no one-hot row; labels as large as the scores should be "
                "one-hot: a single 1 in each row, and 0 elsewhere"),
    case((1, 2), np.zeros((1, 2)),
         raises="softmax_cross_entropy: row 0 of labels is no one-hot row; labels as large as the scores should be "
                "one-hot: a single 1 in each row, and 0 elsewhere"),
    case((), np.array(0),
         raises="softmax_cross_entropy: the scores are (), should be (..., V), one for each of V classes"),
    case((2, 3), np.array([3, 0]), raises="softmax_cross_entropy: labels holds 3, should be from 0 to 2 "
                                          "(there are 3 classes) or -1 to be ignored"),
    case((2, 3), np.array([0]), raises="softmax_cross_entropy: labels is (1,), should be (2,) for scores (2, 3)"),
    case((2, 3), np.array([0.0, 1.0]), raises="softmax_cross_entropy: labels is float64, should be integers"),
])  # fmt: skip
def softmax_cross_entropy(x, labels, *, ignore=-1):
    """The mean of -ln softmax(x)[label] over all rows whose label is not ``ignore``; 0 if all are ignored.

    x (..., V) scores, labels (...) integers from 0 to V - 1, or one-hot (..., V).  dx = (softmax(x) - onehot(label)) /
    count, in rows that count.  Finite for any finite scores, whatever stands in ignored rows.
    """
    x = floats(x)
    flat, counts = _checked("softmax_cross_entropy", x.shape, labels, ignore)
    rows = x.reshape(len(flat), x.shape[-1])
    return _forward(lambda here, block: rows[here], x.shape, x.dtype, flat, counts)


@op(numpy=[], cases=[])
def cross_entropy_gradient(dy, x, labels, e, sums, *, ignore=-1):
    """dx of `softmax_cross_entropy`, a function of dy and x that can be differentiated again."""
    return _finish(dy, labels, np.array(e), sums, ignore)


def _unit(x, labels, ignore):
    """onehot(label), and 1/count in rows that count, else 0: the constants of the second derivative."""
    flat = _classes(labels, x.shape)
    counts = flat != ignore
    hot = np.zeros((len(flat), x.shape[-1]), x.dtype)
    hot[np.flatnonzero(counts), flat[counts]] = 1
    weight = (counts / max(np.count_nonzero(counts), 1)).astype(x.dtype)
    return hot.reshape(x.shape), weight.reshape(*x.shape[:-1], 1)


def _by_dy(g, x, labels, ignore):
    hot, weight = _unit(x, labels, ignore)
    return np.sum(g * ((softmax(x) - hot) * weight))


def _by_x(g, dy, x, labels, ignore):
    """The derivative by x of <g, dx>: through the softmax once more."""
    p, g = softmax(x), g * (_unit(x, labels, ignore)[1] * dy)
    return p * (g - np.sum(g * p, axis=-1, keepdims=True))


softmax_cross_entropy.vjp(
    x=lambda dy, x, labels, e, sums, ignore: cross_entropy_gradient(dy, x, labels, e, sums, ignore=ignore)
)
softmax_cross_entropy.spec.cheaper(
    "x", consume_saved=lambda dy, x, labels, e, sums, ignore: _finish(dy, labels, e, sums, ignore)
)
cross_entropy_gradient.vjp(dy=_by_dy, x=_by_x)
