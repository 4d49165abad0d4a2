"""Make a layer from what the user named, and inputs for it.

A class, or a function that makes a layer, is called with parameters of the cell and with sizes, by the names of its
arguments. ``forward`` gets as many inputs as it takes, over time or of one step, whichever runs.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..cells.builtin import BUILT_IN
from ..cells.cell import Cell
from ..cells.probe import choose
from ..cells.sizes import length
from ..check.layers.arguments import has_methods, parameters, plain, required
from ..check.layers.cache_pair import usual_layer
from ..check.layers.discovered import floats_by_path
from ..check.numeric.inputs import SIZES
from ..errors import UserFileError
from ..tracing.sample import sample
from .guess_cell import attributes, by_name, by_parameters, by_shapes, guess
from .guess_inputs import TRIED, guessed_inputs, kind_of
from .guess_weights import GENERATORS, size_letter, sized
from .option_types import InputShape
from .trial import both

OF_CELLS = [plain(name) for cell in BUILT_IN.values() for name in cell.params]
NO_CELL = "; of a layer that is no cell, --inputs should say the shapes that forward takes, such as --inputs 3,5"


def is_layer(target: Any) -> bool:
    """Does it have a forward and a backward? Or, of a class, will its instances have them?"""
    return has_methods(target)


def makes_layer(function: Any) -> bool:
    """Can the function be called to make a layer: is every required argument a size or a parameter of some cell?"""
    return all(size_letter(name) or plain(name) in [*GENERATORS, *OF_CELLS] for name in required(function))


class NoFloats(UserFileError):
    """Raised if forward runs and returns no floats: other inputs would not change that."""


class LayerMaker:
    """Makes a layer and its inputs. ``cell`` is the cell that the layer computes, ``note`` says how it was recognised.

    ``shapes`` are those of ``--inputs``: then no cell is needed.
    """

    def __init__(
        self, name: str, cell: Cell | None, seed: int, sizes: Mapping[str, int], dtype: Any,
        shapes: Sequence[InputShape] | None = None,
    ):  # fmt: skip
        self.name, self.cell, self.note, self.dtype, self.shapes = name, cell, "", dtype, shapes
        self.rng, self.sizes = np.random.default_rng(seed), {"T": 5, "V": 13, **SIZES, **sizes}
        self.asked = {letter: size for letter, size in sizes.items() if letter not in "TV"}
        if cell is None and by_name(name) is not None:
            self.cell, self.note = guess(name, [], "")
        self.notes: list[str] = []
        self.choose()

    def choose(self) -> None:
        """Choose sizes that the cell accepts, once it is known."""
        if self.cell is not None:
            self.sizes.update(choose(self.cell, self.asked, SIZES))

    # -- the layer

    def layer(self, target: Any) -> Any:
        """``target`` if it is a layer; else the layer that ``target``, a class or a function, makes."""
        if is_layer(target) and not isinstance(target, type):
            return usual_layer(target)
        if not callable(target):
            raise UserFileError(f"{self.name} is a {type(target).__name__}, should be a layer, or make one")
        layer = usual_layer(self.created(target))
        if not is_layer(layer):
            raise UserFileError(f"{self.name} gives a {type(layer).__name__}, should be a layer: forward and backward")
        return layer

    def created(self, target: Any) -> Any:
        """What ``target``, a class or a function, returns for sizes and parameters."""
        arguments = self.arguments(target)
        try:
            return target(**arguments)
        except Exception as error:
            call = f"{self.name}({', '.join(f'{name}={np.shape(x) or x}' for name, x in arguments.items())})"
            raise UserFileError(f"{call} cannot be made: {type(error).__name__}: {error}; create the layer in the "
                                f"file, layer = {self.name}(...), and check FILE.py:layer") from error  # fmt: skip

    def arguments(self, maker: Any) -> dict[str, Any]:
        """Parameters of the cell and sizes, by the names that ``maker`` has for them; other defaults are kept.

        Where the shapes of the inputs are given, all defaults are kept, since the inputs fit them.
        """
        needed, names = required(maker), _named_arguments(maker)
        if self.shapes:
            names = [name for name in names if name in needed]
        known = self.parameters()
        strange = [name for name in needed if name in names and not size_letter(name) and plain(name) not in known]
        if self.cell is None and any(plain(name) in OF_CELLS for name in strange):
            self.cell, self.note = guess(self.name, by_parameters(names), "the arguments of its constructor", NO_CELL)
            self.choose()
            known = self.parameters()
            strange = [name for name in strange if plain(name) not in known]
        sizes = sized([name for name in names if size_letter(name) or name in strange], self.sizes)
        return {**sizes, **{name: known[plain(name)] for name in names if name not in sizes and plain(name) in known}}

    def parameters(self) -> dict[str, np.ndarray]:
        """Random parameters of the cell, by their `plain` names."""
        if self.cell is None:
            return {}
        arrays = sample(self.cell, np.random.default_rng(0), self.asked, SIZES)
        return {plain(name): arrays[name].astype(self.dtype) for name in self.cell.params}

    # -- its inputs

    def inputs(self, layer: Any) -> list[np.ndarray]:
        """Random inputs: of the shapes of ``--inputs``, else by the arguments of forward, over time or of one step."""
        if self.shapes:
            return self.shaped(layer)
        lengths = sorted({n for x in floats_by_path(layer).values() for n in x.shape})
        try:
            return self.inputs_of_cell(layer, self.recognise(layer), lengths)
        except NoFloats:
            raise
        except Exception as error:
            try:
                return self.guessed(layer, lengths)
            except UserFileError:
                if not any(kind_of(name, ()) in TRIED for name in required(layer.forward)):
                    raise error from None
                raise

    def guessed(self, layer: Any, lengths: Sequence[int] = ()) -> list[Any]:
        """The inputs on which forward runs, guessed from names, weights and ``--inputs``."""

        def run(*inputs: Any) -> None:
            self.try_forward(layer, *inputs)
            both(copy.deepcopy(layer))(*inputs)

        forward = copy.deepcopy(layer).forward
        return guessed_inputs(self.name, forward, run, self.rng, self.sizes, self.shapes, 0, lengths, self.notes)

    def inputs_of_cell(self, layer: Any, cell: Cell, lengths: Sequence[int]) -> list[np.ndarray]:
        """The input, and the states that forward takes; ``lengths`` are tried as D and H if the sizes do not run."""
        needed = required(layer.forward)
        names = [name for name in _named_arguments(layer.forward, keyword=False) if name in needed]
        if not 0 < len(names) <= 1 + len(cell.states):
            raise UserFileError(f"{self.name}: forward({', '.join(names)}) does not take {cell.input}, "
                                f"{', '.join(cell.states)}; --inputs should say the shapes that it takes, such as "
                                "--inputs 3,5 3,7")  # fmt: skip
        likely = len(names) == 1 or names[0].endswith("s")
        errors, usual = [], dict(self.sizes)
        for D, H in [(usual["D"], usual["H"]), *itertools.product(lengths, lengths)]:
            self.sizes.update(D=D, H=H)
            for over_time in (likely, not likely):
                inputs = [self.random(shape) for shape in self.input_shapes(cell, over_time)[: len(names)]]
                try:
                    self.try_forward(layer, *inputs)
                    return inputs
                except NoFloats:
                    raise
                except Exception as error:
                    errors.append(error)
        self.sizes = usual
        raise errors[0]

    def shaped(self, layer: Any) -> list[Any]:
        """Random inputs of the shapes of ``--inputs``."""
        inputs = [np.asarray(x).astype(self.dtype) if np.asarray(x).dtype.kind == "f" else x
                  for x in self.guessed(layer)]  # fmt: skip
        self.try_forward(layer, *inputs)
        return inputs

    def try_forward(self, layer: Any, *inputs: Any) -> None:
        """Run forward once on a copy; raise UserFileError unless it returns an array of floats."""
        with np.errstate(all="ignore"):
            result = copy.deepcopy(layer).forward(*copy.deepcopy(inputs))
        results = result if isinstance(result, (tuple, list)) else [result]
        if not any(np.asarray(output).dtype.kind == "f" for output in results):
            kinds = [str(getattr(output, "dtype", None) or type(output).__name__) for output in results]
            raise NoFloats(f"{self.name}: forward returns {', '.join(kinds) or 'nothing'}, should be an array of "
                           "floats, or several")  # fmt: skip

    def recognise(self, layer: Any) -> Cell:
        """The cell, if need be by the shapes of the parameters; the layer's own sizes are taken over."""
        if self.cell is None:
            self.cell, self.note = guess(self.name, by_shapes(layer), "the shapes of its parameters", NO_CELL)
        arrays = attributes(layer, list(self.cell.params))
        try:
            self.sizes.update(self.cell.sizes(arrays) if arrays else {})
        except (TypeError, ValueError):
            if not self.note:  # the cell was asked for; a layer that is only called like a cell has other parameters
                raise
        return self.cell

    def input_shapes(self, cell: Cell, over_time: bool) -> list[list[int]]:
        """The shape of the input, then those of the states."""
        letters = [("N", "T", "D") if over_time else ("N", "D"), *(cell.words[name] for name in cell.states)]
        return [[length(word, self.sizes) for word in words] for words in letters]

    def random(self, shape: Sequence[int]) -> np.ndarray:
        """Standard normal numbers in the dtype of the check."""
        return self.rng.standard_normal(shape).astype(self.dtype)


def _named_arguments(function: Any, keyword: bool = True) -> list[str]:
    """The arguments of a function by name, without ``*args`` and ``**kwargs``; ``keyword``: the keyword-only too."""
    return [name for name, argument in parameters(function).items()
            if argument.kind in (argument.POSITIONAL_ONLY, argument.POSITIONAL_OR_KEYWORD)
            or (keyword and argument.kind is argument.KEYWORD_ONLY)]  # fmt: skip
