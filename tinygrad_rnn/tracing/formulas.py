"""One step of a cell as formulas: what every value is made of, with the sizes that numbers stand for.

The cell runs once, on arrays that remember comparisons too, so that ``where(h > 0, h, 0)`` is a formula to the end.
Every size is a large prime, a different one for each letter: a 31 in a slice or a shape is H, and a 124 is 4H.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..engine.context import context
from ..engine.observe import observing
from ..engine.tensor import Tensor, value
from ..errors import DeriveError, ShapeError
from ..formula import Constant, Expr, Leaf, Part
from ..formula.from_rule import bare, followed, part_of
from .called_functions import Locals
from .record import Recorder
from .sample import sample

#: The primes that letters stand for while the cell runs; the others are taken if a number of the cell is one of these.
PRIMES = ((23, 29, 31, 37, 41, 43, 47, 53), (59, 61, 67, 71, 73, 79, 83, 89))


class Step:
    """What a step computes. A value is known by its number, and stands in formulas as ``Leaf(leaf(number))``."""

    def __init__(self, cell: Cell, primes: tuple[int, ...]):
        self.cell = cell
        self.made: dict[int, Expr] = {}  # every operation, operands as parts
        self.args: dict[int, list[Any]] = {}  # and what it ran on
        self.spec: dict[int, Any] = {}
        self.sizes = dict(zip(letters(cell), primes))
        self.tied = ""  # the letter that has to be as large as D, such as H in a residual
        ties = ["", *(word for word in dict.fromkeys(words[-1] for words in cell.words.values()) if word != "D")]
        for tied in ties:
            self.tied, sizes = tied, self.tie(dict(zip(letters(cell), primes)), tied)
            self.sizes = sizes
            try:
                self.run(sample(cell, np.random.default_rng(0), sizes))
                break
            except ShapeError:
                if tied == ties[-1]:
                    raise

    @staticmethod
    def tie(sizes: dict[str, int], letter: str) -> dict[str, int]:
        """The sizes with D as large as ``letter``."""
        return {**sizes, "D": sizes[letter]} if letter else sizes

    def run(self, given: Mapping[str, np.ndarray]) -> None:
        """Run the cell on arrays by name, watched."""
        self.made, self.args, self.spec, order = {}, {}, {}, [self.cell.input, *self.cell.states]
        self.numbers = {name: number for number, name in enumerate(given)}
        self.recording, tensors = Recorder(), {}
        for name, array in given.items():
            tensors[name] = Tensor(np.array(array), name=name, requires_grad=True)
            tensors[name]._array = followed(array, self.leaf(self.numbers[name], array.shape))
            self.recording.leaf(tensors[name], name, "parameter" if name in self.cell.params else "state")
        names = Locals(self.cell, self.recording.number, self.recording.locals, self.entered)
        before, context.recording = context.recording, True
        try:
            with observing(self.recording), observing(self), names.watched():
                new = self.cell(*[tensors.pop(name) for name in order], **tensors)
        finally:
            context.recording = before
        new = new if isinstance(new, tuple) else (new,)
        self.recording.finish({f"{name}'": one for name, one in zip(self.cell.states, new)}, order)
        self.new = [self.recording.number(one) for one in new]
        self.inside = names.names  # what the functions that the cell calls call their values

    def entered(self, variables: Mapping[str, Any]) -> None:
        """The cell has its arguments: parameters, which are handed on as plain arrays, remember what they are again."""
        for one in variables.values():
            if isinstance(one, Tensor) and one.node is not None and type(one._array) is np.ndarray:
                number = self.recording.number(one)
                one._array = followed(one._array, self.leaf(number, one.shape))

    def leaf(self, number: int, shape: Any) -> Leaf:
        """A value in a formula."""
        return Leaf(f"#{number}", tuple(shape))

    def shape(self, number: int) -> tuple[int, ...]:
        return self.recording.values[number].shape or ()

    def operation(self, spec: Any, args: Any, made: Tensor) -> None:
        """Note an operation, its operands as parts."""
        number = self.recording.number(made)
        attrs = {} if made.node is None else dict(made.node.attrs or {})
        if spec.keeps and spec.traits.form != "join":
            raise DeriveError(f"{self.cell.name}: {spec.name} draws or keeps what no formula tells; leave it out")
        if any(isinstance(one, np.ndarray) for one in _indices(attrs)):
            raise DeriveError(f"{self.cell.name}: reads by an array of places, should be a slice such as h[:, :n]")
        self.args[number] = [bare(value(one)) for one in args]
        self.spec[number] = spec
        self.made[number] = Expr(spec.name, tuple(map(self.operand, args)), attrs, made.shape)
        made._array = followed(made._array, self.leaf(number, made.shape))

    def operand(self, x: Any) -> Part:
        """A value as a part of a formula; an array that came from nowhere cannot be written down."""
        if isinstance(x, Tensor) and x.node is not None:
            return self.leaf(self.recording.number(x), x.shape)
        part = part_of(value(x))
        if isinstance(part, Constant) and np.ndim(part.value):
            raise DeriveError(
                f"{self.cell.name}: uses an array of its own, of shape {np.shape(part.value)}, should be a parameter: "
                "its numbers cannot be written in a formula"
            )
        return Constant(part.value.item()) if isinstance(part, Constant) and hasattr(part.value, "item") else part

    def gradient(self, node: Any, dy: Any) -> None:
        """No backward pass runs here."""


def _indices(attrs: Mapping[str, Any]) -> tuple[Any, ...]:
    """The parts of an index."""
    index = attrs.get("index", ())
    return index if isinstance(index, tuple) else (index,)


def letters(cell: Cell) -> list[str]:
    """The sizes of a cell, each once: N, D, those of the states, those of the parameters."""
    words = [*cell.words.values(), *(param.words for param in cell.params.values())]
    return list(dict.fromkeys(["N", "D", *(word for part in words for word in part)]))
