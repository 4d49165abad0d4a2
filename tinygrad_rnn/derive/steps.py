"""The chain rule in words, a numbered sentence for each gradient: through what it reaches the loss, and the sum."""

from __future__ import annotations

from .numpy_text import Writer
from .program import Line, Program

FIRST = "Every gradient is that of the loss L: `dq` is ∂L/∂q, of the shape of q. What comes in: {incoming}."


def steps(program: Program) -> str:
    """A list for reading; formulas are NumPy, as in the printed code."""
    words = Words(program)
    cell, leaves = program.step.cell, program.leaves
    given = [f"`{leaves[f'in:{name}']}`, by `{program.known[n]}`" for name, n in zip(cell.states, program.step.new)]
    told = [FIRST.format(incoming="; ".join(given)), *(words.sentence(line) for line in program.backward)]
    return "\n".join(f"{k}. {one}" for k, one in enumerate(told, 1)) + "\n"


class Words:
    """Sentences about the lines of a program."""

    def __init__(self, program: Program):
        self.program = program
        self.writer = Writer(program.step.sizes, program.leaves)
        self.lines = {line.number: line for line in program.forward}

    def sentence(self, line: Line) -> str:
        code = f"`{line.name} = {self.writer.text(line.part)}`"
        if line.number < 0:
            return f"Used more than once below: {code}."
        name, ways = self.name(line.number), self.ways(line.number)
        if not ways:
            return f"{name} is never read, so it has no part in the loss: {code}."
        if len(ways) == 1:
            return f"{name} reaches the loss only through {ways[0]}, so {code}."
        total = f"{len(ways)} ways, and their gradients add up: through {_listed(ways)}"
        return f"{name} reaches the loss {total}. So {code}."

    def name(self, number: int) -> str:
        """A value: by its name, or by what it is."""
        if number in self.program.known:
            return f"`{self.program.known[number]}`"
        return f"`{self.writer.text(self.program.full(self.program.step.made[number]))}`"

    def ways(self, number: int) -> list[str]:
        """The lines that read a value, and the loss itself if it is a new state."""
        found: dict[str, None] = {}
        for source, _ in self.program.chain.ways.get(number, []):
            found[self.through(source) if source >= 0 else "what reads the new state after this step"] = None
        return list(found)

    def through(self, number: int) -> str:
        """The line in which an operation stands."""
        while number not in self.lines:
            number = next(n for n, made in self.program.step.made.items() if f"#{number}" in _read(made))
        line = self.lines[number]
        return f"`{line.name} = {self.writer.text(line.part)}`"


def _read(made: object) -> list[str]:
    return [arg.name for arg in getattr(made, "args", ()) if hasattr(arg, "name")]


def _listed(ways: list[str]) -> str:
    return ", ".join(ways[:-1]) + f" and {ways[-1]}"
