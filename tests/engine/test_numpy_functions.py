"""NumPy's functions on Tensors: what has a gradient gives a Tensor, what has none a plain result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.numpy_protocol import A, B, leaf, name_of
from tinygrad_rnn.engine.numpy_protocol import UFUNCS

BINARY = sorted((f for f in UFUNCS if isinstance(f, np.ufunc) and f.nin == 2), key=lambda f: f.__name__)
UNARY = sorted((f for f in UFUNCS if isinstance(f, np.ufunc) and f.nin == 1), key=lambda f: f.__name__)


def values(x: Any) -> Any:
    return x.numpy() if isinstance(x, tg.Tensor) else x


def has_gradient(y: Any) -> bool:
    return isinstance(y, tg.Tensor) and y.requires_grad


# -- both operand orders ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ufunc", BINARY, ids=name_of)
@pytest.mark.parametrize("other", [B, 0.7, np.float64(0.7), B.tolist()], ids=["array", "float", "np.float64", "list"])
def test_ufunc_of_two_in_both_orders(ufunc, other):
    other = B if ufunc.signature and np.ndim(other) == 0 else other
    for left, right in ((leaf(A), other), (other, leaf(A)), (leaf(A), tg.tensor(other))):
        y, plain = ufunc(left, right), ufunc(values(left), values(right))
        assert has_gradient(y) or not isinstance(y, tg.Tensor)
        np.testing.assert_allclose(np.asarray(tg.detach(y)), plain, rtol=1e-14)


@pytest.mark.parametrize("ufunc", UNARY, ids=name_of)
def test_ufunc_of_one(ufunc):
    x = A + 1 if ufunc is np.arccosh else A
    y = ufunc(leaf(x))
    assert has_gradient(y) or y.dtype == bool
    np.testing.assert_array_equal(np.asarray(tg.detach(y)), ufunc(x))


PYTHON = [lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b, lambda a, b: a @ b,
          lambda a, b: a**b, lambda a, b: a % b]  # fmt: skip


@pytest.mark.parametrize("f", PYTHON)
def test_operators_of_arrays_and_tensors(f):
    for a, b in ((leaf(A), B), (A, leaf(B)), (leaf(A), leaf(B)), (leaf(A), B.tolist()), (A.tolist(), leaf(B))):
        y = f(a, b)
        assert has_gradient(y)
        np.testing.assert_allclose(y.numpy(), f(A, B))


# -- NumPy's functions, as people call them --------------------------------------------------------------------------

CALLS: dict[str, Any] = {
    "concatenate": lambda x: np.concatenate([x, B, x]),
    "concatenate a tuple, axis by position": lambda x: np.concatenate((B, x), 1),
    "concatenate flat": lambda x: np.concatenate((B, x), axis=None),
    "concat": lambda x: np.concat([x, B], axis=-1),
    "stack": lambda x: np.stack([B, x], axis=1),
    "concatenate one": lambda x: np.concatenate(x),
    "concatenate one, axis by position": lambda x: np.concatenate(x.reshape(3, 3, 1), 1),
    "stack one": lambda x: np.stack(x, axis=1),
    "vstack one": lambda x: np.vstack(x),
    "hstack one": lambda x: np.hstack(x.reshape(3, 1, 3)),
    "hstack one, vectors": lambda x: np.hstack(x),
    "dstack one": lambda x: np.dstack(x),
    "column_stack one": lambda x: np.column_stack(x),
    "block": lambda x: np.block([[x, B], [B, 2 * x]]),
    "block of vectors and numbers": lambda x: np.block([x[0], 2.0, x[1, 1], B[0]]),
    "block of one": lambda x: np.block(x),
    "block, deeper": lambda x: np.block([[[x, B]], [[B, x]]]),
    "vstack": lambda x: np.vstack([B, x]),
    "hstack": lambda x: np.hstack([B, x]),
    "dstack": lambda x: np.dstack([B, x]),
    "column_stack": lambda x: np.column_stack([B[0], x]),
    "append": lambda x: np.append(B, x, axis=0),
    "where": lambda x: np.where(B > 0.7, x, B),
    "where, number": lambda x: np.where(x > 0.7, x, 0.0),
    "dot": lambda x: np.dot(B, x),
    "inner": lambda x: np.inner(B, x),
    "outer": lambda x: np.outer(B[0], x[0]),
    "vdot": lambda x: np.vdot(B, x),
    "matmul": lambda x: np.matmul(B, x),
    "tensordot": lambda x: np.tensordot(B, x, axes=([1], [0])),
    "einsum": lambda x: np.einsum("ij,jk->ik", B, x),
    "einsum of lists": lambda x: np.einsum(B, [0, 1], x, [1, 2], [2]),
    "einsum, optimize": lambda x: np.einsum("ij,jk", x, B, optimize=True),
    "kron": lambda x: np.kron(B, x),
    "trace": lambda x: np.trace(x),
    "norm": lambda x: np.linalg.norm(x),
    "norm, axis": lambda x: np.linalg.norm(x, axis=1, keepdims=True),
    "norm, by position": lambda x: np.linalg.norm(x, 1, 0),
    "sum": lambda x: np.sum(x),
    "sum, axis by position": lambda x: np.sum(x, 0),
    "sum, keywords": lambda x: np.sum(x, axis=0, keepdims=True),
    "sum, axes": lambda x: np.sum(x, axis=(0, 1)),
    "mean": lambda x: np.mean(x, 1),
    "var": lambda x: np.var(x, axis=0, ddof=1),
    "std": lambda x: np.std(x, axis=0),
    "prod": lambda x: np.prod(x, -1),
    "max": lambda x: np.max(x, axis=1, keepdims=True),
    "amin": lambda x: np.amin(x, 0),
    "ptp": lambda x: np.ptp(x, axis=0),
    "cumsum": lambda x: np.cumsum(x, 1),
    "diff": lambda x: np.diff(x, axis=0),
    "sort": lambda x: np.sort(x),
    "sort, flat": lambda x: np.sort(x, axis=None),
    "clip": lambda x: np.clip(x, 0.6, 0.8),
    "clip, keywords": lambda x: np.clip(x, a_min=0.6, a_max=None),
    "clip, bounds": lambda x: np.clip(B, x, 0.8),
    "abs": lambda x: np.absolute(x),
    "add.reduce": lambda x: np.add.reduce(x),
    "add.reduce, axis": lambda x: np.add.reduce(x, axis=1, keepdims=True),
    "maximum.reduce": lambda x: np.maximum.reduce(x, 1),
    "logaddexp.reduce": lambda x: np.logaddexp.reduce(x),
    "add.accumulate": lambda x: np.add.accumulate(x),
    "subtract.outer": lambda x: np.subtract.outer(x, B[0]),
    "multiply.outer": lambda x: np.multiply.outer(B, x),
    "reshape": lambda x: np.reshape(x, (1, 9)),
    "transpose": lambda x: np.transpose(x, (1, 0)),
    "matrix_transpose": lambda x: np.matrix_transpose(x),
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "moveaxis": lambda x: np.moveaxis(x, 0, -1),
    "expand_dims": lambda x: np.expand_dims(x, 0),
    "squeeze": lambda x: np.squeeze(x[:1]),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 3, 3)),
    "broadcast_arrays": lambda x: np.broadcast_arrays(B[0], x)[1],
    "atleast_3d": lambda x: np.atleast_3d(x),
    "ravel": lambda x: np.ravel(x),
    "split": lambda x: np.split(x, 3)[1],
    "split, axis": lambda x: np.split(x, [1], axis=1)[1],
    "array_split": lambda x: np.array_split(x, 2)[0],
    "hsplit": lambda x: np.hsplit(x, 3)[2],
    "vsplit": lambda x: np.vsplit(x, 3)[2],
    "flip": lambda x: np.flip(x, 0),
    "fliplr": lambda x: np.fliplr(x),
    "flipud": lambda x: np.flipud(x),
    "rot90": lambda x: np.rot90(x),
    "roll": lambda x: np.roll(x, 1, axis=0),
    "pad": lambda x: np.pad(x, ((1, 0), (0, 2))),
    "repeat": lambda x: np.repeat(x, 2, axis=0),
    "tile": lambda x: np.tile(x, (2, 1)),
    "take": lambda x: np.take(x, [2, 0], axis=1),
    "take_along_axis": lambda x: np.take_along_axis(x, np.argsort(x, axis=1), axis=1),
    "diag": lambda x: np.diag(x, 1),
    "diagonal": lambda x: np.diagonal(x),
    "tril": lambda x: np.tril(x),
    "triu": lambda x: np.triu(x, 1),
    "copy": lambda x: np.copy(x),
    "kron of two ranks": lambda x: np.kron(x, B[0]),
    "cross": lambda x: np.cross(B, x),
    "cross, axis": lambda x: np.cross(x, B, axis=0),
    "dsplit": lambda x: np.dsplit(x[None], 3)[1],
    "rollaxis": lambda x: np.rollaxis(x[None], 2, 1),
    "select": lambda x: np.select([B > 0.8, B > 0.6], [x, 2 * x], 0.5),
    "partition": lambda x: np.partition(x, 1)[:, 1],
    "nan_to_num": lambda x: np.nan_to_num(x),
    "linspace": lambda x: np.linspace(B[0], x[0], 4),
    "linspace, start": lambda x: np.linspace(x[0, 0], 1.0, 3, endpoint=False),
    "gradient": lambda x: np.gradient(x)[1],
    "gradient, axis": lambda x: np.gradient(x, 0.5, axis=0),
    "sinc": lambda x: np.sinc(x),
    "norm of order 3": lambda x: np.linalg.norm(x, 3, axis=1),
    "full_like": lambda x: np.full_like(x, x[0, 1]),
    "full_like, shape": lambda x: np.full_like(x, x[0], shape=(2, 3)),
    "bincount": lambda x: np.bincount([0, 3, 3], x[1]),
    "bincount, keywords": lambda x: np.bincount(np.array([0, 3, 3]), weights=x[1], minlength=6),
    "astype": lambda x: np.astype(x, np.float64),
    "methods": lambda x: x.reshape(9).sum() + x.reshape((3, 3)).T.mean(0).max() + x.mT.std(axis=0).clip(0, 1),
}
if np.lib.NumpyVersion(np.__version__) >= "2.1.0":  # keywords that NumPy 2.0 does not have
    CALLS["clip, new keywords"] = lambda x: np.clip(x, min=0.6, max=0.8)
    CALLS["reshape, new keyword"] = lambda x: np.reshape(x, shape=(1, 9))


@pytest.mark.parametrize("f", CALLS.values(), ids=CALLS)
def test_function_of_numpy_gives_its_value_and_a_gradient(f):
    y, pull = tg.vjp(f, A)
    np.testing.assert_allclose(y, f(A), rtol=1e-13)
    v, h = B - 0.7, 1e-6
    expected = np.sum((np.asarray(f(A + h * v)) - np.asarray(f(A - h * v))) / (2 * h))
    np.testing.assert_allclose(np.sum(pull(np.ones(np.shape(y)))[0] * v), expected, rtol=1e-7, atol=1e-9)
    assert has_gradient(f(leaf(A)))


@pytest.mark.parametrize("name", ["concatenate", "stack", "vstack", "hstack", "dstack", "column_stack"])
def test_one_array_alone_may_be_meant_in_two_ways(name):
    """``np.hstack(x)`` joins the parts of x; ``hstack(*xs)`` of one array would be that array."""
    with pytest.raises(TypeError) as caught:
        getattr(tg, name)(leaf(A))
    assert str(caught.value) == (
        f"{name}: got one array (3, 3), should be a list of arrays: {name}([x]) for x alone, {name}(list(x)) "
        "for its parts along the first axis, as NumPy's"
    )
    join = getattr(tg, name)
    np.testing.assert_array_equal(join([leaf(A)]).numpy(), getattr(np, name)([A]))
    np.testing.assert_array_equal(join(list(leaf(A))).numpy(), getattr(np, name)(A))


def test_of_what_numpy_answers_from_a_tensor_only_values_are_tensors():
    """The shape to fill is no value, the value that it is filled with is; unique values would lose their gradient."""
    assert np.full_like(leaf(A), 2.0).tolist() == np.full_like(A, 2.0).tolist()
    assert np.full_like(leaf(A), leaf(0.5), dtype=np.float32).dtype == np.float32
    assert np.bincount(tg.tensor([0, 2])).tolist() == [1, 0, 1]
    assert np.bincount([0, 2], weights=leaf(A[0, :2].astype("f"))).dtype == np.float64
    np.testing.assert_array_equal(np.unique(tg.tensor([2.0, 1.0, 2.0])), [1, 2])
    with pytest.raises(TypeError) as caught:
        np.unique(leaf(A))
    text = "np.unique has no operation on Tensors that need a gradient; np.unique(x.detach()) has none"
    assert str(caught.value) == text


PLAIN = [np.shape, np.ndim, np.size, np.zeros_like, np.ones_like, np.argmax, np.argsort, np.isnan, np.isfinite, np.any,
         np.array2string, np.nonzero, np.round, np.flatnonzero]  # fmt: skip


@pytest.mark.parametrize("f", PLAIN, ids=name_of)
def test_functions_of_shape_and_order_give_plain_results(f):
    y, plain = f(leaf(A)), f(A)
    assert isinstance(y, type(plain))
    np.testing.assert_array_equal(y, plain)
