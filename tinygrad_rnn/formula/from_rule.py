"""Find the formula of a gradient rule by running it on arrays that record what is done to them.

No formula is written by hand, so a wrong rule is shown as it is. Values that a rule computes outside of NumPy, and
choices that it makes by values, are constants of the formula: it holds for arguments of the same shapes and integers.
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

#: The operation that the reduction by a ufunc is.
_REDUCTIONS = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min"}


def local_derivative(spec: Op, k: int, args: Sequence[Any], attrs: Mapping[str, Any]) -> Part:
    """The gradient by input k of ``spec``, as a formula of ``dy`` and of the values that its rule saves.

    ``args`` are arrays, numbers, shapes, or have a shape and a dtype as a node of a graph has: see `sample_argument`.
    The leaves of the formula are the inputs by their names in ``spec`` (``xs[0]``, ... if there may be any number), the
    output ``y``, and what the operation saves. The sum over axes that broadcasting stretched is part of the formula.
    """
    argument = spec.arguments[0 if spec.variadic else k]
    if argument not in spec.rules:
        raise InvalidType(f"{spec.name} has no gradient rule for {argument}")
    rule = spec.rules[argument]
    rng = np.random.default_rng(0)
    xs = [sample_argument(arg, spec.domain, rng) for arg in args]
    names = known(spec, xs, attrs)
    y = np.asarray(names["y"])
    dtype = y.dtype if y.dtype.kind == "f" else np.float64
    seen = _Follower()
    dy = seen.tensor(DY, rng.uniform(0.5, 1.5, y.shape).astype(dtype))
    names["i"] = k
    saved = [seen.lifted(name, names[name], source) for name, source in zip(rule.names, rule.sources)]
    with _recorded(), observing(seen):
        g = rule.fn(dy, *saved)
        shape = np.shape(xs[k])
        if np.shape(g) != shape:
            g = sum_to(g, shape)
    return seen.part(g)


@contextmanager
def _recorded() -> Iterator[None]:
    """Record operations inside, even under `no_grad`."""
    before, context.recording = context.recording, True
    try:
        yield
    finally:
        context.recording = before


def known(spec: Op, xs: Sequence[Any], attrs: Mapping[str, Any]) -> dict[str, Any]:
    """The values that the rules of ``spec`` may name, from a run on arrays: inputs, shapes, attributes, ..."""
    full = {name: attr for name, attr in {**spec.attributes, **attrs}.items() if attr is not Parameter.empty}
    if "rng" in spec.attributes:
        full["rng"] = np.random.default_rng(0)  # the caller's generator does not advance
    results = spec.forward(*xs, **full)
    y, *saved = results if spec.keeps else (results,)
    names = {**full, **dict(zip(spec.keeps, saved)), "y": y, "xs": tuple(xs)}
    inputs = [] if spec.variadic else list(zip(spec.arguments, xs))
    return {**names, **dict(inputs), **{f"{name}_shape": np.shape(x) for name, x in inputs}}


def sample_argument(given: Any, domain: tuple[float, float], rng: np.random.Generator) -> Any:
    """An argument to run a rule on: ``given`` itself if it has values, else random floats of its shape.

    ``given`` is a number, an array, a Tensor, a shape, or anything with ``shape`` and ``dtype``. Integers become zeros,
    because they are labels or indices.
    """
    given = value(given)
    if isinstance(given, (bool, int, float, np.generic, np.ndarray)):
        return given
    shape, dtype = (given, np.dtype(float)) if isinstance(given, tuple) else (given.shape, np.dtype(given.dtype))
    return rng.uniform(*domain, shape).astype(dtype) if dtype.kind == "f" else np.zeros(shape, dtype)


class _Followed(np.ndarray):
    """An array that carries its part of the formula, even through comparisons, which are no operations."""

    part: Part | None = None

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(operand, Tensor) for operand in inputs):
            return NotImplemented
        out = kwargs.pop("out", None)
        more = {"out": tuple(map(bare, out))} if out else {}
        result = getattr(ufunc, method)(*map(bare, inputs), **kwargs, **more)
        if out:
            return out[0]
        reduced: dict[str, Any] = {name: kwargs[name] for name in ("axis", "keepdims") if name in kwargs}
        name = {"__call__": ufunc.__name__, "reduce": _REDUCTIONS.get(ufunc.__name__)}.get(method)
        if name is None or not (name in OPS or hasattr(np, name)) or isinstance(result, tuple):
            return result
        return followed(result, Expr(name, tuple(map(part_of, inputs)), reduced, np.shape(result)))

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Any:
        result = bare(self).astype(dtype, *args, **kwargs)
        return followed(result, Expr("astype", (part_of(self),), {"dtype": np.dtype(dtype)}, result.shape))


def part_of(x: Any) -> Part:
    """The part of the formula that an array carries; a constant for other arrays and numbers."""
    return getattr(x, "part", None) or Constant(bare(x))


def bare(x: Any) -> Any:
    return x.view(np.ndarray) if isinstance(x, _Followed) else x


def followed(x: Any, part: Part) -> Any:
    """``x`` as an array that carries ``part``."""
    array = np.asarray(x).view(_Followed)
    array.part = part
    return array


class _Follower:
    """An observer of a rule: it gives every resulting Tensor its part of the formula."""

    def __init__(self) -> None:
        self.leaves: dict[Any, Leaf] = {}

    def array(self, name: str, x: Any) -> Any:
        """A copy of ``x`` that carries the leaf ``name``."""
        array = np.array(x)
        array.flags.writeable = False  # so that an operation saves this attribute itself, not a copy
        self.leaves[_memory(array)] = Leaf(name, array.shape)
        return followed(array, self.leaves[_memory(array)])

    def tensor(self, name: str, x: Any) -> Tensor:
        """The same as a Tensor that needs a gradient, so that results have a node, which holds the attributes."""
        array = self.array(name, x)
        return make(array, Node((), array.shape, array.dtype))

    def lifted(self, name: str, x: Any, source: Any) -> Any:
        """A saved value of a rule: a differentiable array as a Tensor, another as an array, anything else unchanged."""
        if source == "xs":
            return tuple(self.lifted(f"xs[{k}]", operand, k) for k, operand in enumerate(x))
        if not isinstance(x, (np.ndarray, np.generic)):
            return x
        return self.tensor(name, x) if source is not None and x.dtype.kind == "f" else self.array(name, x)

    def operation(self, spec: Op, args: Any, output: Tensor) -> None:
        """Called after each operation of the rule; an inner operation becomes the formula that it declares."""
        attrs = {} if output.node is None else dict(output.node.attrs)
        if spec.formula is not None:
            output._array = followed(output._array, self.part(spec.formula(*args, **attrs)))
            return
        named = {name: self.attribute(attr) for name, attr in attrs.items()}
        output._array = followed(output._array, Expr(spec.name, tuple(map(self.part, args)), named, output.shape))

    def gradient(self, node: Node, dy: Any) -> None:
        """No backward pass runs here."""

    def part(self, x: Any) -> Part:
        """The part of a value, or of the leaf whose memory an array shares; else a constant."""
        array = value(x)
        part = part_of(array)
        return self.leaves.get(_memory(array), part) if isinstance(part, Constant) else part

    def attribute(self, attr: Any) -> Any:
        """An attribute with leaves in place of their arrays, as in the index ``(:, ids)``."""
        if isinstance(attr, (tuple, list)):
            return type(attr)(self.attribute(part) for part in attr)
        leaf = self.part(attr) if isinstance(attr, np.ndarray) else None
        return leaf if isinstance(leaf, Leaf) else bare(attr)


def _memory(x: Any) -> Any:
    """The memory and layout of an array; None for other values."""
    if not isinstance(x, np.ndarray):
        return None
    seen = x.__array_interface__
    return seen["data"], seen["strides"], seen["typestr"], x.shape
