"""The backward pass of a cell as an exercise: its forward as lines of NumPy, and which gradients there are to find.

Everything comes from one recorded step. A value has a line if the cell's author named it, if it is read more than
once, if an activation is taken of it, or if it is a quotient or a root; the rest is written where it is read. The lines
then are a cell themselves, the *plain* one, in which every value with a line has a name: what the lines of an answer
are compared with.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..errors import ExerciseError, FormulaError, ShapeError
from ..formula import Constant, Expr, Leaf, Part
from ..formula.line_breaks import WIDTH, identifier, wrapped
from ..formula.numpy_functions import traits
from ..formula.numpy_printer import Writer
from ..formula.printer import in_letters
from ..tracing.sample import record_step, sample
from ..tracing.trace import pull

#: Primes for sizes, so that a number in a shape or a slice tells its letter.
PRIMES = (23, 29, 31, 37, 41, 43, 47, 53)


def letters(cell: Cell) -> list[str]:
    """The sizes of a cell, N and D first."""
    words = [*cell.words.values(), *(one.words for one in cell.params.values())]
    return list(dict.fromkeys(["N", "D", *itertools.chain(*words)]))


class Exercise:
    """``forward``: the text of its lines; ``blanks``: what is to be filled in, last value first, by shape in words.

    ``keys``: what `check_backward` calls each of them in a dict of gradients, where it has a name for it.
    """

    def __init__(self, cell: Cell):
        self.cell = cell
        self.name = re.sub(r"\W+", "_", cell.name).strip("_")
        arguments = [cell.input, *cell.states, *cell.params]
        self.letters = {letter: f"{letter}_" if letter in arguments else letter for letter in letters(cell)}
        self.sizes = dict(zip(self.letters.values(), PRIMES))
        self.tied = ""  # the letter that has to be as large as D, such as H in a residual
        given = self._record(dict(zip(self.letters, PRIMES)))
        self.parts: dict[int, Part] = {}
        self.names = self._names()
        self._read()
        self.lines = self._written()
        self.new = [self.names[number] for number in self.recording.outputs.values()]
        self.plain = self._plain()
        self.hold(given)
        self._ask()

    def _record(self, primes: Mapping[str, int]) -> dict[str, Any]:
        """Record a step; where it needs that, with D as large as a state."""
        ends = list(dict.fromkeys(words[-1] for words in self.cell.words.values()))
        for self.tied in ["", *ends]:
            given = sample(self.cell, np.random.default_rng(0), self.tie(primes))
            try:
                self.recording = record_step(self.cell, given)
                return given
            except ShapeError:
                if self.tied == ends[-1]:
                    raise
        raise AssertionError

    def tie(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """The sizes, with D as large as it has to be."""
        return {**sizes, "D": sizes[self.tied]} if self.tied else dict(sizes)

    def made(self) -> list[int]:
        """The values that have a line of their own."""
        return [number for number in self.names if self.recording.values[number].op]

    # -- names

    def _names(self) -> dict[int, str]:
        """An identifier for each value that has a line: ``c'`` is c_next, ``Wx.f`` is Wx_f."""
        taken = dict.fromkeys([*self.sizes, "np"])
        found: dict[int, str] = {}
        new = {number: f"{state}_next" for state, number in zip(self.cell.states, self.recording.outputs.values())}
        reads = [source for equation in self.recording.equations.values() for source in equation.args]
        for one in self.recording.values:
            own = reads.count(one.number) > 1 or traits(one.op).cost > 2
            wanted = one.name or self._inside(one.number) or (own and (traits(one.op).stem or one.op))
            if one.kind != "constant" and (wanted or one.number in new):
                wanted = new.get(one.number) or str(wanted)
                found[one.number] = identifier(wanted.replace("'", "_new").replace(".", "_"), taken)
        return found

    def _inside(self, number: int) -> str:
        """A_z for what z is an activation of."""
        uses = [self.recording.values[equation.out] for equation, _ in self.recording.readers(number)]
        plain = self.recording.values[number].op not in ("", "getitem")
        if plain and len(uses) == 1 and traits(uses[0].op).activation:
            return f"A_{uses[0].name.replace(chr(39), '')}" if uses[0].name else f"A_{uses[0].op}"
        return ""

    # -- the forward

    def _read(self) -> None:
        """Every value as a formula of the values that have a name."""
        for number, equation in self.recording.equations.items():
            shape = self.recording.values[number].shape
            if number not in self.recording.nodes or shape is None:
                raise ExerciseError(f"{self.cell.name}: {equation.op.name} draws or keeps what no line of NumPy tells")
            parts = tuple([self.part(source) for source in equation.args])
            self.parts[number] = Expr(equation.op.name, parts, dict(equation.attrs), shape)

    def part(self, number: int) -> Part:
        """A value where it is read: its name, or what it is made of."""
        one = self.recording.values[number]
        if number in self.names:
            return Leaf(self.names[number], one.shape or ())
        if number in self.parts:
            return self.parts[number]
        if one.shape:
            what = f"an array of its own, {one.shape}"
            raise ExerciseError(f"{self.cell.name}: uses {what}, should be a parameter: no line can say its numbers")
        return Constant(ast.literal_eval(one.name))

    def _written(self) -> dict[int, str]:
        """Every value that has a line as NumPy; ``helpers`` are the operations that it calls and NumPy has not."""
        writer = Writer(self.sizes, {})
        try:
            return {number: writer.text(self.parts[number]) for number in self.made()}
        except FormulaError as error:
            raise ExerciseError(f"{self.cell.name}: {error}") from error
        finally:
            self.helpers, self.used = writer.helpers, writer.used

    @property
    def forward(self) -> list[str]:
        """The lines, sizes that they use first."""
        body = [f"{self.names[number]} = {text}" for number, text in self.lines.items()]
        every = [f"{letter} = {where}" for letter, where in self._where().items()] + body
        return [part for one in every for part in wrapped(one, WIDTH - 4)]

    def _where(self) -> dict[str, str]:
        """Where each size that a line may need is read."""
        cell, found = self.cell, dict[str, str]()
        places = {cell.input: ("N", "D"), **cell.words, **{name: one.words for name, one in cell.params.items()}}
        for name, words in places.items():
            blocks = len(cell.params[name].blocks) if name in cell.params else 0
            for k, word in enumerate(words):
                letter, part = self.letters[word], f" // {blocks}" * (blocks > 1 and k == len(words) - 1)
                if letter in self.used:
                    found.setdefault(letter, f"{name}.shape[{k}]{part}")
        return found

    def signature(self) -> str:
        """What is handed to the forward."""
        named = "".join(f", {name}" for name in self.cell.params)
        return f"{', '.join([self.cell.input, *self.cell.states])}{', *' if named else ''}{named}"

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What the lines of the forward compute, by name."""
        space = self._run(given)
        return {self.names[number]: space[self.names[number]] for number in self.made()}

    def sizes_of(self, given: Mapping[str, Any]) -> dict[str, int]:
        """The sizes that the lines read, by letter."""
        space = self._run(given)
        return {letter: space[letter] for letter in self._where()}

    def _run(self, given: Mapping[str, Any]) -> dict[str, Any]:
        space: dict[str, Any] = {**self.functions(), **given}
        with np.errstate(all="ignore"):
            exec("\n".join(self.forward), space)
        return space

    def functions(self) -> dict[str, Any]:
        """What the lines call."""
        specs = [equation.op for equation in self.recording.equations.values()]
        return {"np": np, **{spec.name: spec.function for spec in specs if spec.name in self.helpers}}

    def _plain(self) -> Cell:
        """The lines as a cell."""
        space = self.functions()
        body = "\n    ".join([*self.forward, f"return {', '.join(self.new)}"])
        exec(compile(f"def {self.name}({self.signature()}):\n    {body}\n", f"<{self.name}>", "exec"), space)
        function = space[self.name]
        function.__kwdefaults__ = dict(self.cell.params)
        return Cell(function, {name: " ".join(words) for name, words in self.cell.words.items()})

    def hold(self, given: Mapping[str, Any]) -> None:
        """The lines compute what the cell computes, or there is no exercise."""
        order, params = [given[name] for name in [self.cell.input, *self.cell.states]], self.cell.params
        both = [one(*order, **{name: given[name] for name in params}) for one in (self.cell, self.plain)]
        pairs = zip(*(new if isinstance(new, tuple) else (new,) for new in both))
        if not all(np.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in pairs):
            raise ExerciseError(f"{self.cell.name}: its lines in NumPy compute something else; it decides by values")

    # -- the backward

    def _ask(self) -> None:
        """The blanks: the gradients that there are, but for one that only comes in."""
        cell, recording = self.cell, self.recording
        outputs = list(recording.outputs.values())
        totals, parts = pull(recording, {n: np.ones(recording.values[n].shape or ()) for n in outputs})
        inner = [recording.equations[number].args[k] for number, k in parts]
        blanks = [n for n in reversed(self.made()) if n in totals and recording.values[n].kind != "block"]
        blanks = [number for number in blanks if number not in outputs or number in inner]
        numbers = recording.named()
        blanks += [numbers[name] for name in [*cell.params, cell.input, *cell.states]]
        self.blanks, self.keys, self.called = {}, {}, {}
        for number in blanks:
            name, own = self.names[number], recording.values[number].name
            old = own in cell.states
            line_name = f"d{name}_prev" if old else f"d{name}"
            self.blanks[line_name] = self.words(recording.values[number].shape or ())
            self.called[line_name] = f"d{name}"
            if numbers.get(own) == number:
                self.keys[line_name] = f"d{own}"

    def words(self, shape: tuple[int, ...]) -> str:
        """(N, 4H)"""
        inside = ", ".join(lettered(str(n), self.sizes) for n in shape)
        return f"({inside}{',' * (len(shape) == 1)})"


def lettered(text: str, sizes: Mapping[str, int]) -> str:
    """A text with letters for the sizes in it, as a textbook has them: 4H."""

    def letters_of(found: re.Match[str]) -> str:
        number, letters = in_letters(int(found[0]), sizes)
        return f"{number}" * (number != 1 or not letters) + "".join(letters)

    return re.sub(r"(?<![\w.])\d+(?![\w.])", letters_of, text)
