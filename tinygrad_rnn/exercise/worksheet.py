"""The backward pass of a cell as an exercise: its forward as lines of NumPy, and the gradients to fill in.

Everything is read from a recorded step. A value has a line if the user named it, if it is read more than once, if it
is the argument of an activation, or if it is a quotient or a root; other values are written where they are read. The
lines are compiled to a cell, the *plain* cell, in which every value with a line has a name: its trace gives the right
values of the lines of an answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..engine.codegen import run_source
from ..errors import ExerciseError, FormulaError
from ..formula.line_breaks import WIDTH, wrapped
from ..formula.numpy_functions import traits
from ..formula.numpy_printer import Writer
from ..formula.printer import in_letters
from ..tracing.formulas import PRIMES, inlined, traced_step
from ..tracing.names import Names, derived_name, user_names
from ..tracing.sample import sample, size_texts
from ..tracing.trace import pull

#: The sizes at which the lines are compared with the cell.
SIZES = (4, 3, 5, 6, 7, 8)


class Exercise:
    """``forward``: the lines; ``blanks``: the shape in words of each line to fill in, the last value first.

    ``keys``: the key of each in the dict of gradients that `check_backward` reads, for those that have one. ``called``:
    the name of each gradient without the ending ``_prev``.
    """

    def __init__(self, cell: Cell):
        self.cell = cell
        self.name = re.sub(r"\W+", "_", cell.name).strip("_")
        for primes in PRIMES:
            try:
                self._read(primes)
                self._hold()
                break
            except FormulaError as error:  # a number of the cell may have been taken for a size: once more with others
                if primes is PRIMES[-1]:
                    raise ExerciseError(f"{cell.name}: {error}") from error
        self._ask()

    def computed(self) -> list[int]:
        """The values that have a line."""
        return [number for number in self.names if number in self.step.equations]

    # -- the forward

    def _read(self, primes: Sequence[int]) -> None:
        """Record a step, and write its lines."""
        self.step = traced_step(self.cell, primes)
        self.letters = {letter: f"{letter}_" if letter in self.step.inputs else letter for letter in self.step.sizes}
        self.sizes = dict(zip(self.letters.values(), primes))
        self.names = self._names()
        self.lines = self._lines()
        self.new = [self.names[number] for number in self.step.new]
        self.plain = self._plain()

    def _names(self) -> dict[int, str]:
        """An identifier for each value that has a line, and for each argument."""
        step, names = self.step, Names(("np",), self.letters.values())
        known = user_names(step, names)
        for name, number in step.inputs.items():
            if known[number] != name:
                raise FormulaError(f"has an argument {name}, should have another name: the lines call NumPy {name}")
        if step.detached_parts():
            raise FormulaError("detaches a value, should not: lines of NumPy cannot tell it from the value itself")
        for number, formula in step.formulas.items():
            readers = [reader.op.name for reader, _ in step.readers(number)]
            inside = formula.op != "getitem" and len(readers) == 1 and traits(readers[0]).activation
            if number not in known and (inside or len(readers) > 1 or traits(formula.op).cost > 2):
                known[number] = derived_name(step, number, known, names)
        return dict(sorted(known.items()))

    def _lines(self) -> dict[int, str]:
        """The lines in NumPy, by value; ``helpers`` are the operations that they call and NumPy does not have."""
        formulas, writer = self.step.formulas, Writer(self.sizes, self.leaves())
        lines = {n: writer.text(inlined(formulas[n], formulas, self.names)) for n in self.computed()}
        self.helpers, self.used = writer.helpers, writer.used
        return lines

    def leaves(self) -> dict[str, str]:
        """The names of the leaves of formulas."""
        return {f"#{number}": name for number, name in self.names.items()}

    @property
    def forward(self) -> list[str]:
        """The lines, after those of the sizes that they use."""
        body = [f"{self.names[number]} = {text}" for number, text in self.lines.items()]
        every = [f"{letter} = {where}" for letter, where in self._where().items()] + body
        return [part for line in every for part in wrapped(line, WIDTH - 4)]

    def _where(self) -> dict[str, str]:
        """How each size that a line uses is read."""
        places: dict[str, str] = {}
        for name, texts in size_texts(self.cell).items():
            for letter, text in texts:
                if self.letters[letter] in self.used:
                    places.setdefault(self.letters[letter], f"{name}.{text}")
        return places

    def signature(self) -> str:
        """The parameters of the forward in a def."""
        named = "".join(f", {name}" for name in self.cell.params)
        return f"{', '.join([self.cell.input, *self.cell.states])}{', *' if named else ''}{named}"

    def sizes_of(self, given: Mapping[str, Any]) -> dict[str, int]:
        """The sizes that the lines read, by letter."""
        return {letter: eval(text, dict(given)) for letter, text in self._where().items()}

    def functions(self) -> dict[str, Any]:
        """The functions that the lines call."""
        ops = [equation.op for equation in self.step.equations.values()]
        return {"np": np, **{op.name: op.function for op in ops if op.name in self.helpers}}

    def _plain(self) -> Cell:
        """The lines as a cell."""
        space = self.functions()
        body = "\n    ".join([*self.forward, f"return {', '.join(self.new)}"])
        run_source(f"def {self.name}({self.signature()}):\n    {body}\n", f"<worksheet {self.name}>", space)
        function = space[self.name]
        function.__kwdefaults__ = dict(self.cell.params)
        return Cell(function, {name: " ".join(words) for name, words in self.cell.words.items()})

    def _hold(self) -> None:
        """`FormulaError` unless the lines compute what the cell computes, at other sizes."""
        given = sample(self.cell, np.random.default_rng(0), {}, dict(zip(self.letters, SIZES)))
        order, params = [given[name] for name in [self.cell.input, *self.cell.states]], self.cell.params
        both = [cell(*order, **{name: given[name] for name in params}) for cell in (self.cell, self.plain)]
        pairs = zip(*(new if isinstance(new, tuple) else (new,) for new in both))
        if not all(np.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in pairs):
            raise FormulaError("its lines in NumPy compute something else; it decides by values")

    # -- the backward

    def _ask(self) -> None:
        """The blanks: every gradient except those that only come in."""
        cell, step = self.cell, self.step
        totals, parts = pull(step, {number: np.ones(step.shape(number)) for number in step.new})
        inner = [step.equations[number].args[k] for number, k in parts]
        blanks = [n for n in reversed(self.computed()) if n in totals and step.values[n].kind != "block"]
        blanks = [number for number in blanks if step.new.count(number) != 1 or number in inner]
        blanks += [step.inputs[name] for name in [*cell.params, cell.input, *cell.states]]
        self.blanks, self.keys, self.called = {}, {}, {}
        for number in blanks:
            name, user_name = self.names[number], step.values[number].name
            line_name = f"d{name}_prev" if user_name in cell.states else f"d{name}"
            self.blanks[line_name] = self.words(step.shape(number))
            self.called[line_name] = f"d{name}"
            if step.named().get(user_name) == number:
                self.keys[line_name] = f"d{user_name}"

    def words(self, shape: tuple[int, ...]) -> str:
        """A shape in letters: (N, 4H)."""
        inside = ", ".join(lettered(str(n), self.sizes) for n in shape)
        return f"({inside}{',' * (len(shape) == 1)})"


def lettered(text: str, sizes: Mapping[str, int]) -> str:
    """A text with letters for the sizes in it, as in a textbook: 4H."""

    def letters_of(digits: re.Match[str]) -> str:
        number, letters = in_letters(int(digits[0]), sizes)
        return f"{number}" * (number != 1 or not letters) + "".join(letters)

    return re.sub(r"(?<![\w.])\d+(?![\w.])", letters_of, text)
