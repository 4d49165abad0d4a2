"""`op` declares an operation once; everything else reads the declaration.

A declaration is a forward function on arrays, a shape rule, and one gradient rule per input. The argument names of a
rule are its save-list: inputs (``x``), the output (``y``), a shape (``x_shape``), an attribute (``axis``), or a
constant that the forward function returns for it (``keeps``). For an operation of any number of inputs (``*xs``) a rule
may also name ``i``, the number of its input, and ``xs``, all inputs.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

import numpy as np

from ..errors import InvalidIndex, InvalidType, InvalidValue, ShapeError
from . import codegen
from .declaration import Case, Traits
from .declaration import case as case
from .graph import Rule
from .numpy_protocol import FUNCTIONS, UFUNCS
from .op_signature import check_free, check_names, signature
from .shape import Shape, ShapeRule, words
from .tensor import Tensor

OPS: dict[str, Op] = {}


class OpRule(Rule):
    """The rule for one argument of an operation, and where its saved values come from."""

    __slots__ = ("names", "places")

    def __init__(self, spec: Op, argument: str, fn: Callable[..., Any]):
        parameters = inspect.signature(fn).parameters.values()
        if not parameters or any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
            takes = ", ".join(map(str, parameters)) or "nothing"
            raise InvalidType(
                f"{spec.name}.vjp: the rule for {argument} takes {takes}, should take dy and what it needs"
            )
        self.names = [p.name for p in parameters][1:]
        super().__init__(fn, [spec.source(name) for name in self.names])
        self.places = "(" + "".join(f"{spec.locate(name, argument)}, " for name in self.names) + ")"


class Operation(Protocol):
    """The result of `op`: the function that users call, with its declaration."""

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
    traits: Traits
    formula: Callable[..., Any] | None = None
    rules: dict[str, OpRule] = field(default_factory=dict)
    function: Any = None  # the public function
    into: Any = None  # ``into(*arrays, out)`` is ``forward`` with the result in ``out``, which may be an operand

    @property
    def saturates(self) -> bool:
        """Has it limits, and does a rule save the output, so that the share of saturated elements can be measured?"""
        return self.traits.limits is not None and any("y" in rule.names for rule in self.rules.values())

    def source(self, name: str) -> Any:
        """The source of a saved value, for rules that run on Tensors."""
        if name in self.arguments and not self.variadic:
            return self.arguments.index(name)
        return name if name in ("y", "xs") else None

    def locate(self, name: str, argument: str) -> str:
        """The expression for a saved value in the generated function."""
        base = name.removesuffix("_shape")
        if name in ("i", "y") or name in self.keeps or name in self.attributes:
            return name
        if self.variadic and name == "xs":
            return name
        if base in self.arguments:
            known = base == argument  # the input of the rule itself is a Tensor; other inputs may be numbers
            return f"{base}_array" if base == name else f"{base}_array.shape" if known else f"_shape({base}_array)"
        raise InvalidType(f"{self.name}.vjp: the rule for {argument} names {name}, which {self.name} does not have")

    def vjp(self, **rules: Callable[..., Any]) -> None:
        """Set the gradient rule of each input, by its name."""
        for argument, fn in rules.items():
            if argument not in self.arguments:
                raise InvalidType(f"{self.name}.vjp: {argument} is not an input of {self.name}")
            self.rules[argument] = OpRule(self, argument, fn)
        if not self.variadic:
            codegen.rewrite(self)

    def cheaper(self, argument: str, **forms: Callable[..., Any]) -> None:
        """Give the rule of ``argument`` cheaper forms: see `Rule`."""
        self.rules[argument].cheaper(**forms)

    def named(self, xs: Sequence[Any]) -> dict[str, Shape]:
        """The shapes of the inputs, by their names in messages."""
        names = [f"{self.arguments[0]}[{k}]" for k in range(len(xs))] if self.variadic else self.arguments
        return {name: np.shape(x) for name, x in zip(names, xs, strict=True)}

    def refuse(self, error: Exception, xs: Sequence[Any], attrs: Mapping[str, Any]) -> NoReturn:
        """Raise NumPy's error again in the argument names of the operation, or in the words of its shape rule."""
        if isinstance(error, ShapeError):
            raise ShapeError(f"{self.name}: {error}") from error
        kinds = ((ValueError, InvalidValue), (TypeError, InvalidType), (IndexError, InvalidIndex))
        kind = next((ours for builtin, ours in kinds if isinstance(error, builtin)), None)
        if kind is None:
            raise error
        try:
            if self.shape is not None:
                self.shape(self.named(xs), attrs)
        except ShapeError as better:
            raise ShapeError(f"{self.name}: {better}") from error
        except TypeError:  # the shape rule cannot read an attribute either
            pass
        if str(error).startswith(f"{self.name}: "):
            raise error
        shapes = ", ".join(f"{name} is {shape}" for name, shape in self.named(xs).items())
        raise kind(f"{self.name}: {error}; {shapes}") from error


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
    formula: Callable[..., Any] | None = None,
    **traits: Any,
) -> Callable[[Callable[..., Any]], Operation]:
    """Declare an operation from its forward function on arrays.

    Positional arguments of the function are arrays, keyword-only arguments are attributes. ``shape`` is its shape rule.
    ``operator`` is its Python operator (``"matmul"``). ``numpy`` lists the NumPy functions that call it, by default the
    one of the same name. ``cases`` and ``domain`` (the range of the inputs) are its samples for the tests. ``keeps``
    names constants for its rules, such as a mask, that the forward function returns after its value. ``name``,
    ``arguments`` and ``doc`` declare a function without these, such as NumPy's. ``formula`` is the computation of an
    inner operation in NumPy; it is printed in its place. ``traits`` are the fields of `Traits`, which tools read:
    ``latex``, ``activation``, ``limits``, ...
    """
    module = sys._getframe(1).f_globals.get("__name__", __name__)  # for pickles

    def declare(forward: Callable[..., Any]) -> Operation:
        inputs, attributes, variadic = (arguments.split(), {}, False) if arguments else signature(forward)
        rule = words(shape) if isinstance(shape, str) else shape
        title = name or forward.__name__
        text = doc or inspect.getdoc(forward) or ""
        spec = Op(title, forward, inputs, attributes, variadic, rule, symbol or title, cases, keeps, domain, text,
                  Traits.of(title, traits), formula)  # fmt: skip
        check_names(title, inputs, attributes, keeps, variadic)
        check_free(title, forward, _others(title, operator, numpy))
        apply = codegen.variadic(spec) if variadic else codegen.function(spec)
        apply.__name__ = apply.__qualname__ = title
        apply.__doc__, apply.__module__ = spec.doc, module
        apply.spec, apply.vjp = spec, spec.vjp
        OPS[title], spec.function = spec, apply
        _attach(apply, title, operator, numpy)
        return apply

    return declare


def _others(name: str, operator: str, numpy: Sequence[Any] | None) -> dict[str, Any]:
    """The present owners of the name, of the operator and of the NumPy functions."""
    others: dict[str, Any] = {f"the name {name}": OPS.get(name) or COMPOSITES.get(name)}
    if operator:
        others[f"the operator {operator}"] = getattr(Tensor, f"__{operator}__", None)
    for function in _numpy_functions(name, numpy):
        others[f"np.{function.__name__}"] = UFUNCS.get(function) or FUNCTIONS.get(function)
    return others


def _numpy_functions(name: str, numpy: Sequence[Any] | None) -> list[Any]:
    """The NumPy functions that call an operation: by default the one of the same name."""
    functions = [getattr(np, name, None)] if numpy is None else numpy
    return [function for function in functions if function is not None]


def _attach(apply: Operation, name: str, operator: str, numpy: Sequence[Any] | None) -> None:
    """Let Python's operators and NumPy's functions call the operation."""
    if operator:
        setattr(Tensor, f"__{operator}__", apply)
        if len(apply.spec.arguments) == 2:
            setattr(Tensor, f"__r{operator}__", lambda self, other: apply(other, self))
    for function in _numpy_functions(name, numpy):
        (UFUNCS if isinstance(function, np.ufunc) else FUNCTIONS)[function] = apply


@dataclass(frozen=True)
class Composite:
    """A function composed of operations: it needs samples for the tests, but no gradient rule."""

    name: str
    function: Callable[..., Any]
    reference: Callable[..., Any] | None
    cases: Sequence[Case]
    domain: tuple[float, float] = (-2.0, 2.0)


COMPOSITES: dict[str, Composite] = {}


def composite(
    *cases: Case, numpy: Any = None, domain: tuple[float, float] = (-2.0, 2.0)
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a function composed of operations, and its NumPy function, by default the namesake."""

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        reference = numpy or getattr(np, function.__name__, None)
        check_free(function.__name__, function, _others(function.__name__, "", [reference] if reference else []))
        COMPOSITES[function.__name__] = Composite(function.__name__, function, reference, cases, domain)
        if isinstance(reference, np.ufunc):
            UFUNCS[reference] = function
        elif reference is not None:
            FUNCTIONS[reference] = function
        return function

    return declare
