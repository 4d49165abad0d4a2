"""Function transforms: grad, vjp, jvp, jacobian, hessian and hvp.

Each runs the user's function on new Tensors. So no ``.grad`` changes, the function may change its inputs in place, and
calls nest. Inputs may be arrays, Tensors, or tuples, lists and dicts of them; for arrays only, the results are arrays.
A gradient is itself recorded (its rules run on Tensors) if its derivative may be needed: inside another transform, if
an input is a Tensor that needs a gradient, or if the function uses another Tensor that needs a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any

import numpy as np

from ..errors import InvalidType, InvalidValue
from .graph import Node, context
from .linearize import Linearized, called, dtype_of, likeness, pull
from .pytree import flatten, matched
from .tensor import Tensor, make, value


def _positions(where: str, f: Callable[..., Any], argnums: Any, count: int) -> list[int]:
    """The arguments that ``argnums`` names, counted from 0; each must exist and be named once."""
    numbers = list(argnums) if isinstance(argnums, (tuple, list)) else [argnums]
    for k in numbers:
        if isinstance(k, (bool, np.bool_)) or not isinstance(k, (int, np.integer)):
            raise InvalidType(
                f"{where}: argnums is {argnums!r}, should be the number of an argument, or a tuple of them"
            )
        if not -count <= k < count:
            raise InvalidValue(f"{where}: argnums is {argnums}, {called(f)} got {count} arguments")
    picked = [int(k) % count for k in numbers]
    if len(dict.fromkeys(picked)) < len(picked):
        raise InvalidValue(f"{where}: argnums is {argnums}, should name each of the {count} arguments once at most")
    return picked


def _cotangents(like: Any, dy: Any, where: str, reason: str) -> list[Any]:
    """The leaves of dy as Tensors, each with the shape and the dtype of its counterpart."""
    ys = flatten(like)[0]
    return [_cotangent(name, y, leaf, reason) for y, (name, leaf) in zip(ys, matched(like, dy, where, reason))]


def _cotangent(where: str, y: Any, dy: Any, reason: str) -> Any:
    if y is None or y.dtype.kind not in "fiub":
        return dy
    array = np.asarray(value(dy))
    if array.dtype.kind not in "fiub":
        raise InvalidType(f"{where} is {array.dtype}, should be {y.dtype} {reason}")
    if array.shape != y.shape:
        raise InvalidValue(f"{where} is {array.shape}, should be {y.shape} {reason}")
    if isinstance(dy, Tensor):
        return dy if dy.dtype == y.dtype else dy.astype(y.dtype)
    return make(array.astype(y.dtype), None)


# -- the public forms ------------------------------------------------------------------------------------------------


def vjp(f: Callable[..., Any], *xs: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """``y, pull = vjp(f, *xs)``: the value, and the function that takes dy to the gradients ``(dx, ...)``.

    ``pull(dy)`` is dy times the Jacobian: dy has y's shape and structure (dicts match by key), each result its input's.
    """
    run = Linearized("vjp", f, xs, range(len(xs)))

    def pulled(dy: Any) -> tuple[Any, ...]:
        dys = _cotangents(run.like, dy, "vjp: dy", "as the output is")
        deep = run.deep or context.transforms > 0 or any(getattr(dy, "node", None) is not None for dy in dys)
        return run.grouped(run.gradients(dys, deep), deep)

    return run.value(), pulled


def value_and_grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., tuple[Any, Any]]:
    """``value_and_grad(f)(*args) = (f(*args), gradient)``, the gradient by the argument(s) ``argnums``.

    f returns a single number; keyword arguments are passed to it unchanged. A gradient has the shape, dtype and
    structure of its argument, and is zero if f does not depend on it. An integer argument raises TypeError, because
    it has no gradient. A None in an argument is passed to f, and its gradient is None.
    """

    @wraps(f, updated=())
    def differentiated(*args: Any, **options: Any) -> tuple[Any, Any]:
        run = Linearized("grad", f, args, _positions("grad", f, argnums, len(args)), options)
        y = run.number()
        seed = make(np.ones(np.shape(value(y)), dtype_of(y)), None)
        gradients = run.grouped(run.gradients([seed], run.deep, retain=False), run.deep)
        return y, gradients if isinstance(argnums, (tuple, list)) else gradients[0]

    return differentiated


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """``grad(f)(*args)``: the gradient of f by its argument(s) ``argnums``; see `value_and_grad`."""
    both = value_and_grad(f, argnums)
    return wraps(f, updated=())(lambda *args, **options: both(*args, **options)[1])


def jvp(f: Callable[..., Any], xs: Sequence[Any], vs: Sequence[Any]) -> tuple[Any, Any]:
    """``y, dy = jvp(f, xs, vs)``: the value at ``f(*xs)`` and its derivative in the direction ``vs``.

    A direction has the structure of its input; dicts match by key.
    """
    return _jvp("jvp", f, xs, vs)


def _jvp(where: str, f: Callable[..., Any], xs: Any, vs: Any) -> tuple[Any, Any]:
    for name, tree in {"xs": xs, "vs": vs}.items():
        if not isinstance(tree, (tuple, list)):
            kind = type(tree).__name__
            raise InvalidType(f"{where}: {name} is a {kind}, should be a tuple of arguments: {where}(f, (x,), (v,))")
    if len(xs) != len(vs):
        raise InvalidValue(f"{where}: {len(xs)} inputs but {len(vs)} directions")
    run = Linearized(where, f, xs, range(len(xs)))
    like = [likeness(leaves, build) for leaves, build in run.build]
    directions = _cotangents(like, list(vs), f"{where}: vs", "as the input is")
    deep = run.deep or any(getattr(v, "node", None) is not None for v in directions)
    us, pulled = run.transposed()
    dys = pull(pulled, directions, us, deep, retain=False)
    return run.value(), run.build_y([_no_slope(y) if dy is None else run.out(dy, deep) for dy, y in zip(dys, run.ys)])


def _no_slope(y: Any) -> Any:
    """The derivative of an output that is not floating: zeros, if it is numeric."""
    if dtype_of(y).kind not in "iub":
        return None
    return make(np.zeros_like(value(y)), None) if isinstance(y, Tensor) else np.zeros_like(y)


def jacobian(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """``jacobian(f)(*args)``: all derivatives of f's output by one argument, shape ``y.shape + x.shape``."""
    return _jacobian("jacobian", f, argnums)


def _jacobian(where: str, f: Callable[..., Any], argnums: int) -> Callable[..., Any]:
    @wraps(f, updated=())
    def differentiated(*args: Any, **options: Any) -> Any:
        if isinstance(argnums, (tuple, list)):
            raise InvalidType(f"{where}: argnums is {argnums!r}, should be the number of one argument")
        run = Linearized(where, f, args, _positions(where, f, argnums, len(args)), options)
        if len(run.roots) != 1 or len(run.leaves) != 1 or run.leaves[0] is None:
            raise InvalidValue(f"{where}: takes one array and gives one array, not a tuple, list or dict")
        run.floating(0)
        return run.out(_table(run, run.leaves[0]), run.deep, shared=False)

    return differentiated


def _table(run: Linearized, x: Node) -> Tensor:
    """The Jacobian of an array by an array: column by column if there are fewer columns than rows, else row by row."""
    shape, dtype = np.shape(value(run.ys[0])), dtype_of(run.ys[0])
    forward = np.prod(x.shape, dtype=int) < np.prod(shape, dtype=int)
    units, axis = _units(x.shape, x.dtype) if forward else _units(shape, dtype), -1 if forward else 0
    us, pulled = run.transposed() if forward else ([x], run.roots)
    parts = (pull(pulled, [unit], us, run.deep)[0] for unit in units)
    table: Any
    if run.deep:
        listed = list(parts)
        table = np.stack(listed, axis=axis) if listed else make(np.zeros((*shape, *x.shape), x.dtype), None)
        return (table if table.dtype == x.dtype else table.astype(x.dtype)).reshape((*shape, *x.shape))
    table = np.empty((*shape, *x.shape), x.dtype)
    rows = table.reshape((np.prod(shape, dtype=int), np.prod(x.shape, dtype=int)))
    for k, part in enumerate(parts):
        (rows.T if forward else rows)[k] = part._array.reshape(-1)
    return make(table, None)


def _units(shape: Any, dtype: Any) -> Iterator[Tensor]:
    """Every array of this shape that has a single 1 and zeros elsewhere."""
    for k in range(np.prod(shape, dtype=int)):
        unit = np.zeros(shape, dtype)
        unit.reshape(-1)[k] = 1
        yield make(unit, None)


def hessian(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """``hessian(f)(*args)``: the second derivatives of a number by one argument, shape ``x.shape + x.shape``."""
    return _jacobian("hessian", grad(f, argnums), argnums)


def hvp(f: Callable[..., Any], xs: Any, vs: Any) -> Any:
    """The Hessian of the number ``f(*xs)`` times ``vs``, without forming it; a tuple if xs is one, else an array."""
    if not isinstance(xs, (tuple, list)):
        return hvp(f, (xs,), (vs,))[0]
    numbers = tuple(range(len(xs)))
    return _jvp("hvp", grad(f, numbers), xs, vs)[1]
