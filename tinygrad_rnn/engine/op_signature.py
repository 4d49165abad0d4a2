"""Check the names of an operation and its inputs: each name has a single meaning and a single owner."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..errors import InvalidType, InvalidValue

#: Names that rules may use besides inputs and attributes, and names of variables in the generated function.
RESERVED = ("y", "i", "xs", "node", "error", "isinstance", "Exception")
ENDINGS = ("_shape", "_array", "_node", "_rule")


def signature(forward: Callable[..., Any]) -> tuple[list[str], dict[str, Any], bool]:
    """The names of the arrays; the attributes with their defaults; whether the number of arrays is variable."""
    names, attributes, variadic, where = [], {}, False, f"op {forward.__name__}"
    for parameter in inspect.signature(forward).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            attributes[parameter.name] = parameter.default
        elif parameter.kind is parameter.VAR_KEYWORD or parameter.default is not parameter.empty:
            raise InvalidType(f"{where}: takes {parameter}, should be an array, or an attribute of its own after a *")
        else:
            names.append(parameter.name)
            variadic = variadic or parameter.kind is parameter.VAR_POSITIONAL
    if variadic and len(names) > 1:
        raise InvalidType(
            f"{where}: takes {names[0]} and *{names[-1]}, should take *{names[-1]} alone, or so many arrays"
        )
    return names, attributes, variadic


def check_names(
    title: str, inputs: Iterable[str], attributes: Iterable[str], keeps: Iterable[str], variadic: bool
) -> None:
    """Raise unless every name has a single meaning, in the rules and in the function that `codegen` generates."""
    if not title.isidentifier() or keyword.iskeyword(title) or title in RESERVED:
        raise InvalidType(f"op: {title} cannot name an operation, should be a name that is free: op(name=...)")
    names = [*inputs, *attributes, *keeps]
    for k, name in enumerate(names):
        derived = any(name == base + ending for base in names for ending in ENDINGS)
        reserved = name in RESERVED and not (variadic and k == 0 and name == "xs")
        if name in names[:k]:
            raise InvalidType(
                f"op {title}: {name} names two of its inputs, attributes and saved values, should name one"
            )
        if reserved or derived or name.startswith("_"):
            raise InvalidType(
                f"op {title}: {name} means something else to rules and the engine, should be another name"
            )


def check_free(title: str, function: Any, others: Mapping[str, Any]) -> None:
    """Raise if the name, the operator or a NumPy function is taken. The same declaration may run again."""
    for what, other in others.items():
        spec = getattr(other, "spec", other)
        there = getattr(spec, "forward", None) or getattr(spec, "function", other)
        if other is not None and _place(there) != _place(function):
            raise InvalidValue(f"op {title}: {what} belongs to another operation already, should be free")


def _place(function: Any) -> tuple[Any, Any]:
    """The module and the qualified name of a function."""
    return getattr(function, "__module__", None), getattr(function, "__qualname__", function)
