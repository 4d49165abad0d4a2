"""Which gradient belongs to which array: by name (``dWx`` to ``Wx``), by key, and by order and shape."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...engine.pytree import flatten

BEFORE = re.compile("d|g|grad(ient)?s?|delta|nabla|d([lLJEC]|loss)d")  # of dW, gW, gradW, deltaW, nablaW, dLdW
AFTER = re.compile("grads?|gradient|deriv")
LIKE = re.compile("$|d|g|nabla|.*grad", re.IGNORECASE)  # a name that may be that of a gradient; or no name
METHODS = {
    "forward": ("forward", "forward_pass", "feedforward", "feed_forward", "forward_prop", "fprop", "fwd", "__call__"),
    "backward": ("backward", "backward_pass", "backprop", "back_prop", "backpropagation", "bprop", "bptt", "bwd"),
}


def is_gradient(name: str, of: str) -> bool:
    """Is it the name of the gradient by ``of``, in one of the usual forms, apart from underscores and a plural?"""
    name, of = name.replace("_", ""), of.replace("_", "")
    forms = [of, *([of[:-1]] if len(of) > 2 and of.endswith("s") else [])]  # block_grads, of blocks
    return bool(of) and bool((name.endswith(of) and BEFORE.fullmatch(name[: -len(of)])) or any(
        name.startswith(form) and AFTER.fullmatch(name[len(form) :]) for form in forms))  # fmt: skip


def key_of(name: str, keys: Any) -> Any:
    """The key of the gradient by ``name`` in a dict of gradients: ``dW``, ``grad_W``, ..., else ``W``; or None."""
    forms = (key for key in keys if isinstance(key, str) and is_gradient(key, name))
    return next(forms, name if name in keys else None)


def matched(given: Mapping[str, Any], gradients: Sequence[Any], names: Sequence[str]) -> dict[str, Any]:
    """The gradient by each of the inputs ``given``: by name, then by order and shape. What fits none is left out.

    ``names`` are the names of the gradients in the user's code, "" where they have none.
    """
    by_input: dict[str, Any] = {}
    rest = list(given)  # the arguments after the last that was matched
    for name, g in zip(names if len(names) == len(gradients) else [""] * len(gradients), gradients):
        argument = next((a for a in given if is_gradient(name, a)), None)
        place = next(((a, key) for a, x in given.items() for key in keys_of(x) if is_gradient(name, key)), None)
        if argument is None and place is not None:
            by_input.setdefault(place[0], dict.fromkeys(as_dict(given[place[0]]) or ()))[place[1]] = g
        elif argument is None and as_dict(g) is not None:
            by_input.update(by_key(given, as_dict(g) or {}))
        elif argument is None and LIKE.match(name):
            argument = next((a for a in rest if a not in by_input and _is_like(given[a], g)), None)
            if argument is None and isinstance(g, (list, tuple)):
                free = {a: given[a] for a in rest if a not in by_input}
                by_input.update(matched(free, g, [n for n, _ in _each(g, name)]))
        if argument is not None:
            by_input[argument], rest = g, list(given)[list(given).index(argument) + 1 :]
    return by_input


def as_dict(x: Any) -> dict[Any, Any] | None:
    """A dict, or the fields of a named tuple by name; None for anything else."""
    return dict(x) if isinstance(x, Mapping) else x._asdict() if hasattr(x, "_asdict") else None


def keys_of(x: Any) -> list[str]:
    """The names of the parts of a dict or a named tuple; none for anything else."""
    return [key for key in as_dict(x) or () if isinstance(key, str)]


def unmatched(parts: Sequence[tuple[str, Any]], gradients: Any, given: Mapping[str, Any]) -> list[str]:
    """The names of returned parts, and their keys, which are like those of gradients but belong to no input.

    ``gradients`` are those by the inputs: a part that is among them belongs to one.
    """
    places = list(gradients) if type(gradients) is tuple else []
    parts = [pair for name, part in parts for pair in (_each(part, name) if isinstance(part, (list, tuple)) and any(
        g is mine for g in places for mine in part) else [(name, part)])]  # fmt: skip
    rest = [(name, part) for name, part in parts if not any(part is g for g in places)]
    names = [key for name, part in rest for key in (keys_of(part) if as_dict(part) else [name]) if key]
    of = [*given, *(key for x in given.values() for key in keys_of(x))]
    return [name for name in names if LIKE.match(name) and name not in of and not any(is_gradient(name, a) for a in of)]


def in_order(given: Mapping[str, Any], gradients: Sequence[Any], returned: Sequence[str]) -> Any:
    """The gradients as a tuple in the order of the inputs, if they are fewer, or if their names say another order."""
    named = [next((name for name in given if is_gradient(gradient, name)), None) for gradient in returned]
    floats = [name for name, x in given.items() if any(np.asarray(leaf).dtype.kind == "f" for leaf in flatten(x)[0])]
    orders = [order for order in (list(given), floats) if len(order) == len(gradients)]
    if any(all(a in (None, b) for a, b in zip(named, order)) for order in orders):
        return tuple(gradients)
    return fitting(given, gradients, returned) or tuple(gradients)


def fitting(given: Mapping[str, Any], gradients: Sequence[Any], returned: Sequence[str]) -> Any:
    """The gradients as a tuple in the order of the inputs, by `matched`; None if there are none."""
    by_input = matched(given, gradients, returned)
    return tuple(by_input.get(name) for name in given) if by_input else None


def by_key(given: Mapping[str, Any], g: Mapping[Any, Any]) -> dict[str, Any]:
    """A dict of gradients: by the keys of an input that is a dict, and by the names of inputs."""
    by_input: dict[str, Any] = {}
    for argument, x in given.items():
        keys = {key: key_of(key, g) for key in as_dict(x) or ()}
        if any(key is not None for key in keys.values()):
            by_input[argument] = {key: None if theirs is None else g[theirs] for key, theirs in keys.items()}
        elif key_of(argument, g) is not None:
            by_input[argument] = g[key_of(argument, g)]
    return by_input


def gradients_in(part: Any, name: str, paths: Mapping[tuple[Any, ...], str]) -> dict[str, Any]:
    """The gradients by parameters in a part of what a function returned: a dict by keys, an array by its ``name``."""
    fields = as_dict(part)
    if fields is not None:
        keys = {mine: key_of(str(path[-1]), fields) for path, mine in paths.items()}
        return {mine: fields[key] for mine, key in keys.items() if key is not None}
    return {mine: part for path, mine in paths.items() if is_gradient(name, str(path[-1]))}


def _each(part: Sequence[Any], name: str) -> list[tuple[str, Any]]:
    """The values in a tuple or a list that was returned, with their names."""
    names = name.split(", ")
    return list(zip(names if len(names) == len(part) else [""] * len(part), part))


def _is_like(x: Any, g: Any) -> bool:
    """Can it be the gradient by an input: an array, or a list of arrays, of its shape?"""
    if isinstance(x, dict) or g is None or isinstance(g, dict):
        return False
    if isinstance(x, (list, tuple)) and isinstance(g, (list, tuple)):
        return len(x) == len(g) and all(_is_like(a, b) for a, b in zip(x, g))
    if isinstance(g, (list, tuple)) and not isinstance(x, (list, tuple)):
        return False
    if isinstance(x, (list, tuple)):
        return len({np.shape(part) for part in x}) == 1 and np.shape(g) == (len(x), *np.shape(x[0]))
    return np.asarray(x).dtype.kind in "fc" and np.shape(x) == np.shape(g)


def returned_names(function: Callable[..., Any]) -> list[str]:
    """The names in the last return statement with several values, "" for what has none; nothing without source."""
    returns = [node.value for node in ast.walk(_tree(function)) if isinstance(node, ast.Return)]
    several = [part for part in returns if isinstance(part, (ast.Tuple, ast.List))]
    return [_name(part) for part in max(several, key=lambda part: part.lineno).elts] if several else []


def forgotten(function: Callable[..., Any], argument: str) -> str:
    """The variable that has the name of the gradient by an argument, and that nothing reads, not even the return."""
    names = [node for node in ast.walk(_tree(function)) if isinstance(node, ast.Name)]
    read = [node.id for node in names if isinstance(node.ctx, ast.Load)]
    return next((node.id for node in names if node.id not in read and is_gradient(node.id, argument)), "")


def _tree(function: Callable[..., Any]) -> ast.AST:
    """The syntax tree of a function; an empty one without source."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return ast.Module([], [])


def _name(part: ast.expr) -> str:
    """The name of a returned value: a variable, an attribute, or the variable in ``np.array(dx)`` and ``hs[t]``.

    Of several values in a tuple or a list, ``(dW, db)``, their names are listed: "dW, db". What a backward returns,
    ``self.bptt(cache)``, are "gradients".
    """
    if isinstance(part, (ast.Tuple, ast.List)):
        return ", ".join(map(_name, part.elts))
    if isinstance(part, ast.Call) and _name(part.func) in METHODS["backward"]:
        return "gradients"
    if isinstance(part, ast.Call) and len(part.args) == 1:
        return _name(part.args[0])
    if isinstance(part, ast.Subscript):
        return _name(part.value)
    return part.id if isinstance(part, ast.Name) else part.attr if isinstance(part, ast.Attribute) else ""
