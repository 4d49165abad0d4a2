"""`op` declares an operation once; everything that needs to know it reads the declaration.

A declaration is a forward function on arrays, a shape rule, and one gradient rule per input. A rule's argument names
are its list of what to keep: names of inputs (``x``), the output (``y``), a shape (``x_shape``), an attribute
(``axis``), or something that the forward pass made on the way (``keeps``). For an operation of any number of inputs
(``*xs``) a rule may also name ``i``, which input it is for, and ``xs``, all of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

import numpy as np

from .graph import Node, Rule, mode
from .shape import Shape, ShapeError, ShapeRule, words
from .tensor import FUNCTIONS, UFUNCS, Tensor, make, value

OPS: dict[str, Op] = {}


@dataclass(frozen=True)
class Case:
    """One way to call an operation: shapes (or arrays) for its inputs, values for its attributes."""

    inputs: tuple[Any, ...]
    attrs: dict[str, Any]
    raises: str | None = None


def case(*inputs: Any, raises: str | None = None, **attrs: Any) -> Case:
    """A sample for the generic tests; with ``raises``, the text of the error it must give."""
    return Case(inputs, attrs, raises)


class OpRule(Rule):
    """The rule for one argument of an operation, and how to find what it keeps."""

    __slots__ = ("keep", "names")

    def __init__(self, spec: Op, argument: str, fn: Callable[..., Any]):
        self.names = list(inspect.signature(fn).parameters)[1:]
        super().__init__(fn, [spec.source(name) for name in self.names])
        parts = "".join(f"{spec.locate(name, argument)}, " for name in self.names)
        self.keep = eval(f"lambda i, xs, y, kept, attrs: ({parts})", {"shape": np.shape})


class Operation(Protocol):
    """What `op` gives: the function that users call, with its declaration."""

    spec: Op
    vjp: Callable[..., None]

    def __call__(self, *args: Any, **attrs: Any) -> Any: ...


@dataclass
class Op:
    """The declaration of one operation, as plain data."""

    name: str
    forward: Callable[..., Any]
    arguments: list[str]
    attributes: dict[str, Any]
    variadic: bool
    shape: ShapeRule | None
    symbol: str
    cases: Sequence[Case]
    keeps: Sequence[str]
    domain: tuple[float, float]
    doc: str
    rules: dict[str, OpRule] = field(default_factory=dict)
    table: list[OpRule | None] = field(default_factory=list)  # the rules in the order of the arguments

    def source(self, name: str) -> Any:
        """Where a kept value comes from, for rules that run on Tensors."""
        if name in self.arguments and not self.variadic:
            return self.arguments.index(name)
        return name if name in ("y", "xs") else None

    def locate(self, name: str, argument: str) -> str:
        """The expression that finds a kept value at the end of a forward pass."""
        base = name.removesuffix("_shape")
        if name in ("i", "y"):
            return name
        if name in self.keeps:
            return f"kept[{self.keeps.index(name)}]"
        if name in self.attributes:
            return f"attrs[{name!r}]"
        if self.variadic and name == "xs":
            return "tuple(xs)"
        if self.variadic and name == "xs_shapes":
            return "tuple(shape(x) for x in xs)"
        if base in self.arguments:
            found = f"xs[{self.arguments.index(base)}]"
            return found if base == name else f"shape({found})"
        raise TypeError(f"{self.name}.vjp: the rule for {argument} names {name}, which {self.name} does not have")

    def vjp(self, **rules: Callable[..., Any]) -> None:
        """Set the gradient rule of each input, by its name."""
        for argument, fn in rules.items():
            if argument not in self.arguments:
                raise TypeError(f"{self.name}.vjp: {argument} is not an input of {self.name}")
            self.rules[argument] = OpRule(self, argument, fn)
        self.table[:] = [self.rules.get(name) for name in self.arguments]

    def in_place(self, argument: str, into: Any = None, over: Any = None) -> None:
        """Add an in-place form to the rule of ``argument``."""
        self.rules[argument].into, self.rules[argument].over = into, over

    def named(self, xs: Sequence[Any]) -> dict[str, Shape]:
        """The inputs' shapes by the names that messages use."""
        names = [f"{self.arguments[0]}[{k}]" for k in range(len(xs))] if self.variadic else self.arguments
        return {name: np.shape(x) for name, x in zip(names, xs, strict=True)}

    def refuse(self, error: Exception, xs: Sequence[Any], attrs: Mapping[str, Any]) -> NoReturn:
        """Raise NumPy's refusal in the operation's own argument names, or in the shape rule's words if it has some."""
        if isinstance(error, ShapeError):
            raise ShapeError(f"{self.name}: {error}") from error
        if type(error) not in (ValueError, TypeError, IndexError) or str(error).startswith(f"{self.name}: "):
            raise error
        try:
            if self.shape is not None:
                self.shape(self.named(xs), attrs)
        except ShapeError as better:
            raise ShapeError(f"{self.name}: {better}") from error
        shapes = ", ".join(f"{name} is {shape}" for name, shape in self.named(xs).items())
        raise type(error)(f"{self.name}: {error}; {shapes}") from error


def op(
    shape: str | ShapeRule | None = None,
    *,
    symbol: str = "",
    operator: str = "",
    numpy: Sequence[Any] | None = None,
    cases: Sequence[Case] = (),
    keeps: Sequence[str] = (),
    domain: tuple[float, float] = (-2.0, 2.0),
    name: str = "",
    arguments: str = "",
    doc: str = "",
) -> Callable[[Callable[..., Any]], Operation]:
    """Declare an operation from its forward function on arrays.

    Positional arguments of the function are arrays, keyword-only ones attributes. ``shape`` is its shape rule,
    ``operator`` the Python operator it is (``"matmul"``), ``numpy`` the NumPy functions that lead to it (by default the
    one of the same name), ``cases`` and ``domain`` (the range inputs are drawn from) its samples for the tests.
    ``keeps`` names what the forward function returns after its value, for its rules: constants, such as a mask.
    ``name``, ``arguments`` and ``doc`` declare a function that has none of its own, as NumPy's have not.
    """

    def declare(forward: Callable[..., Any]) -> Operation:
        own, attributes, variadic = (arguments.split(), {}, False) if arguments else _signature(forward)
        rule = words(shape) if isinstance(shape, str) else shape
        title = name or forward.__name__
        spec = Op(title, forward, own, attributes, variadic, rule, symbol or title, cases, keeps, domain, doc)
        spec.doc = doc or inspect.getdoc(forward) or ""
        spec.table = [None] * len(own)
        apply = _variadic(spec) if variadic else _fixed(spec)
        apply.__name__ = apply.__qualname__ = title
        apply.__doc__, apply.__module__ = spec.doc, forward.__module__ if not arguments else __name__
        apply.spec, apply.vjp = spec, spec.vjp
        OPS[title] = spec
        _attach(apply, title, operator, numpy)
        return apply

    return declare


def _fixed(spec: Op) -> Any:
    """The public function of an operation with a fixed number of inputs."""
    count, forward, defaults, keeps = len(spec.arguments), spec.forward, spec.attributes, bool(spec.keeps)

    def apply(*args: Any, **attrs: Any) -> Any:
        if len(args) != count or attrs:
            args, attrs = _bind(spec, args, attrs)
        elif defaults:
            attrs = defaults
        xs = [a._array if isinstance(a, Tensor) else a for a in args]
        try:
            y = forward(*xs, **attrs)
        except Exception as error:
            spec.refuse(error, xs, attrs)
        return record(spec, args, xs, y, attrs) if not keeps else record(spec, args, xs, y[0], attrs, y[1:])

    return apply


def record(spec: Op, args: Sequence[Any], xs: Sequence[Any], y: Any, attrs: Any, kept: Sequence[Any] = ()) -> Any:
    """``y`` as a Tensor with its node; as it is, if no input was a Tensor."""
    edges: list[Any] = []
    tensors = tracked = False
    rules = spec.table if not spec.variadic else spec.table * len(args)
    for i, (a, rule) in enumerate(zip(args, rules)):
        if isinstance(a, Tensor):
            tensors = True
            if a.node is not None and rule is not None and mode.recording:
                tracked = True
                edges.append((a.node, rule, rule.keep(i, xs, y, kept, attrs)))
                continue
        edges.append(None)
    if not tensors:
        return y
    made = make(y, Node(edges, y.shape, y.dtype, spec, attrs) if tracked else None)
    if mode.observer is not None:
        mode.observer.operation(spec, args, made)
    return made


def _variadic(spec: Op) -> Any:
    """The public function of an operation on any number of inputs: ``f([a, b])`` as NumPy's, or ``f(a, b)``."""

    def apply(*args: Any, **attrs: Any) -> Any:
        if args and isinstance(args[0], str):  # einsum's subscripts come first
            attrs, args = {next(iter(spec.attributes)): args[0], **attrs}, args[1:]
        if args and isinstance(args[0], (list, tuple)):
            attrs, args = {**dict(zip(spec.attributes, args[1:])), **attrs}, tuple(args[0])
        if not args:
            raise ValueError(f"{spec.name}: needs at least one array")
        attrs = _known(spec, attrs)
        xs = [a._array if isinstance(a, Tensor) else a for a in args]
        try:
            y = spec.forward(*xs, **attrs)
        except Exception as error:
            spec.refuse(error, xs, attrs)
        return record(spec, args, xs, y, attrs) if not spec.keeps else record(spec, args, xs, y[0], attrs, y[1:])

    return apply


def _bind(spec: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arrays given by name, attributes given by position (in their order, which is NumPy's), defaults."""
    count = len(spec.arguments)
    if len(args) > count:
        if len(args) - count > len(spec.attributes):
            raise TypeError(f"{spec.name}: takes {', '.join([*spec.arguments, *spec.attributes])}; got {len(args)} arguments")
        attrs = {**dict(zip(spec.attributes, args[count:])), **attrs}
        args = args[:count]
    for name in spec.arguments[len(args) :]:
        if name not in attrs:
            raise TypeError(f"{spec.name}: missing {name}")
        args = (*args, attrs[name])
        attrs = {key: one for key, one in attrs.items() if key != name}
    return args, _known(spec, attrs)


def _known(spec: Op, attrs: dict[str, Any]) -> dict[str, Any]:
    """``attrs`` with the defaults; an attribute that the operation does not have is an error."""
    for name, given in attrs.items():
        if name not in spec.attributes and given is not None:
            names = ", ".join([*spec.arguments, *spec.attributes])
            raise TypeError(f"{spec.name}: got {name}=, which it does not have; it takes {names}")
    result = {**spec.attributes, **{name: value(one) for name, one in attrs.items() if name in spec.attributes}}
    for name, given in result.items():
        if given is inspect.Parameter.empty:
            raise TypeError(f"{spec.name}: missing {name}")
    return result


def _signature(forward: Callable[..., Any]) -> tuple[list[str], dict[str, Any], bool]:
    """Names of the arrays; attributes with their defaults; is the number of arrays open?"""
    names, attributes, variadic = [], {}, False
    for parameter in inspect.signature(forward).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            attributes[parameter.name] = parameter.default
        else:
            names.append(parameter.name)
            variadic = variadic or parameter.kind is parameter.VAR_POSITIONAL
    return names, attributes, variadic


def _attach(apply: Operation, name: str, operator: str, numpy: Sequence[Any] | None) -> None:
    """Let Python's operators and NumPy's functions lead to the operation."""
    if operator:
        setattr(Tensor, f"__{operator}__", apply)
        if len(apply.spec.arguments) == 2:
            setattr(Tensor, f"__r{operator}__", lambda self, other: apply(other, self))
    for function in [getattr(np, name, None)] if numpy is None else numpy:
        if isinstance(function, np.ufunc):
            UFUNCS[function] = apply
        elif function is not None:
            FUNCTIONS[function] = apply


@dataclass(frozen=True)
class Composite:
    """A function written in operations: it needs no gradient rule, only samples for the tests."""

    name: str
    function: Callable[..., Any]
    reference: Callable[..., Any] | None
    cases: Sequence[Case]
    domain: tuple[float, float] = (-2.0, 2.0)


COMPOSITES: dict[str, Composite] = {}


def composite(
    *cases: Case, numpy: Any = None, domain: tuple[float, float] = (-2.0, 2.0)
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a function that is written in operations, and which NumPy function (by default its namesake) it is."""

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        reference = numpy or getattr(np, function.__name__, None)
        COMPOSITES[function.__name__] = Composite(function.__name__, function, reference, cases, domain)
        if isinstance(reference, np.ufunc):
            UFUNCS[reference] = function
        elif reference is not None:
            FUNCTIONS[reference] = function
        return function

    return declare
