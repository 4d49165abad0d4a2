"""The output layer of a language model, affine and cross-entropy, without the memory for its scores.

The graph is that of ``softmax_cross_entropy(affine(x, w, b), labels)``, with the same rules. Only the scores are never
in memory as a whole: each block of them is computed, turned into eˣ and summed while it is in cache.
"""

from __future__ import annotations

import numpy as np

from ..engine.codegen import record
from ..engine.context import context
from ..engine.tensor import Tensor, value
from ..engine.versions import saveable
from .cross_entropy import _checked, _forward, softmax_cross_entropy
from .linear import _rows, affine


class Deferred:
    """An array that is computed on demand: the scores, for the second derivative."""

    base = None

    def __init__(self, make, made_from, shape, dtype):
        self.make, self.made_from, self.shape, self.dtype, self.ndim = make, made_from, shape, dtype, len(shape)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.make(*self.made_from), dtype=dtype)


def affine_cross_entropy(x, w, b, labels, ignore=-1):
    """``softmax_cross_entropy(affine(x, w, b), labels)``, in less memory and time.

    x (..., H), w (H, V), b (V,), labels (...) integers from 0 to V - 1, or ``ignore`` -> a scalar.
    """
    arrays = [value(operand) for operand in (x, w, b)]
    shapes = [np.shape(operand) for operand in arrays]
    watched = not context.recording or context.observer is not None or np.result_type(*arrays).kind != "f"
    if watched or shapes[1:] != [(*shapes[0][-1:], *shapes[2]), shapes[2]] or len(shapes[2]) != 1:
        return softmax_cross_entropy(affine(x, w, b), labels, ignore=ignore)  # raises the error if there is one
    loss, e, sums = _blockwise(arrays[0], arrays[1], arrays[2], labels, ignore)
    arrays = [saveable(operand, array) for operand, array in zip((x, w, b), arrays)]
    scores = Deferred(affine.spec.forward, tuple(arrays), e.shape, e.dtype)
    names = dict(zip(affine.spec.arguments, arrays))
    edges = [_edge(affine.spec, name, operand, names) for name, operand in zip(names, (x, w, b))]
    scores_tensor = record(affine.spec, (x, w, b), scores, {}, edges)
    if not isinstance(scores_tensor, Tensor):
        return loss
    saved = {"x": scores, "labels": value(labels), "e": e, "sums": sums, "ignore": ignore}
    edges = [_edge(softmax_cross_entropy.spec, "x", scores_tensor, saved), None]
    return record(softmax_cross_entropy.spec, (scores_tensor, labels), loss, {"ignore": ignore}, edges)


def _edge(spec, name, tensor, saved):
    """The edge to an input, with the values that its rule names."""
    rule, node = spec.rules[name], getattr(tensor, "node", None)
    return None if node is None else (node, rule, tuple(saved[key] for key in rule.names))


def _blockwise(x, w, b, labels, ignore):
    """The forward pass of the cross-entropy, whose blocks of scores are products."""
    shape, rows = (*x.shape[:-1], w.shape[1]), _rows(x)
    flat, counts = _checked("affine_cross_entropy", shape, labels, ignore)

    def scores(here, block):
        if narrow:
            block[...] = np.dot(rows[here], w)
        else:
            np.dot(rows[here], w, out=block)
        block += b
        return block

    dtype = np.result_type(x, w, b)
    narrow = np.result_type(x, w) != dtype or x.dtype != w.dtype  # then np.dot cannot write into the block
    return _forward(scores, shape, dtype, flat, counts)
