"""The output layer of a language model, affine and cross-entropy, without the memory for its scores.

The graph is that of ``softmax_cross_entropy(affine(x, w, b), labels)``, with the same rules. Only the scores are not
saved: one product computes them, and block after block they are turned into eˣ in place and summed while in cache.
"""

from __future__ import annotations

import numpy as np

from ..engine.codegen import record
from ..engine.context import context
from ..engine.op import OpRule
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

    x (..., H), w (H, V), b (V,), labels (...) integers from 0 to V - 1, or ``ignore`` -> a scalar. One array of the
    size of the scores is allocated: they, eˣ and the gradient by the scores follow each other in it.
    """
    arrays = [value(operand) for operand in (x, w, b)]
    shapes = [np.shape(operand) for operand in arrays]
    watched = context.observer is not None or np.result_type(*arrays).kind != "f"
    if watched or shapes[1:] != [(*shapes[0][-1:], *shapes[2]), shapes[2]] or len(shapes[2]) != 1:
        return softmax_cross_entropy(affine(x, w, b), labels, ignore=ignore)  # raises the error if there is one
    x_array, w_array, b_array = map(np.asarray, arrays)
    loss, e, sums = _in_place(x_array, w_array, b_array, labels, ignore)
    if not context.recording:
        return record(softmax_cross_entropy.spec, (x, w, b, labels), loss, {"ignore": ignore}, ())
    arrays = [saveable(operand, array) for operand, array in zip((x, w, b), arrays)]
    scores = Deferred(affine.spec.forward, tuple(arrays), e.shape, e.dtype)
    names = dict(zip(affine.spec.arguments, arrays))
    rules = affine.spec.rules | ({"w": _TRANSPOSED} if arrays[1].flags.f_contiguous else {})
    edges = [_edge(rules[name], operand, names) for name, operand in zip(names, (x, w, b))]
    scores_tensor = record(affine.spec, (x, w, b), scores, {}, edges)
    if not isinstance(scores_tensor, Tensor):
        return loss
    saved = {"x": scores, "labels": value(labels), "e": e, "sums": sums, "ignore": ignore}
    edges = [_edge(softmax_cross_entropy.spec.rules["x"], scores_tensor, saved), None]
    return record(softmax_cross_entropy.spec, (scores_tensor, labels), loss, {"ignore": ignore}, edges)


#: The rule of affine for a w that is a transposed matrix: dw in the layout of w, which the matrix can take as it is.
_TRANSPOSED = OpRule(affine.spec, "w", lambda dy, x: np.matmul(_rows(dy).T, _rows(x)).T)


def _edge(rule, tensor, saved):
    """The edge to an input, with the values that its rule names."""
    node = getattr(tensor, "node", None)
    return None if node is None else (node, rule, tuple(saved[key] for key in rule.names))


def _in_place(x, w, b, labels, ignore):
    """The forward pass of the cross-entropy, with one product for all scores, in the memory of eˣ."""
    shape, rows, dtype = (*x.shape[:-1], w.shape[1]), _rows(x), np.result_type(x, w, b)
    flat, counts = _checked("affine_cross_entropy", shape, labels, ignore)
    e = np.empty((len(rows), shape[-1]), dtype)
    if np.result_type(x, w) == dtype and x.dtype == w.dtype:
        np.dot(rows, w, out=e)
    else:  # np.dot cannot write into a wider array
        e[...] = np.dot(rows, w)

    def scores(here, block):
        block += b
        return block

    return _forward(scores, shape, dtype, flat, counts, e.reshape(shape))
