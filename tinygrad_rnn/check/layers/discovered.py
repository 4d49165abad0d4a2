"""A layer without ``params`` and ``grads``: its parameters and their gradients are where its author keeps them.

self.Wx and self.dWx; self.p["Wx"] and self.g["Wx"]; self.cell.Wx and self.cell.dWx; or gradients that backward returns:
return dx, dWx, db; return dx, {"Wx": ..., "b": ...}
"""

from __future__ import annotations

import copy
import functools
import itertools
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ...engine.pytree import flatten
from ..numeric.inputs import argument_names
from .calls import run_backward
from .copies import Path, arrays_by_path
from .names import LIKE, as_dict, by_key, gradients_in, in_order, is_gradient, returned_names, unmatched

DEPTH = 6  # of an array that may be a parameter
VALUES = ("v", "val", "value", "data", "p", "params", "parameters", "weights", "theta")
GRADIENTS = ("g", "gs", "grad", "grads", "gradient", "gradients", "d", "deltas", "dparams", "dp", "dtheta")
WEIGHT = re.compile(r"[wuvb]_?[xhyzrnfgioc\d]{0,2}|gamma|beta|weights?|bias(es)?|kernel|embedding", re.IGNORECASE)


class Discovered:
    """Where the parameters of a layer without ``params`` and ``grads`` are, and their gradients.

    A parameter is an array that is there before forward and has a gradient after backward. An array that is named like
    a weight (``Wx``, ``b``, ``bias``) and that neither changes is one too: its gradient was forgotten.
    """

    def __init__(self, layer: Any, inputs: Sequence[Any] = ()):
        self.layer, self.inputs, self.given = layer, tuple(inputs), argument_names(layer.forward, len(inputs))
        self.unmatched: list[str] = []  # names of returned gradients that belong to nothing
        self.constants: list[str] = []  # notes on arrays that forward reads and that have no gradient
        self.repeats = False  # does forward give the same again?
        self.returned_names = getattr(layer, "returned_names", None) or returned_names(layer.backward)
        self.functions = getattr(layer, "user_functions", [layer.backward])
        self.order = getattr(layer, "order", in_order)
        arrays = floats_by_path(layer)
        kept = [place for path in arrays for place in beside(path, arrays)]
        self.paths = names_of(path for path in arrays if path not in kept)
        try:
            with np.errstate(all="ignore"):
                before, named = self._forward()[1], self.paths  # like no gradient; W_g beside W is none if it is read
                self.repeats = not self._reads(None, before)
                self.paths = names_of(path for path in arrays if path in named or (
                    self.repeats and self._reads(path, before)))  # fmt: skip
                self.paths = names_of(self._parameters())
        except Exception:  # of the user's code: the check calls it again and tells
            pass

    def _parameters(self) -> list[Path]:
        """The arrays that have a gradient after backward, or that lack one: weights that forward reads and keeps.

        Of several arrays beside one gradient, it belongs to the one that forward reads, no moment of an optimiser.
        """
        used, result = self._forward()
        grads = self.split(run_backward(used, result), used, dict(zip(self.given, self.inputs)))[1]
        before, after = floats_by_path(self.layer), floats_by_path(used)
        gradient = {path: self._beside(path, after) or (name if name in grads else None)
                    for path, name in self.paths.items()}  # fmt: skip
        chosen = []
        for path, mine in gradient.items():
            rivals = [other for other, theirs in gradient.items() if theirs == mine is not None]
            kept = path in after and np.array_equal(after[path], before[path], equal_nan=True)
            if (mine is not None and len(rivals) == 1) or (
                (rivals or (_is_weight(path) and kept)) and self._reads(path, result)):  # fmt: skip
                chosen.append(path)
            elif mine is None and kept and self.repeats and self._reads(path, result):
                self.constants.append(f"forward reads {self.paths[path]}, for which no gradient was found: "
                                      "it is taken for a constant")  # fmt: skip
        return chosen

    def _reads(self, path: Path | None, before: Any) -> bool:
        """Does another array at a path change what forward returned before? None: does it change anyway?"""
        pairs = zip(flatten(before)[0], flatten(self._forward(path)[1])[0])
        return not all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)

    def _forward(self, path: Path | None = None) -> tuple[Any, Any]:
        """Another copy after forward, with other numbers at ``path``, and the result."""
        other = copy.deepcopy(self.layer)
        if path is not None:
            array = floats_by_path(other)[path]
            array += 0.1 + 0.1 * np.arange(array.size).reshape(array.shape) / max(array.size, 1)
        return other, other.forward(*copy.deepcopy(self.inputs))

    def _beside(self, path: Path, arrays: Mapping[Path, np.ndarray]) -> Path | None:
        """The first of `beside`, of the arrays that are no parameters themselves."""
        return next(iter(beside(path, arrays, self.paths)), None)

    def params(self, layer: Any) -> dict[str, np.ndarray]:
        """The parameters in a layer, by name."""
        arrays = floats_by_path(layer)
        return {name: arrays[path] for path, name in self.paths.items() if path in arrays}

    def grads(self, layer: Any, returned: Mapping[str, Any]) -> dict[str, Any]:
        """The gradients by parameters in a layer, and those that backward returned, by name."""
        arrays = floats_by_path(layer)
        places = {name: self._beside(path, arrays) for path, name in self.paths.items()}
        return {**{name: arrays[place] for name, place in places.items() if place is not None}, **returned}

    def split(self, answer: Any, layer: Any, given: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """What backward returned as the gradients in the order of the inputs, and those by parameters, by name."""
        result: Any = answer if as_dict(answer) is None else as_dict(answer)
        listed = isinstance(result, list) and len(result) == len(self.returned_names) > 1
        parts = list(result) if type(result) is tuple or listed else [result]
        names = self.returned_names if len(self.returned_names) == len(parts) else [""] * len(parts)
        rest = list[tuple[str, Any]]()
        by_name = [{} if any(is_gradient(name, x) for x in given) else gradients_in(part, name, self.paths)
                   for name, part in zip(names, parts)]  # fmt: skip
        returned = {key: g for mine in by_name for key, g in mine.items()}
        for name, part, mine in zip(names, parts, by_name):  # after those by the inputs, the nameless are by parameters
            follows = len(rest) >= len(given) and LIKE.match(name)
            mine = mine or (self._by_shape(part, layer, returned) if follows else {})
            returned.update(mine)
            rest += [] if mine else [(name, part)]
        gradients: Any = result if rest else None
        if isinstance(result, Mapping):
            by_input_name = by_key(given, result)
            gradients = {**result, **by_input_name} if rest else by_input_name or None
        elif (listed or type(result) is tuple) and rest:
            gradients = self.order(given, [g for _, g in rest], [name for name, _ in rest])
        self.unmatched = unmatched(rest, gradients, given)
        return gradients, returned

    def _by_shape(self, part: Any, layer: Any, returned: Mapping[str, Any]) -> dict[str, Any]:
        """Gradients by parameters in a part of what backward returned, by their order and shapes."""
        kept, mine = self.grads(layer, returned), dict[str, Any]()
        free = {name: x for name, x in self.params(layer).items() if name not in kept}
        for g in flatten(part)[0]:
            fitting = [key for key, x in free.items() if key not in mine and x.shape == np.shape(g)]
            mine.update(dict.fromkeys(fitting[:1], g))
        return mine


def is_discovered(layer: Any) -> bool:
    """Is it a layer without arrays ``params`` or without arrays ``grads``?"""
    return any(not hasattr(layer, name) or callable(getattr(layer, name)) for name in ("params", "grads"))


def floats_by_path(thing: Any) -> dict[Path, np.ndarray]:
    """The arrays of floats in an object of the user's, in its attributes, dicts, lists and objects, by path."""
    return {path: x for path, x in arrays_by_path(thing) if x.dtype.kind == "f" and len(path) <= DEPTH}


@functools.lru_cache(2**16)  # asked of all pairs of paths at each run
def is_beside(other: Path, path: Path) -> bool:
    """Is ``other`` the path of the gradient by the array at ``path``?

    ``g.Wx`` is of ``p.Wx``, ``f.dWx`` of ``f.Wx``, ``grads.dWx`` of ``Wx``, and ``Wx.grad`` of ``Wx.value``.
    """
    for theirs, mine in itertools.product(shortened(other, GRADIENTS), shortened(path, VALUES)):
        pairs = [(a, b) for a, b in zip(theirs, mine) if a != b]
        marked = len(theirs) < len(other) or pairs
        if len(theirs) == len(mine) and other != path and marked and all(
            isinstance(a, str) and isinstance(b, str) and (
                is_gradient(a, b) or a == f"{b}_g" or (b != mine[-1] and a in GRADIENTS))
            for a, b in pairs):  # fmt: skip
            return True
    return False


def shortened(path: Path, names: Sequence[str]) -> list[Path]:
    """The path, and the path without a part that is among ``names``."""
    return [path, *(path[:k] + path[k + 1 :] for k, part in enumerate(path) if part in names and len(path) > 1)]


def beside(path: Path, arrays: Mapping[Path, np.ndarray], parameters: Container[Path] = ()) -> list[Path]:
    """The paths of gradients by the array at ``path`` that are kept beside it, and are no parameters themselves.

    ``x.d`` is the gradient by ``x.v``, but where arrays have several shapes both are weights of these names.
    """
    weights = len({x.shape for key, x in arrays.items() if key[:-1] == path[:-1]}) > 1 and path[-1] in VALUES
    return [other for other in arrays if other not in parameters and is_beside(other, path)
            and not (weights and other[:-1] == path[:-1] and other[-1] in GRADIENTS)]  # fmt: skip


def _is_weight(path: Path) -> bool:
    """Is it an array that is named like a weight, or one in a container that is?"""
    return any(WEIGHT.fullmatch(str(part)) for part in path)


def names_of(paths: Iterable[Path]) -> dict[Path, str]:
    """The name of each array: the last part of its path if that tells which weight it is, else the whole."""
    shown = {path: path[1:] if path[0] == "variables" else path[2:] if path[0] == "owner" else path for path in paths}
    places = [part[:-1] for part in shown.values()]
    shown = {path: part[:-1] if part[-1] in VALUES and part[:-1] and places.count(part[:-1]) == 1 else part
             for path, part in shown.items()}  # fmt: skip
    last = [str(part[-1]) for part in shown.values()]
    return {path: end if last.count(end) == 1 and (len(end) > 2 or WEIGHT.fullmatch(end)) else ".".join(map(str, part))
            for (path, part), end in zip(shown.items(), last)}  # fmt: skip
