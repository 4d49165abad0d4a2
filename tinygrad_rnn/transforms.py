"""Functions of functions: grad, vjp, jvp and their kin, and checkpoint.

Each runs the user's function on Tensors of its own, so that nothing is added to anybody's ``.grad`` and calls nest.
Inputs may be arrays, Tensors, or tuples, lists and dicts of them; given arrays only, results are arrays. A gradient is
itself recorded (its rules run on Tensors) where someone may ask for its derivative: inside another transform, or when
an input is a Tensor that needs a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import guard
from .graph import GraphError, Node, Rule, backpropagate, fitted, leading_to, mode, newest_first
from .ops import stack
from .tensor import Tensor, make, value

_SAME = Rule(lambda dy: dy)

# -- trees of arrays -------------------------------------------------------------------------------------------------


def flatten(tree: Any) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """The leaves of a tree of tuples, lists and dicts, and the function that builds such a tree from new leaves."""
    if isinstance(tree, dict):
        leaves, build = flatten(list(tree.values()))
        return leaves, lambda new: dict(zip(tree, build(new), strict=True))
    if isinstance(tree, (tuple, list)):
        parts = [flatten(one) for one in tree]
        return [leaf for leaves, _ in parts for leaf in leaves], lambda new: _rebuild(tree, parts, list(new))
    return [tree], lambda new: new[0]


def _rebuild(tree: Any, parts: Any, new: list[Any]) -> Any:
    built, start = [], 0
    for leaves, build in parts:
        built.append(build(new[start : start + len(leaves)]))
        start += len(leaves)
    return type(tree)(*built) if hasattr(tree, "_fields") else type(tree)(built)


def _is_float(x: Any) -> bool:
    return np.asarray(value(x)).dtype.kind == "f"


def _stand_in(x: Any, where: str) -> Tensor:
    """A Tensor of our own in place of an input: a new leaf, or one more node on the input's own graph."""
    array = np.asarray(value(x))
    if array.dtype.kind != "f":
        raise TypeError(f"{where} is {array.dtype}, should be floating to be differentiated by")
    parent = getattr(x, "node", None)
    return make(array, Node([(parent, _SAME, ())] if parent is not None else (), array.shape, array.dtype))


def _given(x: Any) -> Any:
    """An input that is not differentiated by: floats as Tensors, anything else as it is."""
    return make(x, None) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


@contextmanager
def _recording(nested: int = 1) -> Iterator[None]:
    before = mode.recording, mode.transforms
    mode.recording, mode.transforms = True, mode.transforms + nested
    try:
        yield
    finally:
        mode.recording, mode.transforms = before


# -- the backward pass on Tensors ------------------------------------------------------------------------------------


def backpropagate_recorded(roots: dict[Node, Tensor], wanted: Sequence[Node]) -> dict[Node, Tensor]:
    """As `backpropagate`, but every rule runs on Tensors, so that the gradients can be differentiated again."""
    ends = dict.fromkeys(wanted)
    order = newest_first(roots, ends)
    along, check = leading_to(order, ends), guard.begin(order)
    total: dict[Node, Any] = dict(roots)
    found: dict[Node, Any] = {}
    for node in order:
        if node not in total or node not in along:
            continue
        dy = total.pop(node)
        if node in ends:
            found[node] = dy
            continue
        if check:
            guard.check(node)
        for edge in node.edges:
            if edge is not None and edge[0] in along:
                parent, rule, kept = edge
                g = rule.fn(dy, *_lifted(node, rule, kept))
                g = fitted(g, parent)
                total[parent] = g if parent not in total else total[parent] + g
    return found


def _lifted(node: Node, rule: Rule, kept: Sequence[Any]) -> list[Any]:
    """What a rule kept, as Tensors on the nodes that the arrays came from."""
    parents = [edge and edge[0] for edge in node.edges]
    lifted = []
    for source, one in zip(rule.sources or [None] * len(kept), kept, strict=True):
        if source == "xs":
            lifted.append(tuple(_on(x, parent) for x, parent in zip(one, parents, strict=True)))
        else:
            lifted.append(_on(one, node if source == "y" else None if source is None else parents[source]))
    return lifted


def _on(array: Any, node: Node | None) -> Any:
    return array if node is None or isinstance(array, Tensor) else make(array, node)


# -- one differentiable run of a function ----------------------------------------------------------------------------


class _Run:
    """f run once on stand-ins for the inputs to be differentiated by; `pull` goes back through it."""

    def __init__(self, name: str, f: Callable[..., Any], args: Sequence[Any], argnums: Sequence[int]):
        self.name = name
        given = [leaf for arg in args for leaf in flatten(arg)[0]]
        self.arrays = not any(isinstance(leaf, Tensor) for leaf in given)
        self.deep = mode.transforms > 0 or any(getattr(leaf, "node", None) is not None for leaf in given)
        inputs, self.leaves, self.build = list(args), [], []
        for k in range(len(args)):
            leaves, build = flatten(args[k])
            if k in argnums:
                leaves = [_stand_in(leaf, f"{name}: argument {k}") for leaf in leaves]
                self.leaves += leaves
            inputs[k] = build(leaves if k in argnums else [_given(leaf) for leaf in leaves])
        for k in argnums:
            self.build.append(flatten(args[k]))
        with _recording():
            self.y = f(*inputs)
        self.ys, self.build_y = flatten(self.y)

    def out(self, one: Any) -> Any:
        """A result as the caller should get it."""
        if not isinstance(one, Tensor):
            return one
        return np.asarray(one._array) if self.arrays and (one.node is None or not self.deep) else self.free(one)

    def free(self, one: Tensor) -> Tensor:
        """Outside any other derivative, the result must not hold on to the stand-ins."""
        return one if self.deep else make(one._array, None)

    def value(self) -> Any:
        return self.build_y([self.out(one) for one in self.ys])

    def scalar(self) -> Tensor:
        if len(self.ys) != 1 or np.size(value(self.y)) != 1:
            shape = np.shape(value(self.y)) if len(self.ys) == 1 else f"{len(self.ys)} values"
            raise ValueError(f"{self.name}: f returned {shape}, should be one number; jacobian is for arrays")
        return self.y

    def gradients(self, dys: Sequence[Any], deep: bool, retain: bool = True) -> list[Any]:
        """The gradient by each stand-in; zeros where the output does not depend on it."""
        wanted = [leaf.node for leaf in self.leaves]
        roots: dict[Node, Any] = {}
        for y, dy in zip(self.ys, dys, strict=True):
            if isinstance(y, Tensor) and y.node is not None:
                dy = dy if deep else value(dy)
                roots[y.node] = roots[y.node] + dy if y.node in roots else dy
        if deep:
            with _recording(0):
                found = backpropagate_recorded(roots, wanted)
        else:
            found = backpropagate(roots, wanted, retain=retain)
        return [_or_zeros(found.get(node), leaf, deep) for node, leaf in zip(wanted, self.leaves, strict=True)]

    def grouped(self, gradients: Sequence[Any]) -> tuple[Any, ...]:
        """Gradients in the structure of each argument."""
        result, start = [], 0
        for leaves, build in self.build:
            result.append(build([self.out(g) for g in gradients[start : start + len(leaves)]]))
            start += len(leaves)
        return tuple(result)


def _or_zeros(g: Any, leaf: Tensor, deep: bool) -> Tensor:
    if g is None:
        g = np.zeros(leaf.shape, leaf.dtype)
    return g if isinstance(g, Tensor) else make(g, None)


def _cotangent(name: str, y: Any, dy: Any) -> Tensor:
    array, shape = np.asarray(value(dy)), np.shape(value(y))
    if array.shape != shape:
        raise ValueError(f"{name}: dy is {array.shape}, should be {shape} as the output is")
    dtype = np.asarray(value(y)).dtype
    if isinstance(dy, Tensor):
        return dy if dy.dtype == dtype else dy.astype(dtype)  # type: ignore[attr-defined]
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
        gradients = run.gradients(dys, deep)
        return run.grouped(gradients) if run.deep == deep else tuple(gradients)

    return run.value(), pull


def value_and_grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., tuple[Any, Any]]:
    """``value_and_grad(f)(*args) = (f(*args), gradient)``, the gradient by the argument(s) ``argnums``.

    f returns one number. A gradient has the shape, dtype and structure of its argument, and is zero where f does not
    depend on it. An integer argument cannot be differentiated by: TypeError.
    """
    several = not isinstance(argnums, int)
    numbers = list(argnums) if not isinstance(argnums, int) else [argnums]

    def differentiated(*args: Any) -> tuple[Any, Any]:
        picked = [k % len(args) for k in numbers if -len(args) <= k < len(args)]
        if len(picked) != len(numbers):
            raise ValueError(f"grad: argnums is {argnums}, f got {len(args)} arguments")
        run = _Run("grad", f, args, picked)
        y = run.scalar()
        one = make(np.ones(np.shape(value(y)), np.asarray(value(y)).dtype), None)
        gradients = run.grouped(run.gradients([one], run.deep, retain=False))
        return run.out(y), gradients if several else gradients[0]

    return differentiated


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """``grad(f)(*args)``: the gradient of f by its argument(s) ``argnums``; see `value_and_grad`."""
    both = value_and_grad(f, argnums)
    return lambda *args: both(*args)[1]


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
    us = [_stand_in(np.zeros(np.shape(value(y)), np.asarray(value(y)).dtype), "jvp") for y in run.ys]
    pulled = run.gradients(us, deep=True)
    inner = _Pulled(pulled, us, deep)
    return run.value(), run.build_y([run.out(one) for one in inner.gradients(directions)])


class _Pulled:
    """pull(u) as a function of u, recorded: the second pass of jvp."""

    def __init__(self, outputs: list[Any], us: list[Tensor], deep: bool):
        self.outputs, self.us, self.deep = outputs, us, deep

    def gradients(self, directions: list[Tensor]) -> list[Any]:
        roots: dict[Node, Any] = {}
        for y, v in zip(self.outputs, directions, strict=True):
            if y.node is not None:
                v = v if self.deep else v._array
                roots[y.node] = roots[y.node] + v if y.node in roots else v
        wanted = [u.node for u in self.us if u.node is not None]
        if self.deep:
            with _recording(0):
                found: dict[Node, Any] = backpropagate_recorded(roots, wanted)
        else:
            found = backpropagate(roots, wanted)
        return [_or_zeros(found.get(node), u, self.deep) for node, u in zip(wanted, self.us, strict=True)]


def jacobian(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """``jacobian(f)(*args)``: all derivatives of f's output by one argument, shape ``y.shape + x.shape``."""

    def differentiated(*args: Any) -> Any:
        run = _Run("jacobian", f, args, [argnums % len(args)])
        if len(run.ys) != 1 or len(run.leaves) != 1:
            raise ValueError("jacobian: takes one array and gives one array, not a tuple, list or dict")
        shape, x = np.shape(value(run.y)), run.leaves[0]
        size = int(np.prod(shape))
        dtype = np.asarray(value(run.y)).dtype
        rows = [run.gradients([make(one.reshape(shape), None)], run.deep)[0] for one in np.eye(size, dtype=dtype)]
        if not rows:
            return run.out(make(np.zeros((*shape, *x.shape), x.dtype), None))
        stacked = stack(rows, axis=0)
        return run.out(stacked.reshape((*shape, *x.shape)))

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


# -- checkpoint ------------------------------------------------------------------------------------------------------


class _Parts(list):
    """The gradients of several outputs, side by side; None where nothing has arrived."""

    shape = dtype = None
    base = "several"  # never added to in place

    def __add__(self, other: Any) -> _Parts:  # type: ignore[override]
        return _Parts(b if a is None else a if b is None else a + b for a, b in zip(self, other, strict=True))


def _one_part(dy: Any, k: int, count: int) -> _Parts:
    return _Parts(dy if j == k else None for j in range(count))


class _Replay:
    """A run of f whose graph was let go of: run again when its gradients are asked for."""

    def __init__(self, f: Callable[..., Any], args: Sequence[Any]):
        self.f, self.args = f, args
        leaves, self.build = flatten(list(args))
        self.inputs = [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.node is not None]
        self.leaves = leaves
        stand_ins, ys, self.build_y = self.run(fresh=True)
        start = min((one.node.seq for one in stand_ins if one.node), default=0) or _now()
        self.outer = _outside(ys, start)
        self.values = [value(y) for y in ys]

    def run(self, fresh: bool) -> tuple[list[Tensor], list[Any], Any]:
        """f on stand-ins for the inputs that need a gradient: new leaves, or nodes behind the inputs' own."""
        picked = {id(x): _stand_in(value(x) if fresh else x, "checkpoint") for x in self.inputs}
        with _recording():
            y = self.f(*self.build([picked.get(id(leaf), leaf) for leaf in self.leaves]))
        ys, build_y = flatten(y)
        return [picked[id(x)] for x in self.inputs], ys, build_y

    def gradients(self, parts: _Parts) -> list[Any]:
        """The gradients by the inputs, then by what f uses from outside."""
        deep = any(isinstance(dy, Tensor) for dy in parts)
        stand_ins, ys, _ = self.run(fresh=not deep)
        for y, before in zip(ys, self.values, strict=True):
            if not np.array_equal(value(y), before, equal_nan=True):
                raise GraphError("checkpoint: f gave another result when run again; make its random generator inside f")
        roots = {y.node: dy for y, dy in zip(ys, parts, strict=True) if dy is not None and y.node is not None}
        wanted = [one.node for one in stand_ins if one.node is not None] + self.outer
        found: Any = backpropagate_recorded(roots, wanted) if deep else backpropagate(roots, wanted)
        shapes = [(node.shape, node.dtype) for node in wanted]
        return [found.get(node, np.zeros(*like)) for node, like in zip(wanted, shapes, strict=True)]


def _now() -> int:
    return Node((), None, None).seq


def _outside(ys: Sequence[Any], start: int) -> list[Node]:
    """The nodes from before ``start`` that the run used: Tensors that f closes over."""
    outer: dict[Node, None] = {}
    stack_ = [y.node for y in ys if isinstance(y, Tensor) and y.node is not None]
    seen = dict.fromkeys(stack_)
    while stack_:
        node = stack_.pop()
        if node.seq < start:
            outer[node] = None
            continue
        for edge in node.edges:
            if edge is not None and edge[0] not in seen:
                seen[edge[0]] = None
                stack_.append(edge[0])
    return sorted(outer, key=lambda node: node.seq)


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """``checkpoint(f)(*args)`` is ``f(*args)``, but keeps only its inputs: f is run again when the gradient is needed.

    Memory for time (Chen et al. 2016). f may use other Tensors that need a gradient; it must do the same when run again.
    """

    def checkpointed(*args: Any) -> Any:
        if not mode.recording:
            return f(*args)
        before = _now()
        replay = _Replay(f, args)
        replay.outer = [node for node in replay.outer if node.seq < before]
        parents = [x.node for x in replay.inputs] + replay.outer
        hub = Node([(parent, _gradient(k), (replay,)) for k, parent in enumerate(parents)], None, None)
        count = len(replay.values)
        made = [
            make(array, Node([(hub, _PART, (k, count))], np.shape(array), array.dtype)) if parents else array
            for k, array in enumerate(replay.values)
        ]
        return replay.build_y(made)

    return checkpointed


_PART = Rule(_one_part)


def _gradient(k: int) -> Rule:
    """Gradient k of a replay; the first one asked for computes them all."""

    def fn(parts: _Parts, replay: _Replay) -> Any:
        if not hasattr(parts, "done"):
            parts.done = replay.gradients(parts)  # type: ignore[attr-defined]
        return parts.done[k]  # type: ignore[attr-defined]

    return Rule(fn)
