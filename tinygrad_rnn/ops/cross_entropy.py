"""Softmax and cross-entropy in one: the output layer of a language model, where most of its time goes.

Scores for V = 10000 words are large arrays, so both directions work through blocks of rows that stay in cache, in two
threads (NumPy lets go of the interpreter inside a block), and nothing but the log of each row's sum is kept.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..op import case, op

BLOCK = 1 << 17  # elements in one block: half a megabyte of float32
MANY = 1 << 20  # from so many elements on, threads pay


def _over_blocks(work, rows, columns):
    """Call work(start, stop) for blocks of rows that cover range(rows)."""
    step = max(1, BLOCK // max(columns, 1))
    starts = range(0, rows, step)
    if rows * columns < MANY:
        for start in starts:
            work(start, min(start + step, rows))
        return
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        list(pool.map(lambda start: work(start, min(start + step, rows)), starts))


def _checked(x, labels, ignore):
    """labels as integers of the right shape and range, flat, and which of them count."""
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"softmax_cross_entropy: labels is {labels.dtype}, should be integers")
    if labels.shape != x.shape[:-1]:
        raise ValueError(
            f"softmax_cross_entropy: labels is {labels.shape}, should be {x.shape[:-1]} for x {x.shape}"
        )
    flat = labels.reshape(-1)
    counts = flat != ignore
    used = flat[counts]
    classes = x.shape[-1]
    if used.size and not (0 <= used.min() and used.max() < classes):
        wrong = used.min() if used.min() < 0 else used.max()
        raise IndexError(
            f"softmax_cross_entropy: labels holds {wrong}, should be from 0 to {classes - 1} "
            f"(x has {classes} classes) or {ignore} to be ignored"
        )
    return flat, counts


@op(symbol="softmax\nloss", keeps=["lse"], cases=[
    case((3, 4), np.array([0, 3, 1])), case((2, 3, 4), np.array([[0, -1, 1], [2, 2, -1]])),
    case((3, 4), np.array([-1, -1, -1])), case((4,), np.array(2)), case((2, 3), np.array([5, 1]), ignore=5),
    case((2, 3), np.array([3, 0]), raises="softmax_cross_entropy: labels holds 3, should be from 0 to 2 "
                                          "(x has 3 classes) or -1 to be ignored"),
    case((2, 3), np.array([0]), raises="softmax_cross_entropy: labels is (1,), should be (2,) for x (2, 3)"),
])  # fmt: skip
def softmax_cross_entropy(x, labels, *, ignore=-1):
    """The mean of -ln softmax(x)[label] over all rows whose label is not ``ignore``; 0 if all are ignored.

    x (..., V) scores, labels (...) integers from 0 to V - 1.  dx = (softmax(x) - onehot(label)) / count, in rows that
    count.  Finite for any finite scores, whatever stands in ignored rows.
    """
    flat, counts = _checked(x, labels, ignore)
    rows = x.reshape(-1, x.shape[-1])
    lse, picked = np.empty(len(rows), x.dtype), np.zeros(len(rows), x.dtype)

    def work(start, stop):
        block = rows[start:stop]
        top = block.max(axis=1, keepdims=True)
        scratch = block - top
        np.exp(scratch, out=scratch)
        lse[start:stop] = np.log(scratch.sum(axis=1)) + top[:, 0]

    with np.errstate(invalid="ignore"):  # ignored rows may hold inf
        _over_blocks(work, *rows.shape)
    kept = np.flatnonzero(counts)
    picked[kept] = lse[kept] - rows[kept, flat[kept]]
    return x.dtype.type(picked.sum(dtype=np.float64) / max(len(kept), 1)), lse


@op(numpy=[], cases=[])
def cross_entropy_gradient(dy, x, labels, lse, *, ignore=-1):
    """dx of `softmax_cross_entropy`: dy (softmax(x) - onehot(label)) / count, 0 in ignored rows.  One pass over x."""
    flat, counts = _checked(x, labels, ignore)
    rows = x.reshape(-1, x.shape[-1])
    dx = np.empty_like(rows)
    scale = x.dtype.type(dy / max(np.count_nonzero(counts), 1))

    def work(start, stop):
        block, here = dx[start:stop], slice(start, stop)
        np.subtract(rows[here], lse[here, None], out=block)
        np.exp(block, out=block)
        block[np.arange(stop - start), np.where(counts[here], flat[here], 0)] -= 1
        block *= scale

    with np.errstate(invalid="ignore", over="ignore"):
        _over_blocks(work, *rows.shape)
    dx[~counts] = 0
    return dx.reshape(x.shape)


def _weights(x, labels, ignore):
    """1/count in rows that count, else 0, and the one-hot labels: constants of the second derivative."""
    flat, counts = _checked(x, labels, ignore)
    hot = np.zeros((len(flat), x.shape[-1]), x.dtype)
    hot[np.flatnonzero(counts), flat[counts]] = 1
    weight = (counts / max(np.count_nonzero(counts), 1)).astype(x.dtype)
    return hot.reshape(x.shape), weight.reshape(*x.shape[:-1], 1)


def _second(g, dy, x, labels, ignore):
    """The derivative by x of <g, dx>: through the softmax once more."""
    from .loss import softmax

    _, weight = _weights(x, labels, ignore)
    p, g = softmax(x), g * (weight * dy)
    return p * (g - np.sum(g * p, axis=-1, keepdims=True))


def _by_dy(g, x, labels, ignore):
    from .loss import softmax

    hot, weight = _weights(x, labels, ignore)
    return np.sum(g * ((softmax(x) - hot) * weight))


softmax_cross_entropy.vjp(
    x=lambda dy, x, labels, lse, ignore: cross_entropy_gradient(dy, x, labels, lse, ignore=ignore)
)
cross_entropy_gradient.vjp(x=_second, dy=_by_dy)
