"""A layer from what the user named, and inputs for it: a class is made with parameters or sizes, by the names that its
constructor has for them; ``forward`` is handed what its arguments stand for, in the form in which it runs.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cells.builtin import BUILT_IN
from ..cells.cell import Cell
from ..check.gradients import SIZES
from ..check.layers.guess_cell import attributes, by_name, by_parameters, by_shapes, guessed, parameters, plain
from ..errors import UserFileError
from ..tracing.sample import sample

#: What constructors call sizes, by letter, without capitals and underscores.
CALLED = {
    "D": ("d", "din", "inputsize", "inputdim", "insize", "indim", "nin", "ninput", "nx", "features"),
    "H": ("h", "hiddensize", "hiddendim", "hidden", "hiddenunits", "units", "nhidden", "nh", "statesize"),
    "N": ("n", "batchsize", "batch"),
    "T": ("t", "timesize", "timesteps", "seqlen", "seqlength", "steps"),
}
NO_CELL = "; of a layer that is no cell, --inputs should say the shapes that forward takes, such as --inputs 3,5"
PROTOCOL = ("params", "grads", "forward", "backward")


def is_layer(found: Any) -> bool:
    """Has it, or will what the class makes have, a forward and a backward?"""
    return all(callable(getattr(found, name, None)) for name in ("forward", "backward"))


def makes(found: Any) -> bool:
    """Can a function that makes a layer be called: are all its arguments parameters of some cell, or sizes?"""
    known = [plain(name) for one in BUILT_IN.values() for name in one.params] + ["rng", "generator"]
    known += [name for names in CALLED.values() for name in names]
    return all(one.default is not one.empty or plain(name) in known for name, one in parameters(found).items())


class Builder:
    """Makes a layer and its inputs; ``cell`` is the one that it computes, ``note`` says how that was told."""

    def __init__(
        self, name: str, cell: Cell | None, seed: int, sizes: Mapping[str, int], dtype: Any, shapes: Any = None
    ):  # fmt: skip
        self.name, self.dtype, self.note, self.asked, self.shapes = name, dtype, "", sizes, shapes
        self.rng, self.sizes = np.random.default_rng(seed), {"T": 5, **SIZES, **sizes}
        self.cell = cell or by_name(name)
        if cell is None and self.cell is not None:
            self.cell, self.note = guessed(name, [], "")

    # -- the layer

    def layer(self, found: Any) -> Any:
        """The layer itself, or the one that a class or function makes."""
        if is_layer(found) and not isinstance(found, type):
            return found
        if not callable(found):
            raise UserFileError(f"{self.name} is a {type(found).__name__}, should be a layer, or make one")
        layer = found(**self.arguments(found))
        missing = [name for name in PROTOCOL if not hasattr(layer, name)]
        if missing:
            made = f"{self.name} gives a {type(layer).__name__} without {', '.join(missing)}"
            raise UserFileError(f"{made}, should be a layer: params, grads, forward and backward")
        return layer

    def arguments(self, maker: Any) -> dict[str, Any]:
        """What a layer is made with, by name: parameters of the cell and sizes; what else has a default keeps it.

        Where the shapes of the inputs are given, defaults are kept throughout: they are what fits.
        """
        wanted = {n: one for n, one in parameters(maker).items() if _positional(one) or one.kind is one.KEYWORD_ONLY}
        if self.shapes:
            wanted = {name: one for name, one in wanted.items() if one.default is one.empty}
        if self.cell is None and any(one.default is one.empty and not self.size(n) for n, one in wanted.items()):
            self.cell, self.note = guessed(self.name, by_parameters(list(wanted)), "what it is made with", NO_CELL)
        known = self.params()
        given: dict[str, Any] = {}
        for name, one in wanted.items():
            letter = self.size(name)
            if letter or plain(name) in known:
                given[name] = self.sizes[letter] if letter else known[plain(name)]
            elif plain(name) in ("rng", "generator") and one.default is one.empty:
                given[name] = np.random.default_rng(0)
            elif one.default is one.empty:
                raise UserFileError(
                    f"{self.name}({', '.join(wanted)}) cannot be made: {name} is no parameter of {self.cell_name()} "
                    "and no size (D, H, input_size, hidden_size); make the layer in the file, and check that"
                )
        return given

    def cell_name(self) -> str:
        return self.cell.name if self.cell else "a cell"

    def size(self, name: str) -> str:
        """The letter of the size that an argument is called after."""
        return next((letter for letter, names in CALLED.items() if plain(name) in names), "")

    def params(self) -> dict[str, np.ndarray]:
        """Random parameters of the cell, by what `plain` makes of their names."""
        if self.cell is None:
            return {}
        sizes = {letter: size for letter, size in self.asked.items() if letter != "T"}
        given = sample(self.cell, np.random.default_rng(0), {**SIZES, **sizes})
        return {plain(name): given[name].astype(self.dtype) for name in self.cell.params}

    # -- its inputs

    def inputs(self, layer: Any) -> list[np.ndarray]:
        """Random inputs: of the shapes that were given, else by the arguments of forward, over time or for a step."""
        if self.shapes:
            given = [self.rng.standard_normal(shape).astype(self.dtype) for shape in self.shapes]
            self.try_out(layer, given)
            return given
        cell = self.learn(layer)
        wanted = [n for n, one in parameters(layer.forward).items() if one.default is one.empty and _positional(one)]
        if not 0 < len(wanted) <= 1 + len(cell.states):
            told = f"{self.name}: forward({', '.join(wanted)}) does not take {cell.input}, {', '.join(cell.states)}"
            raise UserFileError(f"{told}; --inputs should say the shapes that it takes, such as --inputs 3,5 3,7")
        over_time = len(wanted) == 1 or wanted[0].endswith("s")
        errors = []
        for time in (over_time, not over_time):
            made = self.shaped(cell, len(wanted), time)
            try:
                self.try_out(layer, made)
                return made
            except UserFileError:
                raise
            except Exception as error:
                errors.append(error)
        raise errors[0]

    def try_out(self, layer: Any, inputs: list[np.ndarray]) -> None:
        """Run forward once on a copy; raise unless there is something in what it returns that has a gradient."""
        with np.errstate(all="ignore"):
            result = copy.deepcopy(layer).forward(*map(np.copy, inputs))
        results = result if isinstance(result, (tuple, list)) else [result]
        kinds = [getattr(one, "dtype", None) or type(one).__name__ for one in results]
        if not any(np.asarray(one).dtype.kind == "f" for one in results):
            told = f"{self.name}: forward returns {', '.join(map(str, kinds)) or 'nothing'}"
            raise UserFileError(f"{told}, should be an array of floats, or several")

    def learn(self, layer: Any) -> Cell:
        """The cell, if nobody has told it, and the sizes that the layer has."""
        if self.cell is None:
            self.cell, self.note = guessed(self.name, by_shapes(layer), "the shapes of its parameters", NO_CELL)
        known = attributes(layer, list(self.cell.params))
        if known:
            self.sizes.update(self.cell.sizes(known))
        return self.cell

    def shaped(self, cell: Cell, count: int, time: bool) -> list[np.ndarray]:
        """The input, and as many states as are wanted."""
        words = [("N", "T", "D") if time else ("N", "D"), *(cell.words[name] for name in cell.states)]
        shapes = [[self.sizes[word] for word in one] for one in words[:count]]
        return [self.rng.standard_normal(shape).astype(self.dtype) for shape in shapes]


def _positional(one: inspect.Parameter) -> bool:
    return one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
