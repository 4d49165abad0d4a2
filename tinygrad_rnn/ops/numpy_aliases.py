"""NumPy functions on Tensors with other names or defaults than ours, or with results that have no gradient."""

from __future__ import annotations

from string import ascii_lowercase, ascii_uppercase

import numpy as np

from ..engine.numpy_protocol import ELSEWHERE, FUNCTIONS, INSTEAD, UFUNCS
from ..engine.tensor import Tensor, value
from ..errors import InvalidType
from . import activation, composed, elementwise, gaussian, index, join_split, linear, loss, reduce, shaping
from .einsum import einsum as einsum_of

#: Functions whose result has no gradient: it is a shape, an order or a truth value.
PLAIN = """
    shape ndim size zeros_like ones_like empty_like argmax argmin argsort argwhere nonzero flatnonzero
    argpartition count_nonzero any all array_equal array_equiv allclose isclose result_type can_cast may_share_memory
    shares_memory array2string array_repr array_str round around searchsorted digitize iscomplexobj
    isrealobj
"""
#: Functions that write into an array, which has no gradient.
WRITING = "copyto place put putmask put_along_axis fill_diagonal"
PLAIN_UFUNCS = """
    less less_equal greater greater_equal equal not_equal isnan isinf isfinite signbit logical_and logical_or
    logical_not logical_xor floor_divide
"""


def _plain(function):
    """``function`` on the arrays in its arguments."""

    def apply(*args, **kwargs):
        return function(*_arrays(args), **{name: _arrays(option) for name, option in kwargs.items()})

    return apply


def _arrays(x):
    if isinstance(x, (tuple, list)):
        return type(x)(_arrays(part) for part in x)
    return value(x)


def _writing(name):
    """A function that takes no Tensor, neither as the value to write nor as the array."""

    def apply(*args, **kwargs):
        raise InvalidType(f"np.{name}: a Tensor can't be written into an array; {INSTEAD}")

    return apply


for _name in WRITING.split():
    FUNCTIONS[getattr(np, _name)] = _writing(_name)
for _name in PLAIN.split():
    FUNCTIONS[getattr(np, _name)] = _plain(getattr(np, _name))
for _name in PLAIN_UFUNCS.split():
    UFUNCS[getattr(np, _name)] = _plain(getattr(np, _name))


def clip(x, a_min=None, a_max=None, *, min=None, max=None):
    """``np.clip``, whose bounds may be Tensors: then it is `minimum` and `maximum`."""
    low, high = a_min if min is None else min, a_max if max is None else max
    if not any(isinstance(bound, Tensor) for bound in (low, high)):
        return elementwise.clip(x, min=low, max=high)
    x = x if low is None else elementwise.maximum(x, low)
    return x if high is None else elementwise.minimum(x, high)


def full_like(a, fill_value, dtype=None, order="K", subok=True, shape=None):
    """``np.full_like``: the value stretched."""
    a = value(a)
    if not isinstance(fill_value, Tensor):
        return np.full_like(a, fill_value, dtype, order, subok, shape)
    filled = shaping.broadcast_to(fill_value, shape=np.shape(a) if shape is None else shape)
    return filled.astype(np.asarray(a).dtype if dtype is None else dtype)


def bincount(x, /, weights=None, minlength=0):
    """``np.bincount``: weights summed by their number in x."""
    x = value(x)
    counts = np.bincount(x, value(weights), minlength)  # np.bincount checks them
    if not isinstance(weights, Tensor):
        return counts
    return index.scatter(weights.astype(counts.dtype), index=np.asarray(x), shape=counts.shape)


def unique(x, *args, **kwargs):
    """``np.unique``: its values are elements of x, so their gradient would be lost."""
    if getattr(x, "node", None) is not None:
        raise InvalidType("np.unique has no operation on Tensors that need a gradient; np.unique(x.detach()) has none")
    return np.unique(value(x), *args, **kwargs)


def ptp(x, axis=None, keepdims=False):
    """``np.ptp``: the largest minus the smallest."""
    return reduce.max(x, axis=axis, keepdims=keepdims) - reduce.min(x, axis=axis, keepdims=keepdims)


def vecdot(x, w):
    """``np.vecdot``: the products of vectors in the last axis."""
    return reduce.sum(x * w, axis=-1)


def matrix_transpose(x):
    """``np.matrix_transpose``: the last two axes exchanged."""
    return shaping.swapaxes(x, axis1=-1, axis2=-2)


def broadcast_arrays(*xs):
    """``np.broadcast_arrays``: all stretched to one shape."""
    shape = np.broadcast_shapes(*map(np.shape, xs))
    return tuple(shaping.broadcast_to(x, shape=shape) for x in xs)


def _letters(labels):
    """Integer labels as the letters that NumPy uses for them."""
    return "".join("..." if label is Ellipsis else (ascii_uppercase + ascii_lowercase)[label] for label in labels)


def einsum(subscripts, *xs, optimize=None):
    """``np.einsum``; ``optimize`` only sets the order of products, so it is ignored.

    Lists of integer labels, ``einsum(x, [0, 1], w, [1, 2], [0, 2])``, are written as letters.
    """
    if not isinstance(subscripts, str):
        operands = (subscripts, *xs)
        result = ["->", _letters(operands[-1])] if len(operands) % 2 else []
        xs, labels = operands[: len(operands) // 2 * 2 : 2], operands[1::2]
        subscripts = "".join([",".join(map(_letters, labels)), *result])
    return einsum_of(*xs, subscripts=subscripts)


def _of_sequence(function):
    """A function that joins arrays, as NumPy calls it: a single array is a sequence along its first axis."""
    return lambda xs, *args, **kwargs: function(list(xs), *args, **kwargs)


def accumulate(x, axis=0):
    """``np.add.accumulate``."""
    return reduce.cumsum(x, axis=axis)


def _reduced(function):
    """``np.add.reduce`` and the like, along axis 0 by default."""

    def apply(x, axis=0, keepdims=False):
        return function(x, axis=axis, keepdims=keepdims)

    return apply


def _outer(function):
    """``np.add.outer`` and the like."""
    return lambda x, w: function(shaping.reshape(x, shape=np.shape(x) + (1,) * np.ndim(w)), w)


for _name in ("concatenate", "stack", "vstack", "hstack", "dstack", "column_stack"):
    FUNCTIONS[getattr(np, _name)] = _of_sequence(getattr(join_split, _name))
FUNCTIONS.update({
    np.block: join_split.block,
    np.select: composed.select,
    np.full_like: full_like,
    np.bincount: bincount,
    np.unique: unique,
    np.clip: clip,
    np.ptp: ptp,
    np.einsum: einsum,
    np.matrix_transpose: matrix_transpose,
    np.linalg.matrix_transpose: matrix_transpose,
    np.broadcast_arrays: broadcast_arrays,
    np.vdot: lambda x, w: linear.dot(shaping.ravel(x), shaping.ravel(w)),
    np.split: lambda x, indices_or_sections, axis=0: join_split.split(x, indices_or_sections, axis),
})  # fmt: skip
UFUNCS.update({
    "expit": activation.sigmoid,  # of scipy.special
    "erf": gaussian.erf,
    (np.add, "reduce"): _reduced(reduce.sum),
    (np.multiply, "reduce"): _reduced(reduce.prod),
    (np.maximum, "reduce"): _reduced(reduce.max),
    (np.minimum, "reduce"): _reduced(reduce.min),
    (np.logaddexp, "reduce"): _reduced(loss.logsumexp),
    (np.add, "accumulate"): accumulate,
    np.vecdot: vecdot,
})  # fmt: skip
if hasattr(np, "matvec"):  # from NumPy 2.2 on
    UFUNCS[np.matvec] = lambda x, w: linear.matmul(x, shaping.expand_dims(w, axis=-1))[..., 0]
    UFUNCS[np.vecmat] = lambda x, w: linear.matmul(shaping.expand_dims(x, axis=-2), w)[..., 0, :]
UFUNCS.update({
    (ufunc, "outer"): _outer(function)
    for ufunc, function in UFUNCS.items()
    if isinstance(ufunc, np.ufunc) and ufunc.nin == 2 and ufunc.signature is None
})  # fmt: skip
ELSEWHERE.update({
    name: f"scipy.special.{name} has no operation on Tensors; write tinygrad_rnn.{name}(x, axis=...)"
    for name in ("softmax", "log_softmax", "logsumexp")
})  # fmt: skip
