"""Functions of functions: grad, vjp, jvp and their kin.

Each runs the user's function on Tensors of its own, so that nothing is added to anybody's ``.grad`` and calls nest.
Inputs may be arrays, Tensors, or tuples, lists and dicts of them; given arrays only, results are arrays. A gradient is
itself recorded (its rules run on Tensors) where someone may ask for its derivative: inside another transform, when an
input is a Tensor that needs a gradient, or when the function, given a Tensor, uses another one that needs a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from .again import backpropagate_recorded, outside, recording_on, stand_in
from .graph import Node, backpropagate, clock, mode
from .ops import stack
from .tensor import Tensor, make, value
from .tree import flatten


def _given(x: Any) -> Any:
    """An input that is not differentiated by: floats as Tensors, anything else as it is."""
    return make(x, None) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


# -- one differentiable run of a function ----------------------------------------------------------------------------


class _Run:
    """f run once on stand-ins for the inputs to be differentiated by; `pull` goes back through it."""

    def __init__(self, name: str, f: Callable[..., Any], args: Sequence[Any], argnums: Sequence[int]):
        self.name = name
        given = [leaf for arg in args for leaf in flatten(arg)[0]]
        self.arrays = not any(isinstance(leaf, Tensor) for leaf in given)
        self.deep = mode.transforms > 0 or any(getattr(leaf, "node", None) is not None for leaf in given)
        trees = [flatten(arg) for arg in args]
        inputs = [build([_given(leaf) for leaf in leaves]) for leaves, build in trees]
        self.leaves: list[Tensor] = []
        recorded, start = mode.recording, clock()
        self.build = [trees[k] for k in argnums]
        for k, (leaves, build) in zip(argnums, self.build):
            own = [stand_in(leaf, f"{name}: argument {k}") for leaf in leaves]
            inputs[k] = build(own)
            self.leaves += own
        with recording_on():
            self.y = f(*inputs)
        self.ys, self.build_y = flatten(self.y)
        if recorded and not self.arrays and not self.deep:
            self.deep = bool(outside(self.ys, start))

    def out(self, one: Any, deep: bool) -> Any:
        """A result as the caller should get it; unless it is to be differentiated (``deep``), free of the stand-ins."""
        if not isinstance(one, Tensor):
            return one
        one = one if deep else make(one._array, None)
        return np.asarray(one._array) if self.arrays and one.node is None else one

    def value(self) -> Any:
        return self.build_y([self.out(one, self.deep) for one in self.ys])

    def scalar(self) -> Tensor:
        if len(self.ys) != 1 or np.size(value(self.y)) != 1:
            shape = np.shape(value(self.y)) if len(self.ys) == 1 else f"{len(self.ys)} values"
            raise ValueError(f"{self.name}: f returned {shape}, should be one number; jacobian is for arrays")
        return self.y

    def gradients(self, dys: Sequence[Any], deep: bool, retain: bool = True) -> list[Any]:
        """The gradient by each stand-in; zeros where the output does not depend on it."""
        return _pull(self.ys, dys, self.leaves, deep, retain)

    def grouped(self, gradients: Sequence[Any], deep: bool) -> tuple[Any, ...]:
        """Gradients in the structure of each argument."""
        result, start = [], 0
        for leaves, build in self.build:
            result.append(build([self.out(g, deep) for g in gradients[start : start + len(leaves)]]))
            start += len(leaves)
        return tuple(result)


def _pull(ys: Sequence[Any], dys: Sequence[Any], leaves: Sequence[Tensor], deep: bool, retain: bool) -> list[Tensor]:
    """The gradient of ``Σ <dy, y>`` by each leaf, itself recorded if ``deep``."""
    wanted = [leaf.node for leaf in leaves if leaf.node is not None]  # all have one
    roots: dict[Node, Any] = {}
    for y, dy in zip(ys, dys, strict=True):
        if isinstance(y, Tensor) and y.node is not None:
            dy = dy if deep else value(dy)
            roots[y.node] = roots[y.node] + dy if y.node in roots else dy
    if deep:
        with recording_on(0):
            found: dict[Node, Any] = backpropagate_recorded(roots, wanted)
    else:
        found = backpropagate(roots, wanted, retain=retain)
    return [_or_zeros(found.get(node), leaf) for node, leaf in zip(wanted, leaves, strict=True)]


def _or_zeros(g: Any, leaf: Tensor) -> Tensor:
    if g is None:
        g = np.zeros(leaf.shape, leaf.dtype)
    return g if isinstance(g, Tensor) else make(g, None)


def _cotangent(name: str, y: Any, dy: Any) -> Tensor:
    array, shape = np.asarray(value(dy)), np.shape(value(y))
    if array.shape != shape:
        raise ValueError(f"{name}: dy is {array.shape}, should be {shape} as the output is")
    dtype = np.asarray(value(y)).dtype
    if isinstance(dy, Tensor):
        return dy if dy.dtype == dtype else dy.astype(dtype)
    return make(array.astype(dtype), None)


# -- the public forms ------------------------------------------------------------------------------------------------


def vjp(f: Callable[..., Any], *xs: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """``y, pull = vjp(f, *xs)``: the value, and the function that takes dy to the gradients ``(dx, ...)``.

    ``pull(dy)`` is dy times the Jacobian: dy has y's shape (and structure), each result its input's.
    """
    run = _Run("vjp", f, xs, range(len(xs)))

    def pull(dy: Any) -> tuple[Any, ...]:
        dys = [_cotangent("vjp", y, one) for y, one in zip(run.ys, flatten(dy)[0], strict=True)]
        deep = run.deep or mode.transforms > 0 or any(one.node is not None for one in dys)
        return run.grouped(run.gradients(dys, deep), deep)

    return run.value(), pull


def value_and_grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., tuple[Any, Any]]:
    """``value_and_grad(f)(*args) = (f(*args), gradient)``, the gradient by the argument(s) ``argnums``.

    f returns one number; keyword arguments are passed on to it as they are. A gradient has the shape, dtype and
    structure of its argument, and is zero where f does not depend on it. An integer argument cannot be differentiated
    by: TypeError.
    """
    several = not isinstance(argnums, int)
    numbers = list(argnums) if not isinstance(argnums, int) else [argnums]

    def differentiated(*args: Any, **options: Any) -> tuple[Any, Any]:
        picked = [k % len(args) for k in numbers if -len(args) <= k < len(args)]
        if len(picked) != len(numbers):
            raise ValueError(f"grad: argnums is {argnums}, f got {len(args)} arguments")
        run = _Run("grad", partial(f, **options), args, picked)
        y = run.scalar()
        one = make(np.ones(np.shape(value(y)), np.asarray(value(y)).dtype), None)
        gradients = run.grouped(run.gradients([one], run.deep, retain=False), run.deep)
        return run.out(y, run.deep), gradients if several else gradients[0]

    return differentiated


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """``grad(f)(*args)``: the gradient of f by its argument(s) ``argnums``; see `value_and_grad`."""
    both = value_and_grad(f, argnums)
    return lambda *args, **options: both(*args, **options)[1]


def jvp(f: Callable[..., Any], xs: Sequence[Any], vs: Sequence[Any]) -> tuple[Any, Any]:
    """``y, dy = jvp(f, xs, vs)``: the value at ``f(*xs)`` and its derivative in the direction ``vs``.

    pull(u) is linear in u, so the derivative by u of <pull(u), v> is the Jacobian times v, at any u.
    """
    if len(xs) != len(vs):
        raise ValueError(f"jvp: {len(xs)} inputs but {len(vs)} directions")
    run = _Run("jvp", f, xs, range(len(xs)))
    directions = [leaf for v in vs for leaf in flatten(v)[0]]
    directions = [_cotangent("jvp", x, v) for x, v in zip(run.leaves, directions, strict=True)]
    deep = run.deep or any(v.node is not None for v in directions)
    us = [stand_in(np.zeros(np.shape(value(y)), np.asarray(value(y)).dtype), "jvp") for y in run.ys]
    pulled = _pull(run.gradients(us, deep=True), directions, us, deep, retain=False)
    return run.value(), run.build_y([run.out(one, deep) for one in pulled])


def jacobian(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """``jacobian(f)(*args)``: all derivatives of f's output by one argument, shape ``y.shape + x.shape``."""

    def differentiated(*args: Any, **options: Any) -> Any:
        run = _Run("jacobian", partial(f, **options), args, [argnums % len(args)])
        if len(run.ys) != 1 or len(run.leaves) != 1:
            raise ValueError("jacobian: takes one array and gives one array, not a tuple, list or dict")
        shape, x = np.shape(value(run.y)), run.leaves[0]
        size = int(np.prod(shape))
        dtype = np.asarray(value(run.y)).dtype
        rows = [run.gradients([make(one.reshape(shape), None)], run.deep)[0] for one in np.eye(size, dtype=dtype)]
        if not rows:
            return run.out(make(np.zeros((*shape, *x.shape), x.dtype), None), run.deep)
        stacked = stack(rows, axis=0)
        return run.out(stacked.reshape((*shape, *x.shape)), run.deep)

    return differentiated


def hessian(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """``hessian(f)(*args)``: the second derivatives of a number by one argument, shape ``x.shape + x.shape``."""
    return jacobian(grad(f, argnums), argnums)


def hvp(f: Callable[..., Any], xs: Any, vs: Any) -> Any:
    """The Hessian of the number ``f(*xs)`` times ``vs``, without forming it; a tuple as xs is, or one array for one."""
    if not isinstance(xs, (tuple, list)):
        return hvp(f, (xs,), (vs,))[0]
    numbers = tuple(range(len(xs)))
    return jvp(grad(f, numbers), xs, vs)[1]
