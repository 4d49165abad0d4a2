"""Finding the formula of a gradient rule: run it on arrays that remember what is done to them.

No formula is written down anywhere: a rule that is wrong is shown as it is. What a rule works out outside of NumPy, or
decides by looking at values, is a constant of the formula: it holds for arguments of the same shapes and integers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import Parameter
from typing import Any

import numpy as np

from ..engine.context import context
from ..engine.graph import Node, sum_to
from ..engine.observe import observing
from ..engine.op import OPS, Op
from ..engine.tensor import Tensor, make, value
from ..errors import InvalidType
from .expression import DY, Constant, Expr, Leaf, Part

#: Reductions by a ufunc, as the operations they are.
_REDUCTIONS = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min"}


def local_derivative(spec: Op, k: int, args: Sequence[Any], attrs: Mapping[str, Any]) -> Part:
    """The gradient by input k of ``spec``, as a formula of ``dy`` and of what its rule keeps.

    ``args`` are arrays, numbers, shapes, or what has a shape and a dtype (a node of a graph): see `stand_in`. Its
    leaves are the inputs by their names in ``spec`` (``xs[0]``, ... if there may be any number), the output ``y``, and
    what the operation keeps. Where the input was stretched by broadcasting, the sum over that is part of the formula.
    """
    argument = spec.arguments[0 if spec.variadic else k]
    if argument not in spec.rules:
        raise InvalidType(f"{spec.name} has no gradient rule for {argument}")
    rule = spec.rules[argument]
    rng = np.random.default_rng(0)
    xs = [stand_in(one, spec.domain, rng) for one in args]
    names = known(spec, xs, attrs)
    y = np.asarray(names["y"])
    dtype = y.dtype if y.dtype.kind == "f" else np.float64
    seen = _Follower()
    dy = seen.tensor(DY, rng.uniform(0.5, 1.5, y.shape).astype(dtype))
    names["i"] = k
    kept = [seen.lifted(name, names[name], source) for name, source in zip(rule.names, rule.sources)]
    with _recorded(), observing(seen):
        g = rule.fn(dy, *kept)
        shape = np.shape(xs[k])
        if np.shape(g) != shape:
            g = sum_to(g, shape)
    return seen.part(g)


@contextmanager
def _recorded() -> Iterator[None]:
    """Record what runs inside, also under `no_grad`."""
    before, context.recording = context.recording, True
    try:
        yield
    finally:
        context.recording = before


def known(spec: Op, xs: Sequence[Any], attrs: Mapping[str, Any]) -> dict[str, Any]:
    """All that the rules of ``spec`` may name, from one run of it on arrays: inputs, shapes, y, attributes, keeps."""
    full = {name: one for name, one in {**spec.attributes, **attrs}.items() if one is not Parameter.empty}
    if "rng" in spec.attributes:
        full["rng"] = np.random.default_rng(0)  # the caller's generator stays where it is
    made = spec.forward(*xs, **full)
    y, *kept = made if spec.keeps else (made,)
    names = {**full, **dict(zip(spec.keeps, kept)), "y": y, "xs": tuple(xs)}
    inputs = [] if spec.variadic else list(zip(spec.arguments, xs))
    return {**names, **dict(inputs), **{f"{name}_shape": np.shape(x) for name, x in inputs}}


def stand_in(given: Any, domain: tuple[float, float], rng: np.random.Generator) -> Any:
    """An argument for a rule to run on: ``given`` itself if it has values, else random floats of its shape.

    ``given`` is a number, an array, a Tensor, a shape, or anything with ``shape`` and ``dtype``: zeros if those are
    integers, which are labels or indices.
    """
    given = value(given)
    if isinstance(given, (bool, int, float, np.generic, np.ndarray)):
        return given
    shape, dtype = (given, np.dtype(float)) if isinstance(given, tuple) else (given.shape, np.dtype(given.dtype))
    return rng.uniform(*domain, shape).astype(dtype) if dtype.kind == "f" else np.zeros(shape, dtype)


class _Followed(np.ndarray):
    """An array that knows which part of the formula it is, also through comparisons, which are no operations."""

    part: Part | None = None

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(one, Tensor) for one in inputs):
            return NotImplemented
        out = kwargs.pop("out", None)
        more = {"out": tuple(map(bare, out))} if out else {}
        made = getattr(ufunc, method)(*map(bare, inputs), **kwargs, **more)
        if out:
            return out[0]
        reduced: dict[str, Any] = {name: kwargs[name] for name in ("axis", "keepdims") if name in kwargs}
        name = {"__call__": ufunc.__name__, "reduce": _REDUCTIONS.get(ufunc.__name__)}.get(method)
        if name is None or not (name in OPS or hasattr(np, name)) or isinstance(made, tuple):
            return made
        return followed(made, Expr(name, tuple(map(part_of, inputs)), reduced, np.shape(made)))

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Any:
        made = bare(self).astype(dtype, *args, **kwargs)
        return followed(made, Expr("astype", (part_of(self),), {"dtype": np.dtype(dtype)}, made.shape))


def part_of(x: Any) -> Part:
    """The part that an array or a number is; a constant if it is none."""
    return getattr(x, "part", None) or Constant(bare(x))


def bare(x: Any) -> Any:
    return x.view(np.ndarray) if isinstance(x, _Followed) else x


def followed(x: Any, part: Part) -> Any:
    """``x`` as an array that is ``part``."""
    made = np.asarray(x).view(_Followed)
    made.part = part
    return made


class _Follower:
    """Told of what a rule does with its arguments: gives every Tensor that is made its part of the formula."""

    def __init__(self) -> None:
        self.leaves: dict[Any, Leaf] = {}

    def array(self, name: str, x: Any) -> Any:
        """A copy of ``x`` that is the leaf ``name``."""
        array = np.array(x)
        array.flags.writeable = False  # so that an operation keeps it as an attribute, not a copy
        self.leaves[_memory(array)] = Leaf(name, array.shape)
        return followed(array, self.leaves[_memory(array)])

    def tensor(self, name: str, x: Any) -> Tensor:
        """The same as a Tensor that needs a gradient: what is made of it has a node, which holds the attributes."""
        array = self.array(name, x)
        return make(array, Node((), array.shape, array.dtype))

    def lifted(self, name: str, x: Any, source: Any) -> Any:
        """What a rule keeps, by its name: differentiable arrays as Tensors, others as arrays, all else as it is."""
        if source == "xs":
            return tuple(self.lifted(f"xs[{k}]", one, k) for k, one in enumerate(x))
        if not isinstance(x, (np.ndarray, np.generic)):
            return x
        return self.tensor(name, x) if source is not None and x.dtype.kind == "f" else self.array(name, x)

    def operation(self, spec: Op, args: Any, made: Tensor) -> None:
        """Called after each operation of the rule; an inner one is the formula that it declares."""
        attrs = {} if made.node is None else dict(made.node.attrs)
        if spec.formula is not None:
            made._array = followed(made._array, self.part(spec.formula(*args, **attrs)))
            return
        named = {name: self.attribute(one) for name, one in attrs.items()}
        made._array = followed(made._array, Expr(spec.name, tuple(map(self.part, args)), named, made.shape))

    def gradient(self, node: Node, dy: Any) -> None:
        """No backward pass runs here."""

    def part(self, x: Any) -> Part:
        """The part that a value is, also of an array that shares the memory of a leaf; a constant if it is none."""
        array = value(x)
        found = part_of(array)
        return self.leaves.get(_memory(array), found) if isinstance(found, Constant) else found

    def attribute(self, one: Any) -> Any:
        """An attribute with the leaves that it is made of, as in the index ``(:, ids)``."""
        if isinstance(one, (tuple, list)):
            return type(one)(self.attribute(part) for part in one)
        found = self.part(one) if isinstance(one, np.ndarray) else None
        return found if isinstance(found, Leaf) else bare(one)


def _memory(x: Any) -> Any:
    """Where the elements of an array lie; nothing for what is none."""
    if not isinstance(x, np.ndarray):
        return None
    seen = x.__array_interface__
    return seen["data"], seen["strides"], seen["typestr"], x.shape
