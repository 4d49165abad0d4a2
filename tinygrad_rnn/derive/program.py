"""The lines of a forward and of a backward step: which values have a line, and in which order the lines stand.

A value has a line if the user named it, or if it is more than one small operation and is read more than once or by
the backward pass. Other values are written where they are read. A gradient has a line if its value has a name, or if it
goes on along several ways (`gradients`). Backward lines stand below the forward line that they belong to, last first.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ..cells.probe import letters
from ..formula import Expr, Leaf, Part, postorder
from ..formula.numpy_functions import traits
from ..tracing.cse import Line, once
from ..tracing.formulas import TracedStep, inlined, numbers_in, operands_of, replaced
from ..tracing.names import Names, derived_name, user_names
from .factor import Collector
from .gradients import Gradients
from .helpers import helpers

#: Names that the printed module uses for itself.
RESERVED = ("np", "math", *helpers(), "cache", "caches", "params", "xs", "dxs", "dhs", "grads", "step", "name", "range",
            "reversed", "T", "t")  # fmt: skip


@dataclass
class Program:
    """The lines that are printed, and their names."""

    step: TracedStep
    names: Names = field(init=False)
    known: dict[int, str] = field(init=False)  # the names of values
    forward: list[Line] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)  # the forward lines that are no block of a parameter
    blocks: dict[str, list[Line]] = field(default_factory=dict)  # the forward lines that are a block, by parameter
    backward: list[Line] = field(default_factory=list)
    leaves: dict[str, str] = field(default_factory=dict)  # the name of every leaf
    bases: dict[int, str] = field(default_factory=dict)  # the name of each value that gradients are named after

    def __post_init__(self) -> None:
        step = self.step
        self.names = Names(RESERVED, letters(step.cell))
        self.known = user_names(step, self.names)
        self.gradients = Gradients(step, dict(self.known))
        self.choose()
        self.write_forward()
        self.name_gradients()
        self.shorter = Collector(self.gradients.make, self.quotients())
        self.write_backward()

    # -- which values have a line

    def choose(self) -> None:
        """Name the values that need a line and have no name of the user's."""
        step = self.step
        reads = Counter(number for formula in step.formulas.values() for number in operands_of(formula))
        wanted = dict.fromkeys(number for part in self.gradients.lines.values() for number in numbers_in(part))
        for number in step.formulas:
            needed = number in self.gradients.total and (number in wanted or reads[number] > 1)
            if number not in self.known and needed and not self.small(number):
                self.known[number] = derived_name(step, number, self.known, self.names)

    def small(self, number: int) -> bool:
        """Is a value a single cheap operation on values that have names?"""
        formula = self.step.formulas[number]
        return traits(formula.op).cost == 1 and all(source in self.known for source in operands_of(formula))

    def full(self, part: Part) -> Part:
        """A formula in which every leaf has a name."""
        return inlined(part, self.step.formulas, self.known, self.gradients.make)

    # -- lines

    def write_forward(self) -> None:
        for number, formula in self.step.formulas.items():
            if number in self.known and number in self.gradients.total:
                part = self.full(replaced(formula, {}, self.gradients.make))
                self.forward.append(Line(self.known[number], part, number))
        self.leaves = {f"#{number}": name for number, name in self.known.items()}
        blocks = [line for line in self.forward if self.step.values[line.number].kind == "block"]
        blocks.sort(key=lambda line: self.step.equations[line.number].attrs["index"][-1].start)
        for name, number in self.step.inputs.items():
            if of_parameter := [line for line in blocks if self.step.equations[line.number].args[0] == number]:
                self.blocks[name] = of_parameter
        self.lines = [line for line in self.forward if self.step.values[line.number].kind != "block"]
        self.forward = [*(line for blocks in self.blocks.values() for line in blocks), *self.lines]

    def name_gradients(self) -> None:
        """Name the gradients: ``df`` of f, ``dh`` of the new h, ``dh_prev`` of the old h."""
        step, gradients, scratch = self.step, {}, Names(RESERVED, self.known.values())
        self.bases = dict(self.known)
        for state, number in reversed(list(zip(step.cell.states, step.new))):
            self.leaves[f"in:{state}"] = gradients[number] = self.names.new(f"d{self.known[step.inputs[state]]}")
        for number in self.gradients.lines:
            if number in gradients and number in step.equations:
                continue
            old = number not in step.equations and step.values[number].name in step.cell.states
            if number not in self.bases:
                self.bases[number] = derived_name(step, number, self.known, scratch)
            gradients[number] = self.names.new(f"d{self.bases[number]}{'_prev' * old}")
        self.leaves.update({f"d#{number}": name for number, name in gradients.items()})

    def write_backward(self) -> None:
        """Every gradient, below the first forward line that reads its value."""
        place, step, lines = self.places(), self.step, []
        for name, number in step.inputs.items():
            if number not in self.gradients.lines:
                past = "_prev" if name in step.cell.states else ""
                self.leaves.setdefault(f"d#{number}", self.names.new(f"d{self.known[number]}{past}"))
                zeros = Expr("zeros_like", (step.variable(number),), {}, step.shape(number))
                lines.append(Line(self.leaves[f"d#{number}"], zeros, number))
        for number, part in self.gradients.lines.items():
            under = place.get(number, len(self.forward))
            lines.append(Line(self.leaves[f"d#{number}"], self.shorter(self.full(part)), number, under))
        lines.sort(key=lambda line: (-line.under, -line.number))
        self.backward = once(lines, self.temporary)

    def quotients(self) -> dict[tuple[str, str], Leaf]:
        """The lines that are the quotient of two values with names."""
        return {
            (left.name, right.name): self.gradients.make.shared(self.step.variable(number))
            for number, formula in self.step.formulas.items() if formula.op == "divide" and number in self.known
            for left, right in [formula.args] if isinstance(left, Leaf) and isinstance(right, Leaf)
        }  # fmt: skip

    def places(self) -> dict[int, int]:
        """The position of the first forward line that reads a value, or reads it in a formula without a line."""
        positions: dict[int, int] = {}
        for k, line in reversed(list(enumerate(self.forward))):
            waiting = [line.number]
            while waiting:
                for number in operands_of(self.step.formulas[waiting.pop()]):
                    positions[number] = k
                    waiting += [number] if number not in self.known else []
        return positions

    def temporary(self, part: Part) -> Leaf:
        """A name for a common subexpression: k, or dk if it reads a gradient."""
        kinds = [leaf.name[0] for leaf in postorder(part) if isinstance(leaf, Leaf)]
        name = self.names.new("dk" if "d" in kinds or "i" in kinds else "k")
        self.leaves[f"t:{name}"] = name
        return Leaf(f"t:{name}", part.shape)
