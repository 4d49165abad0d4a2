"""How the forward and backward of a layer are called: trees of arrays in and out, None where there is no gradient.

forward takes and returns arrays, or tuples, lists and dicts of them. backward is handed a gradient for each output, in
the form that its signature takes, and returns one for each input.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...engine.pytree import flatten
from ...errors import Uncheckable
from ..numeric.inputs import paths
from .guess_cell import binds, parameters

Call = tuple[list[Any], dict[str, Any]]


def is_tree(x: Any) -> bool:
    """A tuple, list or dict with arrays in it; a list of numbers is an array."""
    arrays = isinstance(x, (tuple, list, dict)) and any(hasattr(leaf, "shape") for leaf in flatten(x)[0])
    return isinstance(x, dict) or arrays


def tops(result: Any) -> list[Any]:
    """What forward returned, output by output."""
    return list(result) if isinstance(result, (tuple, list)) else [result]


def fits(layer: Any, names: Sequence[str], inputs: Sequence[Any]) -> None:
    """Raise unless forward takes so many inputs."""
    kind, wanted = type(layer).__name__, list(parameters(layer.forward))
    if not binds(layer.forward, inputs):
        call = f"check_layer(layer, {', '.join(wanted)})"
        count = f"{len(inputs)} input{'s' * (len(inputs) != 1)}"
        raise Uncheckable(f"check_layer: {kind}.forward({', '.join(wanted)}) is handed {count}, should be {call}")


def cotangents(backward: Callable[..., Any], result: Any, dys: Sequence[Any]) -> list[Call]:
    """The ways to hand over ``dys``, those of the floating leaves of ``result``, the likeliest first.

    One argument for each output that has a gradient; one for each output, None where there is none; one argument, of
    the form of the result; by name, d and the key, for a dict.
    """
    left, every, gradients = iter(dys), tops(result), []
    for top in every:
        leaves, build = flatten(top)
        gradients.append(build([next(left) if np.asarray(leaf).dtype.kind in "fc" else None for leaf in leaves]))
    have = [dy for dy in gradients if any(leaf is not None for leaf in flatten(dy)[0])]
    ways: list[Call] = [(have, {}), (gradients, {})]
    if isinstance(result, (tuple, list)):
        whole = type(result)(*gradients) if hasattr(result, "_fields") else type(result)(gradients)
        ways.insert(0 if isinstance(result, list) and _takes_one(backward) else 2, ([whole], {}))
    if isinstance(result, dict):
        ways.append(([], {f"d{key}": dy for key, dy in gradients[0].items()}))
    return ways


def _takes_one(backward: Callable[..., Any]) -> bool:
    kinds = [one.kind for one in parameters(backward).values()]
    return len(kinds) == 1 and kinds[0] is not inspect.Parameter.VAR_POSITIONAL


def bound(layer: Any, ways: Sequence[Call]) -> Call:
    """The first of the ways that backward takes."""
    found = next((way for way in ways if binds(layer.backward, *way)), None)
    if found is not None:
        return found
    shapes = ", ".join(str(np.shape(dy)) for arg in ways[0][0] for dy in flatten(arg)[0])
    raise Uncheckable(f"check_layer: {type(layer).__name__}.backward({', '.join(parameters(layer.backward))}) should "
                  f"take {len(ways[0][0])}: a gradient by each output of forward, {shapes}")  # fmt: skip


def gradients_by_input(returned: Any, arguments: Sequence[str], trees: Sequence[Any]) -> tuple[dict[str, Any], int]:
    """What backward returned, by the leaves of the inputs, and how many gradients that were.

    One for each input, or for each that has floats in it; a dict by their names, with or without d. A single array is
    that by the first input.
    """
    if isinstance(returned, dict):
        keyed = {name: key for name in arguments for key in (name, f"d{name}") if key in returned}
        found = [_leaves(name, tree, returned[keyed[name]]) for name, tree in zip(arguments, trees) if name in keyed]
        return {name: g for one in found for name, g in one.items()}, len(arguments)
    floats = [k for k, tree in enumerate(trees) if any(_is_float(leaf) for leaf in flatten(tree)[0])]
    several = isinstance(returned, (tuple, list))
    whole = several and len(trees) == 1 and is_tree(trees[0]) and len(flatten(returned)[0]) == len(flatten(trees[0])[0])
    parts = list(returned) if several and not whole else [returned]
    if not several and len(floats) > 1:
        parts = [returned] + [None] * (len(floats) - 1)
    at = range(len(trees)) if len(parts) >= len(trees) else floats
    found = [_leaves(arguments[k], trees[k], part) for k, part in zip(at, parts)]
    return {name: g for one in found for name, g in one.items()}, len(parts)


def _is_float(x: Any) -> bool:
    return bool(np.asarray(x).dtype.kind == "f")


def _leaves(name: str, tree: Any, part: Any) -> dict[str, Any]:
    """The gradients by the leaves of one input: of the same form, or one array with them along its first axis."""
    names = [leaf for leaf, _ in paths(name, tree)]
    if not is_tree(tree):
        return {name: part}
    parts = flatten(part)[0]
    if len(parts) == 1 and len(names) > 1:
        parts = [None] * len(names) if parts[0] is None else list(parts[0]) if np.ndim(parts[0]) else parts
    return dict(zip(names, parts))
